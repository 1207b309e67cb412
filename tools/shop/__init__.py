"""The demo shop's own records: one SQLite file behind the four tool servers. Not a server itself."""
