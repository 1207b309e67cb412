"""The incident, replayed: see `__main__`."""
