"""The trace of a caller on each way in, and on the ways out that no work is left to accompany: notifications, and a word that it is off."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from meshwright.agent import Agent, Job
from meshwright.findings import Finding, Subtask
from meshwright.inbound.identity import load_identity
from meshwright.inbound.server import agent_app
from meshwright.records.telemetry import Telemetry
from meshwright.records.tracing import trace_headers
from meshwright.settings import Settings
from meshwright.testing.backend import TraceBackend
from meshwright.testing.serving import serving

#: One that lists all three.
CARD = "orchestrator"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "tracestate": "vendor=value",
    "baggage": "mesh.correlation.id=12345678,session.id=their-session,mesh.run=r1",
}
MESSAGE: dict[str, Any] = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}


@dataclass
class Echo:
    """An agent that remembers what it would have sent on."""

    url: str = ""
    grpc_port: int = 0
    carried: list[dict[str, str]] = field(default_factory=list)

    async def playbook(self, subtask: Subtask, job: Job) -> Finding:
        self.carried.append(trace_headers())
        return Finding(reply="hello")


@asynccontextmanager
async def echo(home: Path) -> AsyncIterator[Echo]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = Settings.model_validate({"home": home, "grpc_port": port, "webhooks": "127.0.0.1"})
    running = Echo(grpc_port=port)
    app = agent_app(Agent(CARD, playbook=running.playbook), settings, load_identity(CARD, settings))
    async with serving(app) as running.url:
        yield running


async def json_rpc(to: Echo, **more: Any) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": MESSAGE, **more}}
    async with httpx.AsyncClient() as client:
        answer = await client.post(to.url, json=call, headers={"a2a-version": "1.0", **HEADERS})
    assert "result" in answer.json()


async def http_json(to: Echo) -> None:
    async with httpx.AsyncClient() as client:
        url = f"{to.url}/rest/message:send"
        answer = await client.post(url, json={"message": MESSAGE}, headers={"a2a-version": "1.0", **HEADERS})
    assert answer.status_code == 200


async def grpc_call(to: Echo) -> None:
    import grpc.aio
    from a2a.types import Message, Part, Role, SendMessageRequest
    from a2a.types.a2a_pb2_grpc import A2AServiceStub

    message = Message(message_id="m1", role=Role.ROLE_USER, parts=[Part(text="hello")])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{to.grpc_port}") as channel:
        stub = A2AServiceStub(channel)
        metadata = [("a2a-version", "1.0"), *HEADERS.items()]
        await stub.SendMessage(SendMessageRequest(message=message), metadata=metadata)


@pytest.mark.parametrize("way", [json_rpc, http_json, grpc_call], ids=lambda way: way.__name__)
async def test_trace_and_baggage_come_in_on_each_binding_and_go_on(
    way: Callable[[Echo], Awaitable[None]], tmp_path: Path
) -> None:
    async with echo(tmp_path) as agent:
        await way(agent)
    assert agent.carried == [HEADERS]


async def test_a_notification_goes_on_in_the_trace_of_its_task_without_its_baggage(
    tmp_path: Path, backend: TraceBackend
) -> None:
    heard: list[dict[str, str]] = []
    enough = asyncio.Event()

    async def hook(request: Request) -> Response:
        heard.append(dict(request.headers))
        if len(heard) == 2:  # the answer, and the end
            enough.set()
        return Response()

    telemetry = Telemetry(CARD, backend.exporter())
    telemetry.start()
    receiver = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
    async with serving(receiver, lifespan=False) as url, echo(tmp_path) as agent:
        config = {"taskPushNotificationConfig": {"url": f"{url}/hook"}}
        await json_rpc(agent, configuration=config)
        async with asyncio.timeout(10):
            await enough.wait()
    await asyncio.to_thread(telemetry.stop)
    (work,) = [span for span in backend.spans if span.name == f"invoke_agent {CARD}"]
    assert (work.trace, work.parent) == (TRACE, SPAN)
    assert {each["traceparent"] for each in heard} == {f"00-{TRACE}-{work.id}-01"}
    assert not any("baggage" in each for each in heard)
