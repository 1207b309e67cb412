"""The tool server for orders, products and payments."""
