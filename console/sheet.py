"""A review as its page shows it: what stands there, what is off about it, and who may decide. Pure: from JSON to values.

It comes from a mesh that may be older or newer than this console, so every field may be missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from console.words import pretty
from meshwright.reviews.visible import skeleton
from meshwright.reviews.word import effect


def is_holder(review: Mapping[str, Any], person: str) -> bool:
    """Whether it is this person who has claimed a review just now."""
    holds = (review.get("claimed_until") or 0) > time.time()
    return bool(holds and skeleton(str(review.get("claimed_by") or "")) == skeleton(person))


#: What a page may ask a review for, with what stands there if the mesh is of another age and does not say.
_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("id", "run", "action", "proposed_by", "hash", "policy", "why", "source", "risk", "says"), ""),
    **dict.fromkeys(("decided_by", "reason", "became", "request", "client", "shown", "about", "claimed_by"), ""),
    **dict.fromkeys(("created", "due", "expires", "decided", "claimed_until", "amount", "confidence", "edited_from")),
    "state": "open", "needed": 1, "version": 0, "odd": False, "conflict": {}, "escalated": False, "evidence": [], "provenance": {}, "remarks": [],
}  # fmt: skip


def known(review: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: found if (found := review.get(name)) is not None else value for name, value in _FIELDS.items()
    }


def may_not(review: Mapping[str, Any], me: str, approvals: list[dict[str, Any]]) -> str:
    """Why this person cannot approve it; empty if they can. The mesh decides; this only saves them the way."""
    mine = skeleton(me)
    if mine == skeleton(str(review.get("proposed_by") or "")):
        return "You proposed this yourself: another person has to approve it."
    if mine == skeleton(str(review.get("client") or "")):
        return "You asked for this yourself: another person has to approve it."
    if any(mine == skeleton(str(vote.get("by", ""))) for vote in approvals):
        return "You have approved this already: it needs another person."
    return ""


def arguments_of(review: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """(name, value, where it came from) of each argument."""
    sources = review.get("provenance") or {}
    return [
        (name, value, str(sources.get(name, "")))
        for name, value in sorted((review.get("arguments") or {}).items())
    ]


def changed(review: Mapping[str, Any]) -> dict[str, str]:
    """What stood there before a person edited it, for each argument that they changed or added."""
    before = review.get("edited_from")
    old = before.get("arguments") if isinstance(before, dict) else None
    if not isinstance(old, dict):
        return {}
    now = review.get("arguments") or {}
    return {
        name: pretty(old[name]) if name in old else "nothing" for name in now if old.get(name) != now[name]
    }


def sides_of(review: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Both sides of its conflict, also of one that an older build wrote down as lines."""
    conflict = review.get("conflict") or {}
    sides = [side for side in conflict.get("sides") or [] if isinstance(side, dict)]
    lines = [str(line).partition(": ") for line in conflict.get("candidates") or []]
    sides += [{"agent": agent, "value": value} for agent, _, value in lines]
    empty: dict[str, Any] = {
        "agent": "",
        "value": "",
        "action": "",
        "arguments": {},
        "evidence": [],
        "confidence": None,
    }
    chosen = conflict.get("chosen") or ""
    made = effect(str(review.get("action", "")), review.get("arguments") or {})
    return [
        {
            **empty,
            **side,
            "is_this": side.get("fingerprint") == made,
            "is_chosen": bool(chosen) and chosen in (side.get("fingerprint"), side.get("value")),
        }
        for side in sides
    ]


def draft_of(review: Mapping[str, Any]) -> str:
    """The arguments to be edited: JSON over several lines, with what would hide in it as escapes."""
    return pretty(review.get("arguments") or {})


def has_words(row: Mapping[str, Any], words: str) -> bool:
    """Whether a row has all words somewhere in what the list shows, and in its ids."""
    names = (
        "id",
        "run",
        "action",
        "shown",
        "why",
        "policy",
        "proposed_by",
        "claimed_by",
        "decided_by",
        "reason",
    )
    text = " ".join(str(row.get(name) or "") for name in names).casefold()
    return all(word in text for word in words.casefold().split())
