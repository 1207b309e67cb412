"""What happens to a task, as a log: each event has a version, none is ever changed, and a task is the sum of its events."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types import (
    Message,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from meshwright.database import Statement, Transaction

#: A `Message` in the log is a follow-up that was accepted; it goes into the history and is not streamed.
Event = Task | TaskStatusUpdateEvent | TaskArtifactUpdateEvent | Message

#: protobuf looks a state's name up each time.
WORKING, COMPLETED = TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED
TERMINAL = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_REJECTED,
    }
)
INTERRUPTED = frozenset({TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED})
SETTLED = TERMINAL | INTERRUPTED

#: No version is higher.
LAST = 2**62
#: As many messages as may come in while a status stands.
LATEST = 100

_KINDS: dict[str, type[Event]] = {
    "task": Task,
    "status": TaskStatusUpdateEvent,
    "artifact": TaskArtifactUpdateEvent,
    "message": Message,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_STORE = "INSERT INTO events (task_id, version, turn, kind, body) VALUES (?, ?, ?, ?, ?)"
_STATES = {state: name.removeprefix("TASK_STATE_").lower() for name, state in TaskState.items()}
#: Without the span that the SDK puts around it.
_join_artifact = inspect.unwrap(append_artifact_to_task)


def state_name(state: int) -> str:
    """`TASK_STATE_INPUT_REQUIRED` as `input_required`, the way it stands in the table."""
    return _STATES[state]


def fold(task: Task, event: Event) -> None:
    """Apply `event` to `task`, as A2A clients do: a status that is replaced, or answered, leaves its message in the history."""
    if isinstance(event, TaskStatusUpdateEvent):
        _into_history(task)
        task.status.CopyFrom(event.status)
        if event.HasField("metadata"):
            task.metadata.MergeFrom(event.metadata)
    elif isinstance(event, TaskArtifactUpdateEvent):
        _add_artifact(task, event)
    elif isinstance(event, Message):
        _into_history(task)
        task.history.append(event)
    else:
        task.CopyFrom(event)


def _add_artifact(task: Task, event: TaskArtifactUpdateEvent) -> None:
    """One that is new, as nearly all are, needs none of what the SDK knows of the others."""
    new = event.artifact.artifact_id
    if event.append or any(known.artifact_id == new for known in task.artifacts[:]):
        _join_artifact(task, event)
    else:
        task.artifacts.append(event.artifact)


def _into_history(task: Task) -> None:
    """The words of the status, once: they stand there already where a message came in while they were said."""
    if not task.status.HasField("message"):
        return
    words = task.status.message
    if all(known.message_id != words.message_id for known in islice(reversed(task.history), LATEST)):
        task.history.append(words)


def encode(event: Event) -> tuple[str, bytes]:
    return _NAMES[type(event)], event.SerializeToString()


def decode(kind: str, body: bytes) -> Event:
    return _KINDS[kind].FromString(bytes(body))


async def store(tx: Transaction, task_id: str, version: int, events: Sequence[Event], turn: int) -> None:
    """Append `events` as the versions from `version` on; the last of them ends `turn` (0: none of them ends one)."""
    if not events:
        return
    values: list[str | int | bytes] = []
    for place, event in enumerate(events):
        last = place == len(events) - 1
        kind, body = encode(event)
        values += [task_id, version + place, turn if last else 0, kind, body]
    marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(events))
    await tx.execute(f"INSERT INTO events (task_id, version, turn, kind, body) VALUES {marks}", *values)


def stored(task_id: str, version: int, events: Sequence[Event], turn: int) -> list[Statement]:
    """The same as statements that conclude an operation, one for each event."""
    last = len(events) - 1
    return [
        (_STORE, (task_id, version + place, turn if place == last else 0, *encode(event)))
        for place, event in enumerate(events)
    ]


async def since(
    tx: Transaction, task_id: str, version: int, until: int = LAST
) -> list[tuple[int, int, Event]]:
    """What came after `version`, and not after `until`, oldest first, as (version, turn it ended or 0, event)."""
    rows = await tx.execute(
        "SELECT version, turn, kind, body FROM events WHERE task_id = ? AND version > ? AND version <= ? ORDER BY version",
        *(task_id, version, until),
    )
    return [(row["version"], row["turn"], decode(row["kind"], row["body"])) for row in rows]


def status(
    task_id: str, context_id: str, state: TaskState, message: Message | None = None
) -> TaskStatusUpdateEvent:
    """A status event, stamped with this process's time."""
    event = TaskStatusUpdateEvent(task_id=task_id, context_id=context_id)
    event.status.state = state
    if message is not None:
        event.status.message.CopyFrom(message)
    stamp(event.status)
    return event


def stamp(status: TaskStatus) -> None:
    """This process's time, as a status carries it; protobuf's own GetCurrentTime goes through a datetime, at ten times the cost."""
    status.timestamp.seconds, status.timestamp.nanos = divmod(time.time_ns() // 1000 * 1000, 1_000_000_000)


def instant(stamped: Timestamp) -> float:
    """Seconds since 1970 of a status's timestamp: what tasks are listed by."""
    return float(stamped.seconds + stamped.nanos / 1e9)


def ends_in(events: Iterable[Event]) -> TaskStatusUpdateEvent | None:
    """The last status event among `events`."""
    found = None
    for event in events:
        if isinstance(event, TaskStatusUpdateEvent):
            found = event
    return found
