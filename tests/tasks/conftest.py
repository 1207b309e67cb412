"""Replicas of one agent on one store: each with its own connection, its own worker, and work that a test controls."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from a2a.auth.user import User
from a2a.server.context import ServerCallContext
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
)

from meshwright.database import Database, open_database
from meshwright.inbound.handler import MeshRequestHandler
from meshwright.settings import Settings
from meshwright.tasks.book import TaskBook
from meshwright.tasks.events import Event, status
from meshwright.tasks.turn import Turn
from meshwright.tasks.worker import Worker

CARD = AgentCard(name="Echo", capabilities=AgentCapabilities(streaming=True, push_notifications=True))
_ids = itertools.count()


class Named(User):
    """A caller by name."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def is_authenticated(self) -> bool:
        return bool(self._name)

    @property
    def user_name(self) -> str:
        return self._name


def text_of(message: Message) -> str:
    return message.parts[0].text if message.parts else ""


class Work:
    """What the replicas do, by the message's first word: `ask` asks back, `hold` waits for `gate`, `lines N` says N lines."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.heard: list[str] = []

    async def perform(self, turn: Turn) -> Sequence[Event]:
        text = text_of(turn.envelope.message)
        self.heard.append(text)
        self.began.set()
        task = turn.task
        if text.startswith("lines"):
            for number in range(int(text.split()[1])):
                said = Message(
                    message_id=f"line-{number}", role=Role.ROLE_AGENT, parts=[Part(text=f"{number}")]
                )
                await turn.record(status(task.id, task.context_id, TaskState.TASK_STATE_WORKING, said))
        if text.startswith("hold"):
            await self.gate.wait()
        if text.startswith("break"):
            raise RuntimeError("the executor itself is broken")
        artifact = TaskArtifactUpdateEvent(task_id=task.id, context_id=task.context_id)
        artifact.artifact.artifact_id = f"answer-{turn.envelope.turn}"
        artifact.artifact.parts.append(Part(text=f"echo {text}"))
        end = (
            TaskState.TASK_STATE_INPUT_REQUIRED if text.startswith("ask") else TaskState.TASK_STATE_COMPLETED
        )
        return [artifact, status(task.id, task.context_id, end)]


class Replica:
    """One process of the agent, as far as its store can tell."""

    def __init__(self, database: Database, work: Work, **options: Any) -> None:
        self.database = database
        self.work = work
        self.book = TaskBook(database, "echo", options.pop("on_end", None))
        self.worker = Worker(self.book, work.perform, **{"lease": 60.0, "claims": 3, **options})
        self.handler = MeshRequestHandler(CARD, Settings())
        self.handler.book, self.handler.worker = self.book, self.worker

    async def send(
        self, text: str, *, wait: bool = True, who: str = "", tenant: str = "", **more: Any
    ) -> Task:
        answer = await self.handler.on_message_send(request(text, wait=wait, **more), context(who, tenant))
        assert isinstance(answer, Task)
        return answer

    async def get(self, task_id: str, who: str = "") -> Task:
        task = await self.handler.on_get_task(GetTaskRequest(id=task_id), context(who))
        assert task is not None
        return task

    async def cancel(self, task_id: str, who: str = "") -> Task | None:
        return await self.handler.on_cancel_task(CancelTaskRequest(id=task_id), context(who))

    async def list(self, who: str = "", **fields: Any) -> Any:
        return await self.handler.on_list_tasks(ListTasksRequest(**fields), context(who))

    def subscribe(self, task_id: str, seen: object = "") -> AsyncIterator[Any]:
        around = context("")
        around.state["headers"] = {"last-event-id": str(seen)}
        return self.handler.on_subscribe_to_task(SubscribeToTaskRequest(id=task_id), around)

    def stream(self, text: str, **more: Any) -> AsyncIterator[Any]:
        return self.handler.on_message_send_stream(request(text, **more), context(""))

    async def rest(self, task_id: str) -> Task:
        """The task, once nobody works on it any more; read from the store at every word of it."""
        with self.book.feed.bell(task_id) as bell:
            while True:
                bell.clear()
                snapshot = await self.book.get(task_id, None)
                if snapshot.work in ("ended", "parked"):
                    return snapshot.task
                await bell.wait()

    async def crash(self) -> None:
        """Gone without a word: nothing is released, no heartbeat any more, and the lease is over."""
        worker = self.worker
        await worker._keeping.stop()
        for run in list(worker._runs.values()):
            run.cancel()
        await asyncio.wait([*worker._runs.values(), asyncio.ensure_future(asyncio.sleep(0))])
        await self.expire()

    async def expire(self) -> None:
        """The leases of this replica are over, as the database's clock sees it."""
        await self.database.execute(
            "UPDATE tasks SET lease_until = 0.0 WHERE holder = ? AND work = 'running'", self.worker.holder
        )

    async def take(self, until: float = math.inf) -> None:
        """One look into the queue, now; it ends at `until`, a time of the loop."""
        await self.worker._take(until)


def request(text: str, *, wait: bool = True, **more: Any) -> SendMessageRequest:
    more.setdefault("message_id", f"m{next(_ids)}")
    message = Message(role=Role.ROLE_USER, parts=[Part(text=text)], **more)
    return SendMessageRequest(
        message=message, configuration=SendMessageConfiguration(return_immediately=not wait)
    )


def context(who: str = "", tenant: str = "") -> ServerCallContext:
    return ServerCallContext(user=Named(who), tenant=tenant)


Start = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def start(url: str) -> AsyncIterator[Start]:
    """Start a replica on the test's store; `work` may be shared. It keeps leases only if `keeping` is said."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(work: Work | None = None, *, keeping: bool = False, **options: Any) -> Replica:
            database = await open_database(url)
            stack.push_async_callback(database.close)
            replica = Replica(database, work or Work(), **options)
            stack.push_async_callback(replica.worker.aclose)
            if keeping:
                replica.worker.start()
            return replica

        yield begin
