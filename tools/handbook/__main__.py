"""Serve the handbook: `python -m handbook`."""

from meshwright import serve_tools

if __name__ == "__main__":
    serve_tools("handbook", "handbook.server:build")
