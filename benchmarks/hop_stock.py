"""The stock echo server that `benchmarks.hop` holds ours against: a2a-sdk's own handler, store and routes, as shipped.

python -m benchmarks.hop_stock PORT memory:|sqlite+aiosqlite:///FILE|postgresql+asyncpg://...
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, TaskState
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
    port, url = int(sys.argv[1]), sys.argv[2]
    described = card(port)
    start: list[Callable[[], Awaitable[None]]] = []
    store: TaskStore = InMemoryTaskStore()
    if url != "memory:":
        from a2a.server.tasks import DatabaseTaskStore
        from sqlalchemy.ext.asyncio import create_async_engine

        # On a server a connection for every call of the busiest measurement: with fewer it would reconnect all the time.
        pool = {"pool_size": 16} if url.startswith("postgresql") else {}
        store = DatabaseTaskStore(create_async_engine(url, **pool))
        start.append(store.initialize)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for step in start:
            await step()
        yield

    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=store, agent_card=described)
    app = Starlette(
        routes=[
            *create_agent_card_routes(described),
            *create_jsonrpc_routes(handler, rpc_url="/"),
            *create_rest_routes(handler, path_prefix="/rest"),
        ],
        lifespan=lifespan,
    )
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
