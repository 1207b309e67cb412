"""Serve the customers' records: `python -m customers`."""

from customers.server import build
from meshwright.serve import serve_tools

if __name__ == "__main__":
    serve_tools(build)
