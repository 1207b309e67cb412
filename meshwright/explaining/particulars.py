"""The small print of a decision: what is known of it as pairs of a name and a value, and what it is about in one name."""

from __future__ import annotations

from typing import Any

from meshwright.explaining import plain, sentences
from meshwright.explaining.steps import Step

#: Of what a kind has besides, what stands elsewhere.
_ELSEWHERE = frozenset(("facts", "arguments", "parts", "proposed_by", "waited_s"))
#: Whose reason it is.
_SOURCES = {
    "code": "the program",
    "policy": "the policy",
    "model": "a model",
    "person": "a person",
    "peer": "another agent",
}


def subject(step: Step) -> str:
    """Whom or what it is about: the agent that was asked, the tool, the action, the person."""
    said = step.said
    if step.kind in ("gate", "effect") and (action := sentences.action_of(step)):
        return action
    if step.kind == "review":
        return plain.one_line(said.person, 80) or sentences.action_of(step) or "a person"
    tool = said.call.tool if said.call else ""
    return plain.one_line(said.selected or tool or said.subtask, 80) or sentences.who(said.agent)


def particulars(step: Step) -> list[tuple[str, str]]:
    """What is known besides the reason; what is not known is not there."""
    said = step.said
    tokens = f"{plain.number(said.tokens_in):,.0f} in, {plain.number(said.tokens_out):,.0f} out"
    used = [tokens] if said.tokens_in or said.tokens_out else []
    used += [plain.money(plain.number(said.micros))] if said.micros else []
    given = said.tokens_given is not None
    left = said.deadline_ms is not None
    found: list[tuple[str, str]] = [
        ("Decided by", f"{sentences.who(said.agent)}, {_SOURCES.get(said.source, said.source)}"),
        ("When", f"{plain.clock(step.at)} UTC"),
        ("Asked for by", said.caller),
        ("Part", said.subtask),
        ("Proposed by", _text(said.more.get("proposed_by"))),
        ("Waited", plain.duration(step.waited) if step.waited else ""),
        ("Chosen", said.selected),
        ("Server", said.call.server if said.call else ""),
        ("How", said.strategy),
        ("How sure", "" if said.confidence is None else plain.score(said.confidence)),
        ("Rule", said.policy),
        ("Risk", said.risk),
        ("Person", said.person),
        ("Time left", plain.duration(plain.number(said.deadline_ms, most=plain.YEAR) / 1000) if left else ""),
        ("Tokens given", f"{plain.number(said.tokens_given):,.0f}" if given else ""),
        ("Used", ", ".join(used)),
        ("Besides", plain.prose(besides(step)) if is_short(step) else ""),
        ("Task there", said.remote),
        ("Action", said.action),
        ("Decision", said.id),
        ("Span", f"{said.trace}/{said.span}" if said.span else ""),
    ]
    return [(name, plain.text(value, 400)) for name, value in found if value != ""]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def besides(step: Step) -> dict[str, Any]:
    """What a decision of its kind has that stands nowhere else."""
    return {name: value for name, value in step.said.more.items() if name not in _ELSEWHERE}


def is_short(step: Step) -> bool:
    """Whether that fits a line."""
    more = besides(step)
    nested = any(isinstance(value, dict | list) and value for value in more.values())
    return not nested and len(str(more)) < 200
