"""Serve the customers' records: `python -m customers`."""

from meshwright import serve_tools

if __name__ == "__main__":
    serve_tools("customers", "customers.server:build")
