"""How values are put into words for people: times, durations, amounts, and text from outside with nothing hidden in it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from meshwright.reviews.visible import shown

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
#: What each state of a review, a run or an agent looks like: its colour's name, its icon, and its word.
_LOOKS = {
    "open": ("accent", "clock", "open"),
    "escalated": ("bad", "bell", "escalated"),
    "approve": ("good", "check", "approved"),
    "approved": ("good", "check", "approved"),
    "edit": ("accent", "pencil", "edited"),
    "reject": ("bad", "cross", "rejected"),
    "rejected": ("bad", "cross", "rejected"),
    "expired": ("warn", "clock", "expired"),
    "withdrawn": ("quiet", "minus", "withdrawn"),
    "high": ("bad", "risk3", "high"),
    "medium": ("warn", "risk2", "medium"),
    "low": ("quiet", "risk1", "low"),
}


def look(state: Any) -> tuple[str, str, str]:
    """(tone, icon, word) of a state; an unknown one is quiet, and named."""
    return _LOOKS.get(str(state), ("quiet", "dot", plain(state).replace("_", " ")))


def plain(text: Any) -> str:
    """Text from outside, line by line, with every character that hides or misleads as its escape.

    An ellipsis is what our own code cuts with; it hides nothing.
    """
    words = str("" if text is None else text)
    if words.isascii() and words.isprintable():
        return words
    lines = words.split("\n")
    return "\n".join("…".join(shown(part) for part in line.split("…")) for line in lines)


def pretty(value: Any) -> str:
    """JSON over several lines, keys in order, nothing hidden in it. What is no JSON is shown as text."""
    try:
        return plain(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False))
    except (TypeError, ValueError):
        return plain(value)


def _counts(value: Any) -> bool:
    """Whether a value is a number that can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def duration(seconds: Any) -> str:
    """Seconds in the two units that tell: `850 ms`, `4.2 s`, `3 min 20 s`, `2 d 4 h`."""
    if not _counts(seconds):
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


def ago(then: Any, now: float | None = None) -> str:
    """How long ago, or until when: `3 min ago`, `in 2 h`, `just now`."""
    if not _counts(then):
        return "–"
    gone = (time.time() if now is None else now) - then
    if abs(gone) < 5:
        return "just now"
    return f"{rough(gone)} ago" if gone > 0 else f"in {rough(gone)}"


def left(until: Any, now: float | None = None) -> str:
    """Time that remains: `2 d 4 h left`, `12 min over`."""
    if not _counts(until):
        return "–"
    remains = until - (time.time() if now is None else now)
    return f"{rough(remains, 2)} left" if remains > 0 else f"{rough(remains, 2)} over"


def clock(then: Any) -> str:
    """An instant, in full and in UTC: what a title or a `datetime` says."""
    try:
        return datetime.fromtimestamp(float(then), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (TypeError, ValueError, OverflowError, OSError):
        return "–"


def iso(then: Any) -> str:
    """An instant for machines."""
    try:
        return datetime.fromtimestamp(float(then), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def count(number: Any) -> str:
    """A number with its thousands apart."""
    return f"{number:,}" if _counts(number) else "–"


def money(cents: Any) -> str:
    """An amount in cents, as the policy counts it."""
    return f"{cents / 100:,.2f}" if isinstance(cents, int) and not isinstance(cents, bool) else ""


def short(text: Any, limit: int = 12) -> str:
    """The first letters of an id or a text."""
    whole = plain(text)
    return whole if len(whole) <= limit else whole[:limit].rstrip() + "…"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "look": look,
    "plain": plain,
    "pretty": pretty,
    "duration": duration,
    "ago": ago,
    "left": left,
    "clock": clock,
    "iso": iso,
    "count": count,
    "money": money,
    "short": short,
}
