"""A few agents and a tool server on real sockets in one process, each with its own key, store and HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from meshwright.agent import Agent, Job, Playbook
from meshwright.asking import Asking
from meshwright.budget import Amount, Budget
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.notebook import Notebook
from meshwright.origin import Origin
from meshwright.outbound.colleagues import Colleagues
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.peer import Answer, Peer
from meshwright.settings import Settings
from meshwright.testing import Keyring
from meshwright.toolserver import Access, ToolServer

#: A skill of each agent that these tests start.
SKILL = {
    "orders": "order-status",
    "returns": "order-return",
    "accounts": "profile-read",
    "triage": "split-request",
    "aggregator": "merge-findings",
    "orchestrator": "handle-ticket",
}


class Team:
    """What runs, and how to ask it."""

    def __init__(self, folder: Path, stack: AsyncExitStack, *, keys: bool = True) -> None:
        self.folder = folder
        self.ring = Keyring(*SKILL, "workshop") if keys else None
        self._stack = stack
        self._sockets: dict[str, socket.socket] = {}

    def url(self, name: str) -> str:
        """Where `name` is, or will be."""
        if name not in self._sockets:
            listener = self._sockets[name] = self._stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._sockets[name].getsockname()[1]}"

    def identity(self, name: str, *, open_to_strangers: bool = True) -> Any:
        if self.ring is not None:
            return self.ring.identity(name, open_to_strangers=open_to_strangers)
        from meshwright.inbound.identity import Identity, Trust

        return Identity(name, None, Trust(name, {}, open_to_strangers=True))

    async def serve(self, name: str, app: ASGIApp) -> str:
        """Run `app` where `name` is, until the test ends."""
        url = self.url(name)
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, lifespan="auto")
        server = uvicorn.Server(config)
        self._sockets[name].listen(128)
        work = asyncio.create_task(server.serve(sockets=[self._sockets[name]]))

        async def stop() -> None:
            server.should_exit = True
            await work

        self._stack.push_async_callback(stop)
        async with httpx.AsyncClient() as http:
            while not work.done():
                with contextlib.suppress(httpx.TransportError):
                    await http.get(url + "/livez")
                    return url
                await asyncio.sleep(0)
        raise RuntimeError(f"{name} did not start")

    async def start(
        self,
        name: str,
        playbook: Playbook,
        *,
        peers: Sequence[str] = (),
        tools: Sequence[str] = (),
        **more: Any,
    ) -> str:
        """An agent under the card of `name`, or another `card`."""
        instructions, card = more.pop("instructions", None), more.pop("card", name)
        settings = Settings.model_validate(
            {
                "home": self.folder / name,
                "database": f"sqlite:///{self.folder}/{name}.db",
                "peers": tuple(self.url(peer) for peer in peers),
                "tools": tuple(self.url(tool) for tool in tools),
                "refresh": 0.2,
                "grace": 0,
                **more,
            }
        )
        agent = Agent(card, playbook=playbook, instructions=instructions)
        return await self.serve(name, agent_app(agent, settings, self.identity(card)))

    async def start_tools(self, server: ToolServer) -> str:
        access = Access(dict.fromkeys(SKILL, ("*",)), {"orders": ("*",)})
        identity = self.identity(server.name, open_to_strangers=False)
        return await self.serve(server.name, tool_app(server, Settings(), identity, access))

    async def directory(self, *names: str, who: str = "operator") -> Directory:
        http = http_client()
        self._stack.push_async_callback(http.aclose)
        directory = Directory([self.url(name) for name in names], http, self.identity(who))
        await directory.refresh()
        return directory

    async def peer(self, name: str, *, who: str = "operator") -> Peer:
        return (await self.directory(name, who=who)).candidates(SKILL[name])[0]

    async def ask(self, name: str, instruction: str = "look", *, seconds: float = 20, **more: Any) -> Answer:
        """One subtask for `name`."""
        peer = await self.peer(name, who=more.pop("who", "operator"))
        subtask = Subtask(id="s", skill=SKILL[name], instruction=instruction)
        return await peer.ask({"subtask": subtask.model_dump()}, by=Deadline.after(seconds), **more)

    async def colleagues(self, *names: str, seconds: float = 20, **more: Any) -> Colleagues:
        """What an agent `orders` has of others while it works on a task."""
        origin = more.pop("origin", Origin(task="t1", run="r1"))
        budget = more.pop("budget", None) or Budget(1000)
        directory = await self.directory(*names, who="orders")
        return Colleagues(directory, Deadline.after(seconds), budget, origin, Asking(Notebook(message="m1")))


class Hand:
    """A playbook, or a tool, that a test holds in its hand: it tells when it begins, waits for `gate`, and tells when it is stopped."""

    def __init__(self, *, waits: bool = False, spends: int = 0) -> None:
        self.began, self.gate, self.stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.jobs: list[tuple[Subtask, Job]] = []
        self._spends = spends
        if not waits:
            self.gate.set()

    async def playbook(self, subtask: Subtask, job: Job) -> Finding:
        self.jobs.append((subtask, job))
        if self._spends:
            await (await job.budget.hold(1, self._spends)).settle(Amount(self._spends))
        await self.work()
        return Finding(reply=f"seen: {subtask.instruction}")

    async def work(self) -> None:
        self.began.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise


@pytest.fixture
def hand() -> type[Hand]:
    """Makes work that a test controls."""
    return Hand


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    async with AsyncExitStack() as stack:
        yield Team(tmp_path, stack)


@pytest.fixture
async def keyless(tmp_path: Path) -> AsyncIterator[Team]:
    """The same without keys, as on an open loopback."""
    async with AsyncExitStack() as stack:
        yield Team(tmp_path, stack, keys=False)
