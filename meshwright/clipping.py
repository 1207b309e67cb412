"""A text that a peer says of itself, cut to what people can read: names, versions, reasons, of any length and with anything in them."""

from __future__ import annotations

from typing import Any

#: Characters of a name.
NAME = 120


def clipped(value: Any, most: int = NAME) -> str:
    """A text with nothing in it that does not print, and no longer than `most`."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in str(value)[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


def storable(text: str, most: int) -> str:
    """The beginning of a text, without what a database does not take as one: a NUL, or half a character."""
    return text[:most].replace("\0", "\ufffd").encode(errors="replace").decode()
