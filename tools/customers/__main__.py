"""Serve the customers' records: `python -m customers`."""

from meshwright.serve import serve_tools

if __name__ == "__main__":
    serve_tools("customers", "customers.server:build")
