"""Serve the order book: `python -m orderbook`."""

from meshwright import serve_tools

if __name__ == "__main__":
    serve_tools("orderbook", "orderbook.server:build")
