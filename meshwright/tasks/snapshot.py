"""A task as its row and its log have it: what every replica answers from."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from a2a.types import Message, Task

from meshwright.tasks.events import fold, since

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshwright.database import Row, Transaction

#: Versions the stored body may lag behind its log: a long stream must not write the whole task with each line.
LAG = 32

Work = Literal["queued", "running", "parked", "ended"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write to a task: it holds for as long as the row carries this token."""

    task_id: str
    token: int


@dataclass(slots=True)
class Envelope:
    """A message in a task's inbox, with what came around it.

    `seconds` is what was left of its deadline when it was `read`, on the monotonic clock; `fresh` says that it was read from the wire
    just now, and not from its row by whoever took the task up.
    """

    turn: int
    message: Message
    headers: Mapping[str, str]
    caller: str
    seconds: float
    fresh: bool = True
    read: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds that are left of its deadline now: a database that lets it wait gives it no time."""
        return self.seconds - (time.monotonic() - self.read)


@dataclass(slots=True)
class Snapshot:
    """A task at a version. Messages up to `answered` of the `asked` ones are worked off."""

    task: Task
    version: int
    work: Work
    asked: int
    answered: int
    holder: str
    token: int
    claims: int
    pushes: int
    body_version: int
    why: str = ""
    #: Whether somebody else has this very task, who must not see it change.
    task_is_shared: bool = False

    def shared(self) -> Snapshot:
        """One that goes on while this one stays as it is."""
        self.task_is_shared = True
        return Snapshot(
            *(self.task, self.version, self.work, self.asked, self.answered, self.holder, self.token),
            *(self.claims, self.pushes, self.body_version, self.why, True),
        )

    def own_task(self) -> Task:
        """The task, to be changed."""
        if self.task_is_shared:
            task = Task()
            task.CopyFrom(self.task)
            self.task, self.task_is_shared = task, False
        return self.task


COLUMNS = "id, version, body, body_version, work, asked, answered, holder, token, claims, pushes, why"


async def load(tx: Transaction, row: Row) -> Snapshot:
    """The snapshot of a row that holds COLUMNS, brought up to its version from the log."""
    task = Task.FromString(bytes(row["body"]))
    if row["body_version"] < row["version"]:
        # Not beyond it: what comes in between the two looks is told to those who follow from here, and would be in the task twice.
        for _, _, event in await since(tx, row["id"], row["body_version"], row["version"]):
            fold(task, event)
    return Snapshot(
        task,
        row["version"],
        row["work"],
        row["asked"],
        row["answered"],
        row["holder"],
        row["token"],
        row["claims"],
        row["pushes"],
        row["body_version"],
        row["why"],
    )


async def find(tx: Transaction, agent: str, owner: str | None, task_id: str) -> Snapshot | None:
    """The task, if it is this agent's and, with `owner`, that owner's."""
    whose, values = ("", ()) if owner is None else (" AND owner = ?", (owner,))
    rows = await tx.execute(
        f"SELECT {COLUMNS} FROM tasks WHERE id = ? AND agent = ?{whose}", task_id, agent, *values
    )
    return await load(tx, rows[0]) if rows else None
