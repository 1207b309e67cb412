"""What a run came to: its answer and what is missing from it, who asked, what it cost, and what became of each action."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshwright.explaining import plain, sentences, tones
from meshwright.explaining.plain import Document, members, part, rows
from meshwright.explaining.sentences import ACTS
from meshwright.explaining.steps import Step, address
from meshwright.explaining.tones import Tone

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

    `address` is its key as a part of an address; `outcome` says `code` in words.
    """

    key: str
    address: str
    name: str
    arguments: str
    code: str
    outcome: str
    tone: Tone
    said: str
    by: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """An agent whose decisions could not be had."""

    agent: str
    count: int
    why: str

    @property
    def words(self) -> str:
        return f"{plain.many(self.count, 'decision') if self.count else 'Decisions'} of {self.agent} cannot be had"


def head(document: Document, steps: Sequence[Step], now: float) -> Head:
    run = part(document, "run")
    report = part(run, "report")
    # the report of a run that was cancelled while it waited says that it waits, in older builds
    outcome = str(run.get("state") or report.get("outcome") or "unknown")
    started, ended = plain.moment(run.get("started")), plain.moment(run.get("ended"))
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
        gaps=tuple(
            (plain.text(gap.get("what"), 400), plain.text(gap.get("why"), 800))
            for gap in rows(report, "gaps")[:32]
        ),
        unread=tuple(plain.text(words, 400) for words in members(report, "unread")[:32]),
        degraded=tuple(plain.one_line(code, 60) for code in members(report, "degraded")[:16]),
        caller=plain.one_line(run.get("caller") or "", 80),
        started=started,
        ms=max((ended or now) - started, 0.0) * 1000 if started else 0.0,
        correlation=plain.one_line(run.get("correlation") or run.get("task_id") or "", 80),
        trace=plain.one_line(run.get("trace") or "", 80),
        trace_link=link if isinstance(link, str) and _LINK.fullmatch(link) else "",
        decisions=len(steps),
        agents=len({step.said.agent for step in steps}),
        tokens=_tokens(steps),
        micros=sum(plain.number(step.said.micros) for step in steps if step.kind == "model_call"),
        intact=found if isinstance(found := document.get("intact"), bool) else None,
    )


def actions(steps: Sequence[Step]) -> list[Action]:
    """Every action that was judged, with what became of it, in the order in which they came up."""
    of: dict[str, list[Step]] = {}
    for step in sorted(steps, key=lambda step: step.at):
        if step.said.action and step.kind in ACTS:
            of.setdefault(step.said.action, []).append(step)
    return [became(key, about) for key, about in of.items()]


def became(key: str, steps: Sequence[Step]) -> Action:
    """The one with this key, by what was decided on it, the oldest first: its effect counts, else the last word on it."""
    about = [step for step in steps if step.said.action == key]
    last = next(iter(sorted(about, key=lambda step: step.kind == "effect")[-1:]), None)
    calls = [step.said.call for step in about if step.said.call is not None]
    given = next((call.arguments for call in calls if call.arguments), _told(about, "arguments"))
    by = _told(about, "proposed_by")
    return Action(
        key=plain.one_line(key, 80),
        address=address(key),
        name=next(filter(None, map(sentences.action_of, about)), "an action"),
        arguments=plain.prose(given, 300) if given else "",
        code=plain.one_line(last.said.outcome, 40) if last else "",
        outcome=sentences.outcome_of(last) if last else "not decided",
        tone=tones.tone_of(last) if last else "quiet",
        said=plain.text(last.said.reason, 300) if last else "",
        by=plain.one_line(by or "", 80),
        is_own=by in {step.said.agent for step in about if step.kind == "gate"},
    )


def missing(document: Document) -> list[Missing]:
    """Of whom it cannot be had what they decided."""
    return [
        Missing(
            plain.one_line(row.get("agent") or "an agent", 80),
            len(members(row, "ids")),
            plain.text(row.get("why") or "it did not say why", 400),
        )
        for row in rows(document, "missing")
    ]


def _tokens(steps: Sequence[Step]) -> float:
    """What models used, by their own rows, or by what those who were asked first say; the same tokens stand in both."""
    counted = sum(step.tokens for step in steps if step.kind == "model_call")
    task = steps[0].said.task if steps else ""
    told = sum(step.tokens for step in steps if step.kind == "agent_call" and step.said.task == task)
    return max(counted, told)


def _told(about: Sequence[Step], name: str) -> Any:
    return next((step.said.more[name] for step in about if step.said.more.get(name)), None)
