"""Texts of others, of any length and with anything in them, as what people can read, or what a database takes."""

from __future__ import annotations

from typing import Any

#: Characters of a name.
NAME = 120


def clipped(value: Any, most: int = NAME) -> str:
    """A text with nothing in it that does not print, and no longer than `most`."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in str(value)[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


def storable(text: str) -> str:
    """A text without what a database does not take as one: a NUL, or half a character."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
