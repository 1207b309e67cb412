"""Waiting is free: see `__main__`."""
