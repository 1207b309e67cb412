"""What a call has shown so far: the events of a peer's stream, folded into the one task they are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from meshwright.errors import (
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerTaskFailed,
    PeerTimedOut,
    PeerUnreachable,
)
from meshwright.extension import URI
from meshwright.outbound.breaker import FLOOR
from meshwright.parts import text_in, whole_numbers

if TYPE_CHECKING:
    from a2a.types import StreamResponse, Task


class Seen:
    """What a call to `peer` has shown so far, folded into one task. `remote` is the task's id, known before it in a call that comes
    back."""

    def __init__(
        self, remote: str, began: Callable[[str], Awaitable[None]] | None, peer: str = "the peer"
    ) -> None:
        self.peer = peer
        self.task: Task | None = None
        self.notes: dict[str, Any] = {}
        self.remote = remote
        self._began = began

    @property
    def settled(self) -> bool:
        from a2a.types import TaskState

        going_on = (
            TaskState.TASK_STATE_UNSPECIFIED,
            TaskState.TASK_STATE_SUBMITTED,
            TaskState.TASK_STATE_WORKING,
        )
        return self.task is not None and self.task.status.state not in going_on

    @property
    def asks_back(self) -> bool:
        """Whether the task waits for more from us."""
        from a2a.types import TaskState

        waits = (TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED)
        return self.task is not None and self.task.status.state in waits

    def completed(self, given: float) -> Task:
        """The task, if it was completed. Raises the PeerError that says why not; the call had `given` seconds."""
        from a2a.types import TaskState

        task, peer = self.task, self.peer
        if task is None:
            raise PeerAnsweredBadly(peer, "no task and no message came back")
        if task.status.state == TaskState.TASK_STATE_COMPLETED:
            return task
        reason = text_in(task.status.message.parts) if task.status.HasField("message") else ""
        if self.asks_back:
            raise PeerTaskFailed(peer, f"it asks back: {reason[:400]}")
        if not self.settled:
            raise PeerUnreachable(peer, "the stream ended before its task did")
        code = self.notes.get("code") if task.status.state == TaskState.TASK_STATE_FAILED else None
        if code == "OVERLOADED":
            raise PeerOverloaded(peer, reason[:200])
        if code == "INTERNAL":
            raise PeerUnreachable(peer, reason[:200])
        if code == "DEADLINE_EXCEEDED":
            # That its own server noticed first that it was slow does not make it well.
            raise PeerTimedOut(peer, "its deadline passed before it was done", tells=given >= FLOOR)
        raise PeerTaskFailed(peer, reason[:400] or "its task failed without a reason")

    async def take(self, event: StreamResponse) -> None:
        """Fold one event in. Raises PeerAnsweredBadly for one of another task."""
        from a2a.types import Task, TaskState

        kind = event.WhichOneof("payload")
        if self.task is not None and _task_of(event, kind) not in ("", self.task.id):
            raise PeerAnsweredBadly(self.peer, "it speaks of another task than the one it began")
        if kind == "task":
            self.task = event.task
            self._note(event.task.metadata)
        elif kind == "message":
            task = Task(id=event.message.task_id)
            task.status.state = TaskState.TASK_STATE_COMPLETED
            artifact = task.artifacts.add()
            artifact.parts.extend(event.message.parts)
            self.task = task
        elif self.task is not None and kind == "status_update":
            self.task.status.CopyFrom(event.status_update.status)
            self._note(event.status_update.metadata)
        elif self.task is not None and kind == "artifact_update":
            self._artifact(event.artifact_update)
        if self.task is not None and self.task.id != self.remote:
            self.remote = self.task.id
            if self._began is not None and self.remote:
                await self._began(self.remote)

    def _artifact(self, update: Any) -> None:
        assert self.task is not None
        same = next((a for a in self.task.artifacts if a.artifact_id == update.artifact.artifact_id), None)
        if same is not None and update.append:
            same.parts.extend(update.artifact.parts)
        elif same is not None:
            same.CopyFrom(update.artifact)
        else:
            self.task.artifacts.append(update.artifact)

    def _note(self, metadata: Any) -> None:
        from google.protobuf.json_format import MessageToDict

        notes = whole_numbers(MessageToDict(metadata)).get(URI)
        if isinstance(notes, dict):
            self.notes |= notes


def _task_of(event: StreamResponse, kind: str | None) -> str:
    if kind == "task":
        return event.task.id
    if kind in ("status_update", "artifact_update"):
        return str(getattr(event, kind).task_id)
    return ""
