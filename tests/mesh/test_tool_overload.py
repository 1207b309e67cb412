"""A tool server with more calls than it can serve: told before anything is done, blamed by nobody, and no write is cut."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from meshwright.deadline import Deadline
from meshwright.errors import PeerOverloaded, PeerTimedOut
from meshwright.grants.grant import Grant
from meshwright.inbound.front import Front
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access, Call, ToolServer

URL = "http://slow"
ACCESS = Access({"orders": ("slow.*",)}, {"orchestrator": ("slow.*",)})


class Done(BaseModel):
    name: str


class Slow:
    """A tool server whose tools go on when the test says so, with one place."""

    def __init__(self, queue: int) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.go = asyncio.Event()
        ring = Keyring("slow", "orders", "orchestrator")
        identity = ring.identity("slow", open_to_strangers=False)
        self.mesh = InProcess(
            {URL: tool_app(self._server(), Settings(at_once=1, queue=queue), identity, ACCESS)}
        )
        self.boxes = {
            name: Toolbox([URL], self.mesh.client(), ring.identity(name))
            for name in ("orders", "orchestrator")
        }

    def _server(self) -> ToolServer:
        server = ToolServer("slow", version="1")

        @server.read
        async def look(name: str) -> Done:
            """Looks, when it may."""
            return await self._do(name)

        @server.write
        async def paint(name: str, call: Call) -> Done:
            """Paints, when it may."""
            return await self._do(name)

        return server

    async def _do(self, name: str) -> Done:
        self.begun.append(name)
        await self.go.wait()
        self.ended.append(name)
        return Done(name=name)

    async def read(self, name: str, seconds: float = 20, priority: str = "") -> dict[str, Any]:
        session = self.boxes["orders"].session(by=Deadline.after(seconds), priority=priority)
        return await session.call("look", name=name)

    async def write(self, name: str, seconds: float = 20) -> dict[str, Any]:
        session = self.boxes["orchestrator"].session(by=Deadline.after(seconds))
        arguments = {"name": name}
        return await session.apply(Grant.of("paint", arguments, key=f"key-{name}"), arguments)

    async def places(self) -> dict[str, Any]:
        async with self.mesh.client() as client:
            return dict((await client.get(f"{URL}/readyz")).json()["places"])

    async def until(self, *, begun: int = 0, waiting: int = 0) -> None:
        while len(self.begun) < begun or (await self.places())["waiting"] < waiting:
            await asyncio.sleep(0)


@asynccontextmanager
async def slow(queue: int = 100) -> AsyncIterator[Slow]:
    server = Slow(queue)
    async with server.mesh.running():
        for box in server.boxes.values():
            await box.schemas(Deadline.after(20))
        yield server


async def test_a_call_that_finds_no_room_is_refused_before_it_begins_and_told_when_to_come_back() -> None:
    async with slow(queue=1) as server:
        first = asyncio.create_task(server.read("first"))
        await server.until(begun=1)
        second = asyncio.create_task(server.read("second"))
        await server.until(waiting=1)
        assert (await server.places())["taken"] == 1
        for _ in range(6):
            with pytest.raises(PeerOverloaded, match="1 wait already, and no more can") as refused:
                await server.read("third")
            assert 0 < (refused.value.retry_after or 0) <= 1
        assert server.boxes["orders"].health()["tools"]["slow"]["state"] == "closed"
        server.go.set()
        assert [(await first)["name"], (await second)["name"]] == ["first", "second"]
        assert server.begun == ["first", "second"]
        assert (await server.places())["taken"] == 0


async def test_a_refusal_is_429_with_retry_after_on_the_wire() -> None:
    async with slow(queue=1) as server:
        held = [asyncio.create_task(server.read("first"))]
        await server.until(begun=1)
        held.append(asyncio.create_task(server.read("second")))
        await server.until(waiting=1)
        sent = next(r for r in reversed(server.mesh.seen) if r.method == "POST")
        async with server.mesh.client() as client:
            answer = await client.post(f"{URL}/mcp", content=sent.content, headers=sent.headers)
            stranger = await client.post(f"{URL}/mcp", content=sent.content)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert stranger.status_code == 401, "who is not let in takes no place and learns nothing of them"
        server.go.set()
        await asyncio.gather(*held)


async def test_a_write_goes_before_the_reads_that_wait() -> None:
    async with slow() as server:
        calls = [asyncio.create_task(server.read("first"))]
        await server.until(begun=1)
        calls.append(asyncio.create_task(server.read("second")))
        await server.until(waiting=1)
        calls.append(asyncio.create_task(server.write("write")))
        await server.until(waiting=2)
        server.go.set()
        await asyncio.gather(*calls)
        assert server.begun == ["first", "write", "second"]


async def test_the_priority_of_a_run_is_that_of_its_calls_among_those_that_wait() -> None:
    async with slow(queue=10) as server:
        calls = [asyncio.create_task(server.read("first"))]
        await server.until(begun=1)
        for waiting, priority in enumerate(("low", "", "high"), 1):
            calls.append(asyncio.create_task(server.read(priority or "normal", priority=priority)))
            await server.until(waiting=waiting)
        server.go.set()
        await asyncio.gather(*calls)
        assert server.begun == ["first", "high", "normal", "low"]


async def test_a_write_that_has_begun_runs_to_its_end_though_its_caller_has_given_up() -> None:
    async with slow() as server:
        call = asyncio.create_task(server.write("write", seconds=0.5))
        await server.until(begun=1)
        with pytest.raises(PeerTimedOut):
            await call
        assert server.ended == []
        server.go.set()
        while not server.ended:
            await asyncio.sleep(0)
        assert server.ended == ["write"]


async def test_a_call_that_cannot_come_in_time_is_told_at_once() -> None:
    async with slow() as server:
        server.go.set()
        for number in range(5):  # from here on it is known what a call takes
            await server.read(f"quick {number}")
        server.go.clear()
        held = asyncio.create_task(server.read("held"))
        await server.until(begun=6)
        usual = (await server.places())["usual_s"]
        with pytest.raises(PeerOverloaded, match="being worked on") as refused:
            await server.read("late", seconds=max(usual, 0.001) * 2)
        assert refused.value.retry_after == 1
        assert "late" not in server.begun
        server.go.set()
        await held


async def test_a_header_that_is_no_deadline_is_refused_by_the_tool_and_takes_no_place() -> None:
    async with slow() as server:
        server.go.set()
        await server.read("first")
        sent = next(r for r in reversed(server.mesh.seen) if r.method == "POST")
        headers = httpx.Headers(sent.headers)
        headers["x-mesh-deadline-ms"] = "soon"
        async with server.mesh.client() as client:
            answer = await client.post(f"{URL}/mcp", content=sent.content, headers=headers)
        assert "whole number of milliseconds" in answer.text


async def test_a_tool_server_that_still_starts_is_cold_and_its_breaker_stays_closed() -> None:
    go, told, ring = threading.Event(), asyncio.Event(), Keyring("slow", "orders")
    app = Slow(1).mesh.apps[URL]

    def build() -> Any:
        go.wait(20)
        return app

    front = Front("slow", None, None, build, told.set)
    mesh = InProcess({URL: front})
    box = Toolbox([URL], mesh.client(), ring.identity("orders"))
    async with mesh.running():
        for _ in range(6):
            [row] = await box.catalogue(Deadline.after(5))
            assert (row["name"], row["status"], row["breaker"]) == ("slow", "cold", "closed")
        with pytest.raises(PeerOverloaded, match="still starting") as refused:
            await box.session(by=Deadline.after(0.5)).call("look", name="x")
        assert 0 < (refused.value.retry_after or 0) <= 1
        go.set()
        await told.wait()
        assert front.app is app
