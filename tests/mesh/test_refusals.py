"""What cannot be taken now is refused in the words of each binding, streams too: 429 or 503 with `Retry-After`, and gRPC's own."""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from a2a.types import GetTaskRequest, Message, Part, Role, SendMessageRequest, TaskState
from a2a.types.a2a_pb2_grpc import A2AServiceStub

import agent_cards
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.inbound.handler import MeshRequestHandler
from meshwright.inbound.health import Readiness
from meshwright.inbound.server import a2a_app
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring

ORIGIN = "http://agent"
V1 = {"a2a-version": "1.0"}
METADATA = [*V1.items()]


class Server:
    """An agent with all its doors open, one place, and work that goes on when the test says so."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.handler: MeshRequestHandler
        self.http: httpx.AsyncClient
        self.stub: Any

    async def work(self, incoming: Incoming) -> Outcome:
        self.begun.set()
        await self.go.wait()
        return Outcome(text="done")

    @asynccontextmanager
    async def life(self, handler: MeshRequestHandler) -> AsyncIterator[None]:
        self.handler = handler
        yield

    async def send(self, *, streaming: bool = False, rest: bool = False) -> httpx.Response:
        message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": "do it"}]}
        if rest:
            path = "message:stream" if streaming else "message:send"
            return await self.http.post(f"{ORIGIN}/rest/{path}", json={"message": message}, headers=V1)
        method = "SendStreamingMessage" if streaming else "SendMessage"
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}}
        return await self.http.post(ORIGIN, json=body, headers=V1)

    async def refused_over_grpc(self, *, streaming: bool) -> grpc.aio.AioRpcError:
        message = Message(message_id=uuid.uuid4().hex, role=Role.ROLE_USER, parts=[Part(text="do it")])
        request = SendMessageRequest(message=message)
        operation = self.stub.SendStreamingMessage if streaming else self.stub.SendMessage
        calling = operation(request, metadata=METADATA)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await (calling.read() if streaming else calling)
        return refused.value

    async def fill(self) -> list[asyncio.Task[httpx.Response]]:
        """One message that is worked on, and one that waits."""
        sent = [asyncio.create_task(self.send())]
        await self.begun.wait()
        sent.append(asyncio.create_task(self.send()))
        while not self.handler.places.waiting:
            await asyncio.sleep(0)
        return sent


@asynccontextmanager
async def server(**more: Any) -> AsyncIterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    settings = Settings(grpc_port=port, database="memory:", public_url=ORIGIN, at_once=1, queue=1, **more)
    it = Server()
    identity, card = Keyring("agent").identity("agent"), agent_cards.load("orchestrator")
    app = a2a_app("agent", card, it.work, settings, identity, Readiness(), lifespan=it.life)
    async with InProcess({ORIGIN: app}).running() as mesh, mesh.client() as it.http:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            it.stub = A2AServiceStub(channel)
            yield it


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_server_that_is_full_says_429_and_when_to_come_back(streaming: bool) -> None:
    async with server() as it:
        sent = await it.fill()
        for rest in (False, True):
            answer = await it.send(streaming=streaming, rest=rest)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            assert "no more can" in answer.text
        refused = await it.refused_over_grpc(streaming=streaming)
        assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(refused.trailing_metadata() or ())["retry-after"] == "1"
        it.go.set()
        assert {answer.status_code for answer in await asyncio.gather(*sent)} == {200}


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_server_whose_store_is_away_says_503_and_when_to_come_back(streaming: bool) -> None:
    async with server() as it:
        await it.handler.book.database.close()
        for rest in (False, True):
            answer = await it.send(streaming=streaming, rest=rest)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "sqlite" not in answer.text.lower()
        refused = await it.refused_over_grpc(streaming=streaming)
        assert refused.code() == grpc.StatusCode.UNAVAILABLE
        assert dict(refused.trailing_metadata() or ())["retry-after"] == "1"
        with pytest.raises(grpc.aio.AioRpcError) as read:
            await it.stub.GetTask(GetTaskRequest(id="t"), metadata=METADATA)
        assert read.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.timeout(20)
@pytest.mark.parametrize("streaming", [False, True])
async def test_nobody_is_kept_waiting_for_an_end_that_cannot_be_written(streaming: bool) -> None:
    async with server(deadline=0.3, lease=0.2) as it:
        sent = asyncio.create_task(it.send(streaming=streaming))
        await it.begun.wait()
        disk = it.handler.book.database
        await disk.execute("PRAGMA query_only = ON")  # all can be read, as on a full disk
        it.go.set()
        answer = await sent
        assert answer.status_code == 200
        assert "TASK_STATE_WORKING" in answer.text, "it is told as it stands, and can be asked for"
        await disk.execute("PRAGMA query_only = OFF")
        task_id = re.findall(r'"(?:id|taskId)":\s*"([0-9a-f]{32})"', answer.text)[0]
        async with aclosing(it.handler.book.follow(task_id, 0)) as happening:  # type: ignore[type-var]
            async for _ in happening:
                pass
        ended = (await it.handler.book.get(task_id, None)).task
        assert ended.status.state != TaskState.TASK_STATE_WORKING, (
            "it is ended as soon as that can be written"
        )
