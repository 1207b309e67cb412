"""Serve the desk: `python -m desk`."""

from meshwright.serve import serve_tools

if __name__ == "__main__":
    serve_tools("desk", "desk.server:build")
