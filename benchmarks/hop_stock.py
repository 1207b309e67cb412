"""The stock echo server that `benchmarks.hop` holds ours against: a2a-sdk's own handler, store and routes, as shipped.

python -m benchmarks.hop_stock PORT memory:|sqlite+aiosqlite:///FILE|postgresql+asyncpg://... [folding]
"""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.context import ServerCallContext
from a2a.server.events import Event, EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskStore, TaskUpdater
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
    SendMessageRequest,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import ParseDict
from starlette.applications import Starlette

#: What our executor notes about each call, so that both servers build, keep and send the same content.
NOTES = {"urn:meshwright:extension:mesh:v1": {"ms": 0, "usage": {"tokens": 0, "tools": [], "ms": 0}}}


class Echo(AgentExecutor):
    """Says back what it was told: working, one artifact of a text and a data part, completed."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        if context.current_task is None and context.message is not None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        await updater.start_work()
        reply = f"echo: {context.get_user_input()}"
        data = Part(media_type="application/json")
        ParseDict({"reply": reply}, data.data)
        parts = [Part(text=reply, media_type="text/plain"), data]
        await updater.add_artifact(parts, name="answer", metadata=NOTES)
        await updater.update_status(TaskState.TASK_STATE_COMPLETED, metadata=NOTES)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


class Folded(EventQueue):
    """Where events go that become a task at once: no queue, no consumer."""

    task: Task

    def __init__(self) -> None:
        """Nothing of the queue's own."""

    async def enqueue_event(self, event: Event) -> None:
        if isinstance(event, Task):
            self.task = event
        elif isinstance(event, TaskStatusUpdateEvent):
            self.task.status.CopyFrom(event.status)
            self.task.metadata.MergeFrom(event.metadata)
        elif isinstance(event, TaskArtifactUpdateEvent):
            append_artifact_to_task(self.task, event)


class Folding(DefaultRequestHandler):
    """The least that a blocking call can cost on the SDK's own types and routes: the work in line, its events folded, one save.

    It promises nothing: no second message, no cancel, no subscriber, nobody who takes over.
    """

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Message | Task:
        asked = await self._request_context_builder.build(context, params)
        events = Folded()
        await self.agent_executor.execute(asked, events)
        assert isinstance(self.task_store, InMemoryTaskStore)
        await self.task_store.save(events.task, context)
        return events.task


def card(port: int) -> AgentCard:
    address = f"http://127.0.0.1:{port}/"
    return AgentCard(
        name="Echo",
        description="Says back what it was told.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=address, protocol_binding="JSONRPC", protocol_version="1.0"),
            AgentInterface(url=address + "rest", protocol_binding="HTTP+JSON", protocol_version="1.0"),
        ],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["application/json", "text/plain"],
        default_output_modes=["application/json", "text/plain"],
        skills=[AgentSkill(id="echo", name="Echo", description="Says it back.", tags=["echo"])],
    )


def main() -> None:
    port, url, folding = int(sys.argv[1]), sys.argv[2], sys.argv[3:] == ["folding"]
    described = card(port)
    start: list[Callable[[], Awaitable[None]]] = []
    store: TaskStore = InMemoryTaskStore()
    if url != "memory:":
        from a2a.server.tasks import DatabaseTaskStore
        from sqlalchemy.ext.asyncio import create_async_engine

        # On a server a connection for every call of the busiest measurement: with fewer it would reconnect all the time.
        pool = {"pool_size": 32} if url.startswith("postgresql") else {}
        store = DatabaseTaskStore(create_async_engine(url, **pool))
        start.append(store.initialize)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for step in start:
            await step()
        yield

    kind = Folding if folding else DefaultRequestHandler
    handler = kind(agent_executor=Echo(), task_store=store, agent_card=described)
    app = Starlette(
        routes=[
            *create_agent_card_routes(described),
            *create_jsonrpc_routes(handler, rpc_url="/"),
            *create_rest_routes(handler, path_prefix="/rest"),
        ],
        lifespan=lifespan,
    )
    if folding:  # it is to be the least, so its garbage is collected as rarely as ours
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
