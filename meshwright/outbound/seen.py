"""What a call has shown so far: the events of a peer's stream, folded into the one task they are about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from meshwright.extension import URI
from meshwright.parts import whole_numbers

if TYPE_CHECKING:
    from a2a.types import StreamResponse, Task


class Seen:
    """What a call has shown so far, folded into one task. `remote` is the task's id, known before it in a call that comes back."""

    def __init__(self, remote: str, began: Callable[[str], Awaitable[None]] | None) -> None:
        self.task: Task | None = None
        self.notes: dict[str, Any] = {}
        self.remote = remote
        #: Set once the task's id is known.
        self.known = asyncio.Event()
        if remote:
            self.known.set()
        self.began = began

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
    def waits(self) -> bool:
        """Whether the task has come to rest without an end: it wants something of us."""
        from a2a.types import TaskState

        asks = (TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED)
        return self.task is not None and self.task.status.state in asks

    async def take(self, event: StreamResponse) -> None:
        from a2a.types import Task, TaskState

        kind = event.WhichOneof("payload")
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
            if self.remote:
                self.known.set()
                if self.began is not None:
                    await self.began(self.remote)

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
