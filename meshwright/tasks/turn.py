"""One turn of a task: what whoever works on it is given, and what they may say to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from a2a.types import Task

from meshwright.records.minutes import Minutes
from meshwright.tasks.events import Event
from meshwright.tasks.held import Held
from meshwright.tasks.snapshot import Claim, Envelope


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to work on, and the task it belongs to. `attempt` is 1, or more after others died over it.

    What is decided meanwhile goes into `minutes`, and is kept in the transaction that ends the turn at the latest.
    """

    held: Held
    envelope: Envelope
    attempt: int
    minutes: Minutes = field(default_factory=lambda: Minutes(""))

    @property
    def claim(self) -> Claim:
        return self.held.claim

    @property
    def task(self) -> Task:
        return self.held.task

    async def record(self, *happened: Event) -> None:
        """Append progress to the log. Raises LeaseLost."""
        await self.held.append(happened)


#: Works on a turn; what it returns ends the turn, with a terminal or interrupted status last.
Perform = Callable[[Turn], Awaitable[Sequence[Event]]]


class Postponed(Exception):
    """This build cannot do it, another may: the task goes back into the queue for `seconds`. The text says why."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds
