"""Why something happened, told in order, in sentences: each step with its reason and what it rested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console import plain, tones, wording
from console.outcome import Action, Head, actions, head, rows
from console.particulars import facts
from console.steps import Step, flat, outline
from console.tones import Tone
from meshwright.records import chain

#: Steps of a story; who needs more has the run itself.
MOST = 120
#: What an answer rests on, where nobody asks for one action.
_ANSWER = ("plan", "route", "agent_call", "tool_call", "model_call", "context", "resolve_conflict", "final")


@dataclass(frozen=True, slots=True)
class Point:
    """What a step rested on: a label, and the words or the JSON. `tone` is `warn` where something was left out or went wrong."""

    label: str
    words: str
    tone: Tone = "quiet"


@dataclass(frozen=True, slots=True)
class Telling:
    """One step of a story."""

    step: Step
    sentence: str
    because: str
    tone: Tone
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """`action` is None where the answer itself is explained. `left_out` steps are only in the run."""

    head: Head
    action: Action | None
    tellings: tuple[Telling, ...]
    left_out: int

    @property
    def title(self) -> str:
        """The question that it answers."""
        if self.action is None:
            return "Why this answer?"
        return _TITLES.get(self.action.tone, "What became of {}, and why?").format(self.action.name)


_TITLES = {
    "good": "Why was {} carried out?",
    "bad": "Why was {} not carried out?",
    "accent": "Why does {} wait for a person?",
}


def story(document: Mapping[str, Any], action: str, now: float) -> Story | None:
    """What led to the action with this key, or with none to the answer. None for an action that nobody knows of."""
    decisions = rows(document, "decisions")
    steps = outline(decisions)
    if action:
        told = flat(chain.why([row for row in decisions if isinstance(row, Mapping)], action))
        about = next(
            (each for each in actions(steps) if each.address and each.key == plain.one_line(action, 80)), None
        )
        if not told or about is None:
            return None
    else:
        about = None
        told = [step for step in steps if step.kind in _ANSWER and not step.said.action]
    tellings = [each for each in map(telling, told) if not _says_nothing(each)][:MOST]
    return Story(head(document, steps, now), about, tuple(tellings), len(told) - len(tellings))


def telling(step: Step) -> Telling:
    return Telling(
        step,
        wording.sentence(step),
        wording.reason_of(step),
        tones.tone_of(step),
        tuple(_points(step)),
    )


def _says_nothing(told: Telling) -> bool:
    """Whether the step before it, the choice of whom to ask, has said it all."""
    step = told.step
    if step.kind == "context":
        return not step.said.omitted
    return step.kind == "agent_call" and told.tone == "good" and not told.because and not told.points


def _points(step: Step) -> list[Point]:
    said = step.said
    points = [Point("Part", f"{part}, for whoever offers {skill}") for part, skill in wording.parts(step)]
    points += [
        Point(f"Not {plain.one_line(option.name, 80)}", plain.text(option.why_not))
        for option in said.options
        if option.why_not and option.name != said.selected
    ]
    if said.passed:
        points.append(
            Point("It was given", plain.listed([plain.one_line(p.key, 80) for p in said.passed], 12))
        )
    points += [
        Point(
            "It was not given",
            f"{_named(left.key)}: {wording.WITHHELD.get(left.why, left.why)}",
            "warn",
        )
        for left in said.omitted
    ]
    given = said.more.get("arguments") if step.kind == "gate" else None
    if given:
        points.append(Point("What exactly", plain.prose(given, 600)))
    if said.call is not None:
        if said.call.arguments not in (None, {}):
            label = "Asked with" if step.kind == "tool_call" else "What exactly"
            points.append(Point(label, plain.prose(said.call.arguments, 600)))
        if said.call.result is not None:
            points.append(Point("It returned", plain.prose(said.call.result, 1_200)))
        if said.call.error:
            points.append(Point("It failed", plain.text(said.call.error, 400), "bad"))
    points += [_side(side) for side in said.sides]
    if said.evidence:
        points.append(Point("Resting on", plain.listed([plain.one_line(e, 120) for e in said.evidence], 8)))
    if said.policy:
        risk = f" (risk: {plain.one_line(said.risk, 20)})" if said.risk else ""
        points.append(Point("Rule", plain.one_line(said.policy, 120) + risk))
    for name, words, tool in facts(step):
        tone: Tone = "warn" if words.startswith("not known") else "quiet"
        points.append(Point(f"Fact: {name}", f"{words}, from {tool}" if tool else words, tone))
    if said.more.get("edited"):
        points.append(Point("Changed to", plain.prose(said.more["edited"], 600)))
    return points


def _named(key: str) -> str:
    what = wording.piece(key)
    return f"{plain.one_line(key, 120)} ({what})" if what else plain.one_line(key, 120)


def _side(side: Any) -> Point:
    sure = f", {side.confidence:.0%} sure" if side.confidence is not None else ""
    chosen = "believed" if side.chosen else "not believed"
    words = plain.text(side.says)
    if side.arguments not in (None, {}):
        words += f" {plain.prose(side.arguments, 400)}"
    if side.evidence:
        words += f" – resting on {plain.listed([plain.one_line(e, 120) for e in side.evidence], 6)}"
    return Point(
        f"{plain.one_line(side.agent, 80)} ({chosen}{sure})", words, "good" if side.chosen else "warn"
    )
