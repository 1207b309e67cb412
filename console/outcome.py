"""What a run came to: its answer and what is missing from it, who asked, what it cost, and what became of each action."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console import plain, tones, wording
from console.steps import Step
from console.tones import Tone

_LINK = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True, slots=True)
class Head:
    """What a run came to; `why`, where it was ended from outside. `gaps` are (what, why); times are seconds since the epoch, 0 where they are not known."""

    id: str
    title: str
    request: str
    outcome: str
    tone: Tone
    is_open: bool
    reply: str
    why: str
    gaps: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]
    degraded: tuple[str, ...]
    caller: str
    started: float
    ms: float
    correlation: str
    trace: str
    trace_link: str
    decisions: int
    agents: int
    tokens: float
    micros: float
    intact: bool | None


@dataclass(frozen=True, slots=True)
class Action:
    """An action that was proposed `by` somebody, and what became of it; `is_own` where whoever judged it proposed it.

    `address` is its key as a part of an address.
    """

    key: str
    address: str
    name: str
    arguments: str
    outcome: str
    tone: Tone
    said: str
    by: str
    is_own: bool


def rows(document: Mapping[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    return found if isinstance(found, list) else []


def part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def head(document: Mapping[str, Any], steps: Sequence[Step], now: float) -> Head:
    run = part(document, "run")
    report = part(run, "report")
    outcome = str(report.get("outcome") or run.get("state") or "unknown")
    started, ended = plain.moment(run.get("started")), plain.moment(run.get("ended"))
    models = [step.said for step in steps if step.kind == "model_call"]
    gaps = [gap for gap in rows(report, "gaps") if isinstance(gap, Mapping)]
    link = part(document, "links").get("trace")
    return Head(
        id=plain.one_line(run.get("id") or "", 80),
        title=plain.one_line(run.get("request") or "") or "A request without words",
        request=plain.text(run.get("request") or ""),
        outcome=plain.one_line(outcome, 40),
        tone=tones.tone(outcome),
        is_open=run.get("state") in ("working", "waiting"),
        reply=plain.text(report.get("reply") or ""),
        why=plain.text(report.get("why") or "", 400),
        gaps=tuple((plain.text(gap.get("what"), 400), plain.text(gap.get("why"), 800)) for gap in gaps[:32]),
        unread=tuple(plain.text(words, 400) for words in rows(report, "unread")[:32]),
        degraded=tuple(plain.one_line(code, 60) for code in rows(report, "degraded")[:16]),
        caller=plain.one_line(run.get("caller") or "", 80),
        started=started,
        ms=max((ended or now) - started, 0.0) * 1000 if started else 0.0,
        correlation=plain.one_line(run.get("correlation") or run.get("task_id") or "", 80),
        trace=plain.one_line(run.get("trace") or "", 80),
        trace_link=link if isinstance(link, str) and _LINK.fullmatch(link) else "",
        decisions=len(steps),
        agents=len({step.said.agent for step in steps}),
        tokens=sum(plain.number(said.tokens_in) + plain.number(said.tokens_out) for said in models),
        micros=sum(plain.number(said.micros) for said in models),
        intact=found if isinstance(found := document.get("intact"), bool) else None,
    )


def actions(steps: Sequence[Step]) -> list[Action]:
    """Every action that was judged, with what became of it, in the order in which they came up."""
    of: dict[str, list[Step]] = {}
    for step in sorted(steps, key=lambda step: step.at):
        if step.said.action and step.kind in ("gate", "review", "effect"):
            of.setdefault(step.said.action, []).append(step)
    found = []
    for key, about in of.items():
        last = ([step for step in about if step.kind == "effect"] or about)[-1]
        calls = [step.said.call for step in about if step.said.call is not None]
        given = next((call.arguments for call in calls if call.arguments), _told(about, "arguments"))
        by = _told(about, "proposed_by")
        found.append(
            Action(
                key=plain.one_line(key, 80),
                address=about[0].action_address,
                name=next(filter(None, map(wording.action_of, about)), "an action"),
                arguments=plain.prose(given, 300) if given else "",
                outcome=wording.outcome_of(last),
                tone=tones.tone_of(last),
                said=plain.text(last.said.reason, 300),
                by=plain.one_line(by or "", 80),
                is_own=by in {step.said.agent for step in about if step.kind == "gate"},
            )
        )
    return found


def _told(about: Sequence[Step], name: str) -> Any:
    return next((step.said.more[name] for step in about if step.said.more.get(name)), None)
