"""Stub of the audit log, until its own branch is merged: the same signatures, a plain table."""
