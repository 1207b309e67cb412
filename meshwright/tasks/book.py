"""The tasks of one agent, as any replica sees them: get, list, cancel, follow. All of it from rows, none of it from memory."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from a2a.types import ListTasksRequest, ListTasksResponse, Task, TaskState

from meshwright.errors import AlreadyDecided, InvalidRequest, NotFound
from meshwright.tasks import events, pushes
from meshwright.tasks.feed import Feed
from meshwright.tasks.outbox import call_off
from meshwright.tasks.snapshot import COLUMNS, Snapshot, find, load

if TYPE_CHECKING:
    from meshwright.database import Database, Transaction
    from meshwright.database.door import Value
    from meshwright.records.decision import Decision

#: Tasks on a page, when the caller does not say.
PAGE = 50
#: Characters of a page token; ours have about seventy.
LONGEST_TOKEN = 256
#: Called with the task's id, the state it ends in, and why; once more with what the work that was stopped tells afterwards.
OnEnd = Callable[["Transaction", str, str, str, Sequence["Decision"]], Awaitable[None]]


class TaskBook:
    """One agent's tasks in one database."""

    def __init__(self, database: Database, agent: str, on_end: OnEnd | None = None) -> None:
        self.database = database
        self.agent = agent
        #: Runs in the transaction that ends a task as canceled or failed, whoever ends it. Work that is done tells itself.
        self.on_end = on_end
        self.feed = Feed(database)

    async def get(self, task_id: str, owner: str | None) -> Snapshot:
        """Raises NotFound; with `owner` also for somebody else's task."""

        async def op(tx: Transaction) -> Snapshot | None:
            return await find(tx, self.agent, owner, task_id)

        found = await self.database.read(op)
        if found is None:
            raise NotFound(f"there is no task {task_id[:128]!r}")
        return found

    async def list(self, request: ListTasksRequest, owner: str) -> ListTasksResponse:
        """A page of the owner's tasks, the one whose status changed last first. Raises InvalidRequest for a token that is not ours."""
        size = request.page_size or PAGE
        where, values = "agent = ? AND owner = ?", [self.agent, owner]
        if request.context_id:
            where, values = f"{where} AND context_id = ?", [*values, request.context_id]
        if request.status:
            where, values = f"{where} AND state = ?", [*values, events.state_name(request.status)]
        after: list[Value] = []
        if request.HasField("status_timestamp_after"):
            where = f"{where} AND updated >= ?"
            after.append(events.instant(request.status_timestamp_after))
        place = _place(request.page_token)

        async def op(tx: Transaction) -> tuple[list[Snapshot], int, str]:
            total = await tx.execute(f"SELECT count(*) AS n FROM tasks WHERE {where}", *values, *after)
            further = " AND (updated < ? OR (updated = ? AND id < ?))" if place else ""
            beyond: tuple[Value, ...] = (place[0], place[0], place[1]) if place else ()
            rows = await tx.execute(
                f"SELECT {COLUMNS}, updated FROM tasks WHERE {where}{further} ORDER BY updated DESC, id DESC LIMIT ?",
                *(*values, *after, *beyond, size + 1),
            )
            page = [await load(tx, row) for row in rows[:size]]
            token = _token(rows[size - 1]["updated"], rows[size - 1]["id"]) if len(rows) > size else ""
            return page, int(total[0]["n"]), token

        page, total, token = await self.database.read(op)
        tasks = [snapshot.task for snapshot in page]
        if not request.include_artifacts:
            for task in tasks:
                task.ClearField("artifacts")
        return ListTasksResponse(tasks=tasks, next_page_token=token, page_size=size, total_size=total)

    async def cancel(self, task_id: str, owner: str) -> Task:
        """End a task as canceled, whoever works on it: the token moves on, so its holder can write nothing more.

        Raises NotFound, or AlreadyDecided: a terminal state never changes.
        """

        async def op(tx: Transaction) -> Task:
            rows = await tx.execute(
                "UPDATE tasks SET token = token + 1, version = version + 1, work = 'ended', holder = ''"
                f" WHERE id = ? AND agent = ? AND owner = ? AND work <> 'ended' RETURNING {COLUMNS}",
                *(task_id, self.agent, owner),
            )
            if not rows:
                found = await find(tx, self.agent, owner, task_id)
                if found is None:
                    raise NotFound(f"there is no task {task_id[:128]!r}")
                raise AlreadyDecided(f"the task is {events.state_name(found.task.status.state)} already")
            snapshot = await load(tx, rows[0])
            task = snapshot.task
            end = events.status(task.id, task.context_id, TaskState.TASK_STATE_CANCELED)
            events.fold(task, end)
            await tx.execute(
                "UPDATE tasks SET state = 'canceled', updated = ?, body = ?, body_version = version, answered = asked"
                " WHERE id = ?",
                *(events.instant(end.status.timestamp), task.SerializeToString(), task_id),
            )
            await events.store(tx, task_id, snapshot.version, [end], snapshot.asked)
            if snapshot.pushes:
                await pushes.announce(tx, self.agent, task_id, snapshot.version, [end])
            await call_off(tx, self.agent, task_id)
            if self.on_end is not None:
                await self.on_end(tx, task_id, "canceled", "the client cancelled it", ())
            tx.wake(task_id)
            return task

        return await self.database.write(op)

    async def as_it_was(self, task_id: str, version: int) -> Task:
        """The task at a version that it has had."""

        async def op(tx: Transaction) -> list[tuple[int, int, events.Event]]:
            return await events.since(tx, task_id, 0, version)

        task = Task()
        for _, _, event in await self.database.read(op):
            events.fold(task, event)
        return task

    async def follow(self, task_id: str, after: int) -> AsyncIterator[tuple[int, int, events.Event]]:
        """What happens to a task after a version: (version, turn it ended, event), until it ends or this process stops.

        Raises NotFound for one that was removed meanwhile: of its end nothing is left that could be told.
        """

        async def op(tx: Transaction) -> tuple[list[tuple[int, int, events.Event]], str]:
            rows = await tx.execute("SELECT work FROM tasks WHERE id = ?", task_id)
            return await events.since(tx, task_id, after), rows[0]["work"] if rows else ""

        with self.feed.bell(task_id) as bell:
            while True:
                bell.clear()
                fresh, work = await self.database.read(op)
                for version, turn, event in fresh:
                    after = version
                    yield version, turn, event
                if not work:
                    raise NotFound(f"the task {task_id[:128]!r} is no longer kept")
                if work == "ended" or self.feed.closed:
                    return
                await bell.wait()


def _token(updated: float, task_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([updated, task_id]).encode()).decode()


def _place(token: str) -> tuple[float, str] | None:
    if not token:
        return None
    if len(token) > LONGEST_TOKEN:
        raise InvalidRequest("the page token is too long to be one of ours: begin without one")
    try:
        updated, task_id = json.loads(base64.urlsafe_b64decode(token.encode()))
        place = float(updated), str(task_id)
    except (ValueError, TypeError):
        place = math.nan, ""
    if not (math.isfinite(place[0]) and place[1].isprintable()):
        raise InvalidRequest("the page token is not one of ours: begin without one")
    return place
