"""How the templates put values into words: states, instants, amounts; and durations and texts as `explaining` has them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from meshwright.explaining.plain import counts, duration, readable, rough
from meshwright.explaining.tones import Tone

#: The icon of each tone, for those who do not see the colour.
SIGNS: Mapping[Tone, str] = {
    "good": "check",
    "warn": "warn",
    "bad": "cross",
    "accent": "person",
    "quiet": "dot",
}
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
    return _LOOKS.get(str(state), ("quiet", "dot", readable(state).replace("_", " ")))


def pretty(value: Any) -> str:
    """JSON over several lines, keys in order, nothing hidden in it. What is no JSON is shown as text."""
    try:
        return readable(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False))
    except (TypeError, ValueError):
        return readable(value)


def ago(then: Any, now: float | None = None) -> str:
    """How long ago, or until when: `3 min ago`, `in 2 h`, `just now`."""
    if not counts(then):
        return "–"
    gone = (time.time() if now is None else now) - then
    if abs(gone) < 5:
        return "just now"
    return f"{rough(gone)} ago" if gone > 0 else f"in {rough(gone)}"


def left(until: Any, now: float | None = None) -> str:
    """Time that remains: `2 d 4 h left`, `12 min over`."""
    if not counts(until):
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
    return f"{number:,}" if counts(number) else "–"


def money(cents: Any) -> str:
    """An amount in cents, as the policy counts it."""
    return f"{cents / 100:,.2f}" if isinstance(cents, int) and counts(cents) else ""


def short(text: Any, limit: int = 12) -> str:
    """The first letters of an id or a text."""
    whole = readable(text)
    return whole if len(whole) <= limit else whole[:limit].rstrip() + "…"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "look": look,
    "plain": readable,
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
