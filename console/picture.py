"""One run as a picture of its reasoning: what it came to, what to look at first, what was left out, who did what when, and every decision.

Pure: the answer of the orchestrator's `/runs/{id}/chain` goes in, what the page shows comes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from console.timeline import Timeline, timeline
from meshwright.explaining import plain, sentences, tones
from meshwright.explaining.outcome import Action, Head, Missing, actions, head, missing
from meshwright.explaining.steps import Step, outline
from meshwright.explaining.tones import Tone

#: Decisions on one page.
PAGE = 120


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to look at first, and the decision where it stands; the same may have happened several `times`."""

    tone: Tone
    what: str
    why: str
    step: Step
    times: int = 1


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A piece of context that `agent` was not given; `what` says what it is, where that is known."""

    agent: str
    key: str
    what: str
    why: str
    bytes: float
    step: Step


@dataclass(frozen=True, slots=True)
class Line:
    """A decision in the outline. It `opens` a list below the one before, `holds` the list of those below it, and `closes` as many."""

    step: Step
    sentence: str
    outcome: str
    tone: Tone
    omitted: str
    is_open: bool
    opens: bool
    holds: bool
    closes: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter: its value, name, how many there are, and whether it is in use."""

    value: str
    name: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the run is to be seen: decisions of one kind, of one agent; from which on; which are unfolded (an id, or `all`)."""

    kind: str = ""
    agent: str = ""
    start: int = 0
    unfolded: str = ""

    @property
    def filtered(self) -> bool:
        return bool(self.kind or self.agent)


@dataclass(frozen=True, slots=True)
class Picture:
    head: Head
    notices: tuple[Notice, ...]
    left_out: tuple[LeftOut, ...]
    actions: tuple[Action, ...]
    timeline: Timeline
    lines: tuple[Line, ...]
    found: int
    after: int
    kinds: tuple[Choice, ...]
    agents: tuple[Choice, ...]
    missing: tuple[Missing, ...]
    asked: Asked


def picture(document: Mapping[str, Any], asked: Asked, now: float) -> Picture:
    """`document` is the answer for the chain of a run; `now` counts for one that has not ended."""
    steps = outline(plain.members(document, "decisions"))
    chosen = [
        step for step in steps if asked.kind in ("", step.kind) and asked.agent in ("", step.said.agent)
    ]
    if asked.unfolded not in ("", "all"):  # whoever follows a link to a decision gets the page it is on
        places = [place for place, step in enumerate(chosen) if step.label == asked.unfolded]
        asked = replace(asked, start=places[0] // PAGE * PAGE) if places else asked
    page = chosen[asked.start : asked.start + PAGE]
    after = asked.start + PAGE if asked.start + PAGE < len(chosen) else 0
    return Picture(
        head(document, steps, now),
        tuple(_notices(steps)),
        tuple(_left_out(steps)),
        tuple(actions(steps)),
        timeline(steps),
        _lines(page, asked),
        len(chosen),
        after,
        _choices(Counter(step.kind for step in steps), asked.kind, sentences.LABELS),
        _choices(Counter(step.said.agent for step in steps), asked.agent, {}),
        tuple(missing(document)),
        asked,
    )


def _left_out(steps: Sequence[Step]) -> list[LeftOut]:
    return [
        LeftOut(
            plain.one_line((step.said.selected if step.kind == "route" else "") or step.said.agent, 80),
            plain.one_line(piece.key, 200),
            sentences.piece(piece.key),
            sentences.WITHHELD.get(piece.why, piece.why),
            plain.number(piece.bytes),
            step,
        )
        for step in steps
        for piece in step.said.omitted
    ]


def _notices(steps: Sequence[Step]) -> list[Notice]:
    """What is out of the ordinary, the worst first."""
    found: list[Notice] = []
    for step in steps:
        tone, kind = tones.tone_of(step), step.kind
        call = step.said.call
        if kind == "agent_call" and step.said.outcome == "stand-in":
            continue  # the choice that led to it says so
        if kind in ("tool_call", "agent_call") and (tone in ("bad", "warn") or (call and call.error)):
            found.append(_notice("warn" if tone == "warn" else "bad", step))
        elif kind == "route" and (tone in ("warn", "bad") or not step.said.selected):
            found.append(_notice("warn" if step.said.selected else "bad", step))
        elif kind in ("gate", "effect") and tone in ("bad", "warn", "accent"):
            found.append(_notice(tone, step))
        elif kind in ("resolve_conflict", "breaker", "budget"):
            found.append(_notice("accent" if tone == "accent" else "warn", step))
        elif kind == "plan" and (tone == "bad" or sentences.unread(step)):
            found.append(_notice("bad" if tone == "bad" else "warn", step))
        elif kind == "final" and tone != "good":
            found.append(_notice(tone, step))
        elif kind == "review":
            found.append(_notice("accent", step))
    order = ("bad", "warn", "accent", "good", "quiet")
    once: dict[tuple[str, str], Notice] = {}
    for notice in sorted(found, key=lambda notice: order.index(notice.tone)):
        known = once.get((notice.what, notice.why))
        once[notice.what, notice.why] = replace(known, times=known.times + 1) if known else notice
    return list(once.values())


def _notice(tone: Tone, step: Step) -> Notice:
    return Notice(tone, sentences.sentence(step), sentences.reason_of(step, 300), step)


def _lines(steps: Sequence[Step], asked: Asked) -> tuple[Line, ...]:
    """As an outline; where filters are on they stand in one list."""
    depths: list[int] = []
    for step in steps:  # a page may begin in the middle
        depths.append(0 if asked.filtered else min(step.depth, depths[-1] + 1 if depths else 0))
    return tuple(
        Line(
            step,
            sentences.sentence(step),
            sentences.outcome_of(step),
            tones.tone_of(step),
            omitted(step),
            is_open=asked.unfolded in ("all", step.label),
            opens=depth > before,
            holds=after > depth,
            closes=max(depth - after, 0),
        )
        for step, before, depth, after in zip(steps, [0, *depths], depths, [*depths[1:], 0], strict=False)
    )


def omitted(step: Step) -> str:
    """How much context was left out, and why, in a few words; empty where none was."""
    left = Counter(piece.why for piece in step.said.omitted)
    if not left:
        return ""
    return (
        f"{sum(left.values())} left out: {', '.join(f'{count} {why}' for why, count in left.most_common())}"
    )


def _choices(counts: Counter[str], chosen: str, names: Mapping[str, str]) -> tuple[Choice, ...]:
    known = list(sentences.LABELS)
    order = sorted(counts, key=lambda value: (known.index(value) if value in known else len(known), value))
    return tuple(
        Choice(value, plain.one_line(names.get(value, value), 80), counts[value], value == chosen)
        for value in order
    )
