"""Kill -9 at random moments, under load, and count what was lost: see `__main__`."""
