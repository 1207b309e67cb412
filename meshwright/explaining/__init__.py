"""Decisions told to people: rows from anywhere, read as far as they can be, and put into the same words on a page and on a terminal."""
