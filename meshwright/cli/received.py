"""Documents of a mesh that may be newer, older or ill-meaning, read field by field: what is not what it should be is not there.

Texts become fit for a terminal: on one line, with what hides or misleads as its escape.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from meshwright.reviews.visible import shown

Document = Mapping[str, Any]
#: Characters of a text from outside that are looked at: what is longer is cut before it costs time.
LONGEST = 20_000
ELLIPSIS = "…"


def clean(value: Any, most: int = LONGEST) -> str:
    """Any text on one line, with nothing in it that acts on a terminal, of at most `most` characters."""
    words = " ".join(str(value)[: min(4 * most, LONGEST)].split())
    found = ELLIPSIS.join(
        map(shown, words.split(ELLIPSIS))
    )  # what the mesh has cut says so, and hides nothing
    return found if len(found) <= most else found[: most - 1] + ELLIPSIS


def text(document: Document, name: str, most: int = LONGEST) -> str:
    value = document.get(name)
    return clean(value, most) if isinstance(value, str) else ""


def number(document: Document, name: str) -> float | None:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def part(document: Document, name: str) -> Document:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def rows(document: Document, name: str) -> list[Document]:
    value = document.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []


def names(document: Document, name: str, most: int = 200) -> list[str]:
    value = document.get(name)
    return [clean(each, most) for each in value if isinstance(each, str)] if isinstance(value, list) else []


def document(value: Any, most: int) -> str:
    """JSON as one line, cut."""
    try:
        return clean(json.dumps(value, ensure_ascii=False, sort_keys=True), most)
    except (ValueError, TypeError, RecursionError):
        return clean(value, most)


def call(tool: str, arguments: Any, most: int) -> str:
    """A call as one would write it: `cancel_order(order_id="#W1")`."""
    if not isinstance(arguments, Mapping):
        return f"{tool}({'' if arguments is None else document(arguments, most)})"
    given = ", ".join(f"{clean(key, 80)}={document(value, most)}" for key, value in arguments.items())
    return f"{tool}({clean(given, most)})"


def duration(ms: float | None) -> str:
    if ms is None:
        return ""
    if abs(ms) < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if abs(ms) < 120_000 else f"{ms / 60_000:.0f} min"


def at(seconds: float | None) -> str:
    """An instant as the clock on the wall here."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(seconds)) if seconds else ""
    except (ValueError, OverflowError, OSError):
        return ""


def count(many: float, word: str) -> str:
    """`1 part`, `3 parts`."""
    return f"{many:,.0f} {word}" if many == 1 else f"{many:,.0f} {word}s"
