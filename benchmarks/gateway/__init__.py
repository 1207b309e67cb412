"""The second wall, tried: see `__main__`."""
