"""Is the answer any good: real tickets through the running mesh, scored by what was really written."""
