"""What was seen of a storm from outside: by clients, by the recorder, in the database's leases. `verdict` judges it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

TERMINAL = {"completed", "failed", "canceled", "rejected"}
WAITING = {"input_required", "auth_required"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task whose id a client was given: by which message, of whom."""

    message_id: str
    who: str


@dataclass(frozen=True, slots=True)
class Final:
    """A task after the storm, as one replica tells it. `messages` are the ids in its history, `receipts` the keys of the
    effects that its report claims; `reason` is what it waits for, `asks` the question among that. `outcome` is the report's, and `heard` what
    its reply repeats of the client's answers."""

    replica: str
    state: str
    content: str = ""
    reason: str = ""
    messages: frozenset[str] = frozenset()
    receipts: frozenset[str] = frozenset()
    asks: str = ""
    outcome: str = ""
    heard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """A person was told that their word on a review counts; `over`: and that it decided."""

    review: str
    who: str
    decision: str
    over: bool


@dataclass(frozen=True, slots=True)
class Takeover:
    """An orphan's seconds from the kill until somebody else had it. `survivor`: a ready replica lived through all of them."""

    seconds: float
    survivor: bool


@dataclass(slots=True)
class History:
    """`accepted` is by task id. `final` has every replica's word on a task; a replica that does not know it says nothing."""

    accepted: dict[str, Accepted] = field(default_factory=dict)
    #: Messages that are not in `accepted`, because another task was made of the same message before.
    doubled: list[str] = field(default_factory=list)
    #: Follow-ups that were acknowledged: messageId to task id.
    followed: dict[str, str] = field(default_factory=dict)
    #: Questions that a task has put to its client, by their ids; texts that its client has sent, of which the first heard is the answer.
    asked: dict[str, set[str]] = field(default_factory=dict)
    said: dict[str, set[str]] = field(default_factory=dict)
    #: What people were told of their words on reviews; and how often they, and clients who answer, have sent any.
    told: list[Told] = field(default_factory=list)
    words: int = 0
    #: How often they got no answer, and sent the same again.
    again: int = 0
    ended: dict[str, tuple[str, str]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    hung: list[str] = field(default_factory=list)
    final: dict[str, list[Final]] = field(default_factory=dict)
    #: Work of any agent that had no end, no wait and no holder's end in sight when all was over: agent and task.
    unfinished: list[str] = field(default_factory=list)
    #: Runs that have a review which nobody decided.
    reviewed: set[str] = field(default_factory=set)
    takeovers: list[Takeover] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    #: Rises with everything that the mesh gets done, so that a killer can see whether it still works.
    moves: int = 0
    #: What happened when, for whoever has to find out why.
    notes: list[str] = field(default_factory=list)
    _seen: dict[str, float] = field(default_factory=dict)
    _task_of: dict[str, str] = field(default_factory=dict)

    def note(self, what: str) -> None:
        self.notes.append(f"{datetime.now().isoformat(timespec='milliseconds')} {what}")

    def accept(self, task_id: str, message_id: str, who: str) -> None:
        """A client was told that its message is this task. One message is one task, whoever is asked, however often."""
        first = self._task_of.setdefault(message_id, task_id)
        if task_id not in self.accepted:
            self.accepted[task_id] = Accepted(message_id, who)
            self.note(f"accepted {task_id} of message {message_id}")
            self.moves += 1
            if first != task_id:
                self.doubled.append(f"message {message_id}: tasks {first} and {task_id}")

    def saw(self, task_id: str, state: str, content: str, where: str, asked: float = 0.0) -> None:
        """Somebody's word on a task. An end, once seen, must be what everybody sees ever after.

        `content` is empty where only the state was to be seen. `asked` is the monotonic instant of the question: an answer to one
        that was asked before the end was seen may be older than the end, and so may what a stream says (0).
        """
        before = self.ended.get(task_id)
        if before is None:
            if state in TERMINAL:
                self.ended[task_id] = (state, content)
                self._seen[task_id] = time.monotonic()
                self.moves += 1
            return
        if state != before[0]:
            if state in TERMINAL or asked > self._seen[task_id]:
                self.changes.append(f"{task_id}: {before[0]}, then {state} at {where}")
        elif content and before[1] and content != before[1]:
            self.changes.append(
                f"{task_id}: {state}, but with another content at {where}: {_difference(before[1], content)}"
            )
        elif content and not before[1]:
            self.ended[task_id] = (state, content)

    def missed(self, task_id: str, where: str) -> None:
        """A replica said that it does not know an accepted task."""
        self.unknown.setdefault(task_id, where)


def _difference(one: str, other: str) -> str:
    """From where on two texts differ, a piece of each."""
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    return f"…{one[place : place + 80]} / …{other[place : place + 80]}"
