"""Serve the desk: `python -m desk`."""

from desk.server import build
from meshwright.serve import serve_tools

if __name__ == "__main__":
    serve_tools(build)
