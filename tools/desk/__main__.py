"""Serve the desk: `python -m desk`."""

from meshwright import serve_tools

if __name__ == "__main__":
    serve_tools("desk", "desk.server:build")
