"""How good or bad news a decision is: what colours a badge, and which icon says the same to those who do not see the colour."""

from __future__ import annotations

from typing import Literal

from console.plain import one_line
from console.steps import Step

#: What a badge looks like. `accent` is what waits for, or comes from, people.
Tone = Literal["good", "warn", "bad", "accent", "quiet"]

#: The icon of each, for those who do not see the colour.
SIGNS: dict[Tone, str] = {"good": "check", "warn": "warn", "bad": "cross", "accent": "person", "quiet": "dot"}
_TONES: dict[str, Tone] = {
    **dict.fromkeys(
        ("allow", "answered", "applied", "done", "approve", "approved", "chosen", "planned", "closed"),
        "good",
    ),
    **dict.fromkeys(("degraded", "stand-in", "alternate", "defer", "cut", "half-open", "unknown"), "warn"),
    **dict.fromkeys(
        ("timed-out", "cold", "not-asked", "overloaded", "called-off", "dropped", "withdrawn"), "warn"
    ),
    **dict.fromkeys(
        ("block", "failed", "refused", "reject", "rejected", "error", "open", "canceled", "cancelled"), "bad"
    ),
    **dict.fromkeys(("expired", "gap", "nothing-to-ask", "unread", "answered-badly"), "bad"),
    **dict.fromkeys(
        ("review", "escalate", "escalated", "waiting", "asked", "edit", "edited", "person", "claimed"),
        "accent",
    ),
}


def tone(outcome: str) -> Tone:
    """Of an outcome, as far as it is known; else none."""
    return _TONES.get(outcome.lower(), "quiet")


def tone_of(step: Step) -> Tone:
    """The same of a decision, whose kind may tell more."""
    said = step.said
    if step.kind == "resolve_conflict" and said.outcome == "open":
        return "accent"
    if step.kind == "route" and said.outcome == "answered" and "alternate" in degraded(step):
        return "warn"
    return tone(said.outcome)


def degraded(step: Step) -> list[str]:
    """The codes of what made an answer less, or later, than it could have been."""
    codes = step.said.more.get("degraded")
    return [one_line(code, 40) for code in codes if isinstance(code, str)] if isinstance(codes, list) else []
