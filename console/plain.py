"""Words and numbers as people read them: nothing hidden in a text, no number that says more than is known.

All of it may come from a peer, or from whoever wrote the request, so nothing here fails on any value.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

from console.words import plain as readable

#: Characters of a text that are looked at; what is longer is cut, and says so.
LONG = 8_000
#: How deep a value is put into prose.
DEEP = 6
#: Seconds since the epoch that can be a date here (until the year 2100).
LATEST = 4_102_444_800.0
#: Milliseconds that a step can have taken: a year.
YEAR = 365 * 86_400_000
NOT_KNOWN = "not known"


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


def number(value: Any, least: float = 0.0, most: float = math.inf) -> float:
    """A number within its bounds; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return 0.0
    try:
        return min(max(float(value), least), most)
    except OverflowError:
        return most if value > 0 else least


def moment(value: Any) -> float:
    """Seconds since the epoch; 0 where it can be no time of ours."""
    at = number(value)
    return at if at < LATEST else 0.0


def clock(at: float) -> str:
    """The time of day of a moment, to the millisecond, in UTC."""
    if not at:
        return NOT_KNOWN
    return time.strftime("%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}"


def money(micros: float) -> str:
    """Micro-dollars as dollars, with as many places as it takes to see them."""
    dollars = micros / 1_000_000
    return f"${dollars:.2f}" if dollars >= 1 or not micros else f"${dollars:.4f}"


def score(value: float) -> str:
    """A measure or a place, without digits that say nothing."""
    return f"{value:.3g}"


def size(count: float) -> str:
    """Bytes."""
    if count < 1000:
        return f"{count:.0f} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def many(count: int, one: str, more: str = "") -> str:
    """A count and its noun: `1 step`, `3 steps`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


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
