"""Words and numbers as people read them: nothing hidden in a text, no number that says more than is known.

All of it may come from a peer that is newer, older or ill-meaning, or from whoever wrote the request, so nothing here fails on any value.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from meshwright.reviews.visible import shown

Document = Mapping[str, Any]
#: Characters of a text that are looked at; what is longer is cut, and says so.
LONG = 8_000
#: Numbers from here on are none that anybody has counted or measured.
MUCH = 1e15
#: How deep a value is put into prose.
DEEP = 6
#: Seconds since the epoch that can be a date here (until the year 2100).
LATEST = 4_102_444_800.0
#: Milliseconds that a step can have taken: a year.
YEAR = 365 * 86_400_000
NOT_KNOWN = "not known"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def part(document: Document, name: str) -> Document:
    """A document within one; empty where it is none."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def members(document: Document, name: str) -> list[Any]:
    """A list within a document; empty where it is none."""
    found = document.get(name)
    return found if isinstance(found, list) else []


def rows(document: Document, name: str) -> list[Document]:
    """Those of a list that are documents."""
    return [row for row in members(document, name) if isinstance(row, Mapping)]


def word(document: Document, name: str, most: int = 160) -> str:
    """A text within a document, on one line; empty where it is none."""
    found = document.get(name)
    return one_line(found, most) if isinstance(found, str) else ""


def readable(value: Any) -> str:
    """Text from outside, line by line, with every character that hides or misleads as its escape.

    An ellipsis is what our own code cuts with; it hides nothing.
    """
    words = str("" if value is None else value)
    if words.isascii() and words.isprintable():
        return words
    lines = words.split("\n")
    return "\n".join("…".join(shown(piece) for piece in line.split("…")) for line in lines)


def text(value: Any, most: int = LONG) -> str:
    """A text with what hides or misleads in it escaped (`\\u202e`), line by line; other values as JSON."""
    words = value if isinstance(value, str) else "" if value is None else _json(value)
    cut = readable("\n".join(words[:most].splitlines()))
    return cut if len(words) <= most else f"{cut} … ({len(words) - most} more characters)"


def one_line(value: Any, most: int = 160) -> str:
    """The first line of a text."""
    words = value if isinstance(value, str) else "" if value is None else _json(value)
    lines = words.strip().splitlines()
    return text(lines[0][: most - 1] + "…" if len(lines[0]) > most else lines[0]) if lines else ""


def prose(value: Any, most: int = LONG) -> str:
    """JSON as people write it down: `order: #W1, items: (a, b)`."""
    return text(_prose(value, 0), most)


def counts(value: Any) -> bool:
    """Whether a value is a number that can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MUCH


def number(value: Any, least: float = 0.0, most: float = MUCH) -> float:
    """A number within its bounds; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return 0.0
    return float(min(max(value, least), most))


def moment(value: Any) -> float:
    """Seconds since the epoch; 0 where it can be no time of ours."""
    at = number(value)
    return at if at < LATEST else 0.0


def clock(at: float) -> str:
    """The time of day of a moment, to the millisecond, in UTC."""
    if not at:
        return NOT_KNOWN
    seconds, ms = divmod(round(at * 1000), 1000)
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) + f".{ms:03d}"


def duration(seconds: Any) -> str:
    """Seconds in the two units that tell: `850 ms`, `4.2 s`, `3 min 20 s`, `2 d 4 h`."""
    if not counts(seconds):
        return "–"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 60:
        return f"{seconds:.1f} s"
    return rough(seconds, 2)


def rough(seconds: float, units: int = 1) -> str:
    """Seconds in their largest whole units: `3 min`, `2 d 4 h`."""
    left = int(abs(seconds))
    said: list[tuple[int, str]] = []
    for size, name in _UNITS:
        number, left = divmod(left, size)
        if number or said:
            said.append((number, name))
    kept = said[:units] or [(0, "s")]
    return " ".join(f"{number} {name}" for number, name in kept if number or len(kept) == 1)


def money(micros: float) -> str:
    """Micro-dollars as dollars, with as many places as it takes to see them."""
    dollars = micros / 1_000_000
    return f"${dollars:.2f}" if dollars >= 1 or not micros else f"${dollars:.4f}"


def score(value: float) -> str:
    """A measure or a place, without digits that say nothing."""
    return f"{value:.3g}"


def size(bytes_: Any) -> str:
    count = number(bytes_)
    if count < 1000:
        return f"{count:.0f} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def many(count: float, one: str, more: str = "") -> str:
    """A count and its noun: `1 step`, `3 steps`."""
    return f"{count:,.0f} {one if count == 1 else more or one + 's'}"


def listed(names: list[str], most: int = 4) -> str:
    """Names as a sentence has them: `a, b and c`."""
    shown = names[:most] + ([f"{len(names) - most} more"] if len(names) > most else [])
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _prose(value: Any, depth: int) -> str:
    if value is None or (isinstance(value, str | list | tuple | dict) and not value):
        return "–" if depth else ""
    inner: list[str] = []
    if isinstance(value, list | tuple) and depth < DEEP:
        inner = [_prose(each, depth + 1) for each in value]
    elif isinstance(value, dict) and depth < DEEP:
        inner = [f"{name}: {_prose(each, depth + 1)}" for name, each in value.items()]
    if inner:
        return f"({', '.join(inner)})" if depth else ", ".join(inner)
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # deeper than anybody reads
        return "[too deep to be shown]"
