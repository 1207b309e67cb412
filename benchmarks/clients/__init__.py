"""Clients of other frameworks, as their makers ship them, against our server."""
