"""The tool server for the shop's policies, searchable."""
