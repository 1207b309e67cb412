"""What somebody is told for a part of a request, and what is known and kept from them: for the record of the choice.

A piece is known by its name, its size and a keyed hash. It is left out for `relevance` (the part does not need it), because it is
`personal` (about somebody, and the part does not need it), for `budget` (there is no room for it), or as `stale`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshwright.audit import privacy

if TYPE_CHECKING:
    from meshwright.findings import Subtask
    from meshwright.records.context import Context
    from meshwright.records.decision import Withheld

#: Of a finding, what others are never told; its `facts` are what they may need.
_OWN = ("claims", "proposals", "reply", "gaps")


def to_split(context: Context, request: str, instruction: str) -> None:
    """Who splits a request reads its words, as far as there is room."""
    context.passed("instruction", instruction, "request")
    if len(request) > len(instruction):
        context.omitted("request", "budget", len(request) - len(instruction))


def to_part(context: Context, state: Mapping[str, Any], subtask: Subtask) -> None:
    """Who does a part gets the customer's words, what the splitter read out of them for it, and the facts of what it needs."""
    context.passed("request", state["request"], "request")
    context.passed("instruction", subtask.instruction, "split")
    context.fields("details", subtask.details, "split")
    for name, facts in subtask.context.items():
        needed = name in state["findings"]
        context.passed(f"facts.{name}", facts, f"finding:{name}" if needed else "effect")
    for name, finding in state["findings"].items():
        if name in subtask.context:
            rest = {field: finding[field] for field in _OWN if finding.get(field)}
            if rest:
                context.omitted(f"rest.{name}", "relevance", _size(rest))
        else:
            context.omitted(f"finding.{name}", _why(finding), _size(finding))


def to_merge(context: Context, state: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """Who puts findings together gets all of them, and not what is known besides."""
    for finding in details["findings"]:
        name = finding["subtask"]
        context.passed(f"finding.{name}", finding, f"finding:{name}")
    for name, source in (("words", "request"), ("asked", "split"), ("table", "policy")):
        context.passed(name, details[name], source)
    for name in ("unread", "gaps", "actions"):
        if state[name]:
            context.omitted(name, "relevance", _size(state[name]))


def answer(context: Context, said: Mapping[str, Any], source: str) -> None:
    """Who asked in the middle of its work gets the answer, on its own task."""
    context.passed("answer", dict(said), source)


def about_somebody(value: Any) -> bool:
    """Whether a JSON value is about a person, by the names of its fields."""
    return any(map(privacy.is_personal, _fields(value)))


def _why(finding: Mapping[str, Any]) -> Withheld:
    return "personal" if about_somebody(finding.get("facts", {})) else "relevance"


def _fields(value: Any) -> set[str]:
    """The names of all fields in a JSON value."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            found |= {str(name) for name in each}
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return found


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), default=str))
