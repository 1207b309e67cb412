"""How good or bad news a decision is: what colours it, on a page and on a terminal."""

from __future__ import annotations

from typing import Literal

from meshwright.explaining.plain import one_line
from meshwright.explaining.steps import Step

#: `accent` is what waits for, or comes from, people.
Tone = Literal["good", "warn", "bad", "accent", "quiet"]

_CODES: dict[Tone, str] = {
    "good": "allow answered applied done approve approved chosen planned closed wants-tools",
    "warn": "degraded stand-in alternate defer cut half-open unknown"
    " timed-out cold not-asked overloaded called-off dropped withdrawn",
    "bad": "block failed refused reject rejected error open canceled cancelled"
    " expired gap nothing-to-ask unread answered-badly",
    "accent": "review escalate escalated waiting asked edit edited person claimed",
}
_TONES = {code: tone for tone, codes in _CODES.items() for code in codes.split()}


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
