"""The same chain with a2a-sdk's server and client and mcp's server and client as shipped:

python -m benchmarks.wasted.stock alpha|beta|workshop PORT NEXT_URL

An executor does what the SDK's own examples do: it asks the next one and waits. When its task is cancelled it says so.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx
import uvicorn
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
    Role,
    SendMessageRequest,
)
from starlette.applications import Starlette

from benchmarks.wasted.toil import noted, toil


class Chain(AgentExecutor):
    """Asks the next one: alpha another agent, beta a tool."""

    def __init__(self, name: str, after: str) -> None:
        self._name, self._after = name, after
        self._http = httpx.AsyncClient(timeout=None)

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        if context.current_task is None and context.message is not None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        await updater.start_work()
        details = json.loads(_asked(context))
        with noted(self._name, details["trial"]):
            await (self._agent(details) if self._name == "alpha" else self._tool(details))
        await updater.add_artifact([Part(text="done")], name="answer")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()

    async def _agent(self, details: dict[str, Any]) -> None:
        card = await A2ACardResolver(self._http, self._after).get_agent_card()
        client = ClientFactory(ClientConfig(streaming=True, httpx_client=self._http)).create(card)
        async for _ in client.send_message(message(details)):
            pass

    async def _tool(self, details: dict[str, Any]) -> None:
        from mcp import Client

        arguments = {"trial": details["trial"], "seconds": details["seconds"]}
        async with Client(self._after + "/mcp") as client:
            await client.call_tool("toil_for", arguments)


def _asked(context: RequestContext) -> str:
    """The details, as our agents send them (JSON in the instruction of a subtask), or as text."""
    from google.protobuf.json_format import MessageToDict

    for part in context.message.parts if context.message else ():
        if part.HasField("data"):
            return str(MessageToDict(part.data)["subtask"]["instruction"])
    return context.get_user_input()


def message(details: dict[str, Any]) -> SendMessageRequest:
    text = json.dumps(details)
    return SendMessageRequest(
        message=Message(
            message_id=f"{details['trial']}-{details['skill']}", role=Role.ROLE_USER, parts=[Part(text=text)]
        )
    )


def agent(name: str, port: int, after: str) -> Starlette:
    card = AgentCard(
        name=f"Stock {name}",
        description="Part of a chain.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(
                url=f"http://127.0.0.1:{port}/", protocol_binding="JSONRPC", protocol_version="1.0"
            )
        ],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["application/json", "text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id=f"stock-{name}-work", name="Work", description="Works.", tags=["work"])],
    )
    handler = DefaultRequestHandler(
        agent_executor=Chain(name, after), task_store=InMemoryTaskStore(), agent_card=card
    )
    return Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, rpc_url="/")])


def workshop() -> Any:
    from mcp.server import MCPServer

    server: Any = MCPServer("workshop", log_level="WARNING")

    @server.tool()  # type: ignore[untyped-decorator]
    async def toil_for(trial: str, seconds: float) -> int:
        """Work for so many seconds."""
        return await toil(trial, seconds)

    return server.streamable_http_app(stateless_http=True)


def main() -> None:
    name, port, after = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    app = workshop() if name == "workshop" else agent(name, port, after)
    uvicorn.run(app, port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
