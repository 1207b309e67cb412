"""Why something happened, told in order, in sentences: each step with its reason and what it rested on."""

from __future__ import annotations

from dataclasses import dataclass

from meshwright.explaining import plain, sentences, tones
from meshwright.explaining.outcome import Action, Head, became, head
from meshwright.explaining.points import LONG, Point, points
from meshwright.explaining.steps import Step, outline, path
from meshwright.explaining.tones import Tone

#: Steps of a story; who needs more has the run itself.
MOST = 120
#: What an answer rests on, where nobody asks for one action.
_ANSWER = ("plan", "route", "agent_call", "tool_call", "model_call", "context", "resolve_conflict", "final")


@dataclass(frozen=True, slots=True)
class Telling:
    """One step of a story."""

    step: Step
    sentence: str
    because: str
    tone: Tone
    points: tuple[Point, ...]

    @property
    def lead(self) -> str:
        """What the reason is introduced with; nothing, where it is what came of it."""
        return "" if self.step.kind in ("effect", "final") else "Because"


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
        title = _TITLES.get(self.action.code) or _TITLES.get(self.action.tone)
        return (title or "What became of {}, and why?").format(self.action.name)


_TITLES = {
    "applied": "Why was {} carried out?",
    "bad": "Why was {} not carried out?",
    "accent": "Why does {} wait for a person?",
}


def story(document: plain.Document, action: str, now: float) -> Story | None:
    """What led to the action with this key, or with none to the answer. None for an action that nobody knows of."""
    decisions = plain.members(document, "decisions")
    steps = outline(decisions)
    if action:
        told = path(decisions, action)
        if not told:
            return None
    else:
        told = [step for step in steps if step.kind in _ANSWER and not step.said.action]
    tellings = [each for each in map(telling, told) if not _says_nothing(each)][:MOST]
    about = became(action, told) if action else None
    return Story(head(document, steps, now), about, tuple(tellings), len(told) - len(tellings))


def telling(step: Step, most: int = LONG) -> Telling:
    """Each of its texts has at most so many characters."""
    because = sentences.reason_of(step, most)
    return Telling(step, sentences.sentence(step), because, tones.tone_of(step), tuple(points(step, most)))


def _says_nothing(told: Telling) -> bool:
    """Whether the step before it, the choice of whom to ask, has said it all."""
    step = told.step
    if step.kind == "context":
        return not step.said.omitted
    return step.kind == "agent_call" and told.tone == "good" and not told.because and not told.points
