"""A storm of failures, and what retries add to it: see `__main__`."""
