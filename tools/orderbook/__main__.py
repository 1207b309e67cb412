"""Serve the order book: `python -m orderbook`."""

from meshwright.serve import serve_tools
from orderbook.server import build

if __name__ == "__main__":
    serve_tools(build)
