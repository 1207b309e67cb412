"""Where a call becomes work, and where its deadline is enforced.

a2a-sdk runs this detached from the HTTP request, so a timeout in middleware would stop nothing. The work runs as a task of
its own that is watched, not awaited: one that swallows its cancellation cannot hold the answer back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.tasks import TaskUpdater
from a2a.types import Task, TaskState, TaskStatus

from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import WIRE, CallerError, DeadlineExceeded, MeshError
from meshwright.extension import HEADER_RUN, URI
from meshwright.parts import data_in, data_part, text_in, text_part
from meshwright.records.tracing import span
from meshwright.settings import Settings

if TYPE_CHECKING:
    from a2a.server.events import EventQueue
    from a2a.types import Part
    from pydantic import BaseModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message, as the work sees it. `say` streams a line of progress to whoever listens."""

    text: str
    data: list[Any]
    by: Deadline
    budget: Budget
    say: Callable[[str], Awaitable[None]]
    task_id: str = ""
    context_id: str = ""
    caller: str = ""
    run: str = ""
    message_id: str = ""
    follow_up: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the work came to. `waits` says what for, when a person has to decide something first."""

    text: str = ""
    data: BaseModel | dict[str, Any] | None = None
    name: str = "answer"
    waits: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


Work = Callable[[Incoming], Awaitable[Outcome]]


class MeshExecutor(AgentExecutor):
    """Runs `work` for each message: task first, then progress, then exactly one end."""

    def __init__(self, work: Work, settings: Settings, name: str) -> None:
        self._work = work
        self._settings = settings
        self._name = name

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        began = time.monotonic()
        task_id, context_id = context.task_id or "", context.context_id or ""
        updater = TaskUpdater(event_queue, task_id, context_id)
        if context.current_task is None:
            task = Task(
                id=task_id, context_id=context_id, status=TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
            )
            task.status.timestamp.GetCurrentTime()
            if context.message is not None:
                task.history.append(context.message)
            await event_queue.enqueue_event(task)
        await updater.start_work()
        headers: Mapping[str, str] = (context.call_context.state if context.call_context else {}).get(
            "headers", {}
        )
        with span(f"invoke_agent {self._name}", headers, agent=self._name, task=task_id):
            result = await self._watched(context, updater, headers)
        await self._report(updater, result, int((time.monotonic() - began) * 1000))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()

    async def _watched(
        self, context: RequestContext, updater: TaskUpdater, headers: Mapping[str, str]
    ) -> Outcome | BaseException:
        """The outcome, or the error in its place; DeadlineExceeded when time ran out first."""
        settings = self._settings
        try:
            by = Deadline.from_headers(headers, default=settings.deadline, ceiling=settings.deadline_max)
            budget = Budget.from_headers(headers, default=settings.budget_tokens)
        except MeshError as error:
            return error

        async def say(line: str) -> None:
            message = updater.new_agent_message([text_part(line)])
            await updater.update_status(TaskState.TASK_STATE_WORKING, message)

        parts = context.message.parts if context.message else []
        incoming = Incoming(
            text=text_in(parts),
            data=data_in(parts),
            by=by,
            budget=budget,
            say=say,
            task_id=context.task_id or "",
            context_id=context.context_id or "",
            caller=context.call_context.user.user_name if context.call_context else "",
            run=headers.get(HEADER_RUN, "")[:64],
            message_id=context.message.message_id if context.message else "",
            follow_up=context.current_task is not None,
        )
        work = asyncio.ensure_future(self._work(incoming))
        try:
            await asyncio.wait({work}, timeout=max(by.remaining, 0))
        finally:
            if not work.done():
                work.cancel()
        if not work.done():
            return DeadlineExceeded("the deadline passed before the work was done")
        if work.cancelled():
            return DeadlineExceeded("the work was cancelled")
        return work.exception() or work.result()

    async def _report(self, updater: TaskUpdater, result: Outcome | BaseException, ms: int) -> None:
        if isinstance(result, Outcome):
            notes = {"ms": ms, **result.metadata}
            parts: list[Part] = [text_part(result.text)] if result.text else []
            if result.data is not None:
                parts.append(data_part(result.data))
            if parts:
                await updater.add_artifact(parts, name=result.name, metadata={URI: notes})
            if result.waits:
                await updater.requires_input(updater.new_agent_message([text_part(result.waits)]))
            else:
                await updater.update_status(TaskState.TASK_STATE_COMPLETED, metadata={URI: notes})
            return
        code, text = self._explain(result)
        message = updater.new_agent_message([text_part(text)])
        state = (
            TaskState.TASK_STATE_REJECTED if isinstance(result, CallerError) else TaskState.TASK_STATE_FAILED
        )
        await updater.update_status(state, message, metadata={URI: {"code": code, "ms": ms}})

    def _explain(self, error: BaseException) -> tuple[str, str]:
        """A code and a sentence for the caller. What is internal stays in our log, under the reference given out."""
        if isinstance(error, MeshError):
            return WIRE[type(error)].code, str(error)
        reference = secrets.token_hex(4)
        log.error("internal error %s", reference, exc_info=error)
        return "INTERNAL", f"internal error; the log of {self._name} has it under {reference}"
