"""Media types by name, as cards, parts and clients give them: parameters and letters' case say nothing (RFC 9110, 8.3.1)."""

from __future__ import annotations


def essence(media_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def names(essence: str) -> frozenset[str]:
    """What somebody who takes this type may call it: by its name, its kind, as anything, or as what its suffix says (RFC 6839)."""
    known = {essence, f"{essence.partition('/')[0]}/*", "*/*"}
    _, plus, suffix = essence.rpartition("+")
    return frozenset({*known, f"application/{suffix}"} if plus else known)
