"""The tool server for who the customers are: profiles and identity checks."""
