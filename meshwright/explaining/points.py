"""What a decision rested on, point by point: who else there was, what was given and what was not, what was looked up, who said what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshwright.explaining import plain, sentences
from meshwright.explaining.steps import Step
from meshwright.explaining.tones import Tone

if TYPE_CHECKING:
    from meshwright.records.decision import Omitted, Side

#: Of what was looked up for the sake of others.
NOT_READ = "nothing that the rules read"
#: Characters of the words of a point.
LONG = 1_200
#: Members of a list: a row holds no more.
MANY = 32


@dataclass(frozen=True, slots=True)
class Point:
    """A label, and the words or the JSON. `tone` is `warn` where something was left out or not known, `bad` where it failed."""

    label: str
    words: str
    tone: Tone = "quiet"


def points(step: Step, most: int = LONG) -> list[Point]:
    """All of them, in the order in which one asks for them, each with at most so many characters."""
    said = step.said
    found = [Point("Part", f"{part}, for whoever offers {skill}") for part, skill in sentences.parts(step)]
    found += [
        Point(
            f"Not {plain.one_line(option.name, 80)}",
            plain.text(option.why_not.removeprefix(f"{option.name}: ")),
        )
        for option in said.options
        if option.why_not and option.name != said.selected
    ]
    if said.passed:
        bytes_ = sum(plain.number(piece.bytes) for piece in said.passed)
        keys = plain.listed([plain.one_line(piece.key, 80) for piece in said.passed], MANY)
        found.append(Point("It was given", f"{keys} ({plain.size(bytes_)})" if bytes_ else keys))
    found += [Point("It was not given", _withheld(piece), "warn") for piece in said.omitted]
    found += _call(step, most)
    found += [_side(side, most) for side in said.sides]
    if said.evidence:
        found.append(Point("Resting on", plain.listed([plain.one_line(e, 120) for e in said.evidence], MANY)))
    if said.policy:
        risk = f" (risk: {plain.one_line(said.risk, 20)})" if said.risk else ""
        found.append(Point("Rule", plain.one_line(said.policy, 120) + risk))
    found += [_fact(*fact) for fact in facts(step, most) if fact[1] != NOT_READ]
    if said.more.get("edited"):
        found.append(Point("Changed to", plain.prose(said.more["edited"], most)))
    return found


def facts(step: Step, most: int = 600) -> list[tuple[str, str, str]]:
    """What a verdict was made on: (fact, what was told of it or why it is not known, the tool that told it)."""
    found = step.said.more.get("facts")
    return [_told(name, fact, most) for name, fact in found.items()] if isinstance(found, dict) else []


def _told(name: str, fact: Any, most: int) -> tuple[str, str, str]:
    told = fact if isinstance(fact, dict) else {"told": fact}
    if told.get("not_told"):
        words = f"{plain.NOT_KNOWN}: {plain.prose(told['not_told'], most)}"
    else:
        words = plain.prose(told.get("told"), most) or NOT_READ
    return plain.one_line(name, 80), words, plain.one_line(told.get("tool"), 80)


def _fact(name: str, words: str, tool: str) -> Point:
    tone: Tone = "warn" if words.startswith(plain.NOT_KNOWN) else "quiet"
    return Point(f"Fact: {name}", f"{words}, from {tool}" if tool else words, tone)


def _withheld(piece: Omitted) -> str:
    what = sentences.piece(piece.key)
    named = plain.one_line(piece.key, 120) + (f" ({what})" if what else "")
    return f"{named}: {sentences.WITHHELD.get(piece.why, piece.why)}"


def _call(step: Step, most: int) -> Iterator[Point]:
    """What was asked for or done, exactly, and what came back."""
    call = step.said.call
    given = step.said.more.get("arguments") if step.kind == "gate" else call.arguments if call else None
    if given not in (None, {}, ""):
        yield Point("Asked with" if step.kind == "tool_call" else "What exactly", plain.prose(given, most))
    if call and call.result is not None:
        yield Point("It returned", plain.prose(call.result, most))
    if call and call.error and step.said.outcome != "called-off":
        yield Point("It failed", plain.text(call.error, 400), "bad")


def _side(side: Side, most: int) -> Point:
    sure = f", {side.confidence:.0%} sure" if side.confidence is not None else ""
    chosen = "believed" if side.chosen else "not believed"
    words = plain.text(side.says)
    if side.arguments not in (None, {}):
        words += f" {plain.prose(side.arguments, most)}"
    if side.evidence:
        words += f" – resting on {plain.listed([plain.one_line(e, 120) for e in side.evidence], MANY)}"
    return Point(
        f"{plain.one_line(side.agent, 80)} ({chosen}{sure})", words, "good" if side.chosen else "warn"
    )
