"""How a decision looks on a terminal: a line with its sentence, what it came to and what it took, and below it what it rested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshwright.explaining import plain, sentences, tones
from meshwright.explaining.particulars import besides, is_short, particulars
from meshwright.explaining.story import Telling, telling

if TYPE_CHECKING:
    from rich.text import Text

    from meshwright.explaining.steps import Step
    from meshwright.explaining.tones import Tone

#: Style and mark of news.
MARKS: dict[Tone, tuple[str, str]] = {
    "good": ("green", "✓"),
    "warn": ("yellow", "!"),
    "accent": ("yellow", "!"),
    "bad": ("red", "✗"),
    "quiet": ("", "·"),
}
#: Characters of a text, and points, where not all of it is wanted.
BRIEF, FEW = 140, 12
#: Characters of a text where all of it is wanted: the mesh keeps no more.
ALL = 4_000


def mood(outcome: str) -> tuple[str, str]:
    """Style and mark of an outcome. One that is not known has none."""
    return MARKS[tones.tone(outcome)]


def head(step: Step) -> Text:
    """The line."""
    from rich.text import Text

    style, mark = MARKS[tones.tone_of(step)]
    words, outcome = flat(sentences.sentence(step)), sentences.outcome_of(step)
    line = Text.assemble((f"{mark} ", style), (step.kind, "cyan"), f"  {words}")
    if outcome and not words.endswith(outcome):
        line.append(f"  {outcome}", style)
    if measured := measures(step):
        line.append(f"  {' · '.join(measured)}", "dim")
    return line


def measures(step: Step) -> list[str]:
    """How long, how much time was left when it began, what it used and was given."""
    said = step.said
    given = f" of {plain.number(said.tokens_given):,.0f}" if said.tokens_given is not None else ""
    micros = plain.number(said.micros)
    found = [plain.duration(step.ms / 1000)] if step.ms else []
    if said.deadline_ms is not None:
        found.append(f"{plain.duration(plain.number(said.deadline_ms, most=plain.YEAR) / 1000)} left")
    if step.kind != "model_call":  # its sentence says what it used
        found.append(plain.many(step.tokens, "token") + given if step.tokens else "")
        found.append(plain.money(micros) if micros else "")
    return [each for each in found if each]


def details(step: Step, *, full: bool = False) -> list[Text]:
    """What stands below the line; with `full` all that is known, else the part that says why."""
    if not full:
        return below(telling(step, BRIEF))
    found = below(telling(step, ALL), ALL, None)
    found += [labelled(name, value) for name, value in particulars(step)]
    if not is_short(step):
        found.append(labelled("Besides", plain.prose(besides(step), ALL)))
    if step.odd:
        found.append(labelled("Not read", ", ".join(step.odd)))
    return found


def below(told: Telling, most: int = BRIEF, few: int | None = FEW) -> list[Text]:
    """The reason, and what it rested on, a line each: of at most so many characters, and `few` lines."""
    found = [labelled(told.lead, told.because, most)] if told.because else []
    points = told.points[:few]
    found += [labelled(point.label, point.words, most, MARKS[point.tone][0]) for point in points]
    if gone := len(told.points) - len(points):
        found.append(labelled("", f"and {plain.many(gone, 'more line')}"))
    return found


def labelled(label: str, words: str, most: int = ALL, style: str = "") -> Text:
    from rich.text import Text

    return Text.assemble((f"{flat(label)}: " if label else "", style or "dim"), flat(words, most))


def flat(words: str, most: int = ALL) -> str:
    """On one line, cut."""
    line = " ".join(words.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
