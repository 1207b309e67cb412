"""Real servers on loopback, each with a proxy before it that can do to it what networks and sick peers do."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from aggregator.agent import AGENT as AGGREGATOR
from meshwright.agent import Agent, Job
from meshwright.deadline import Deadline
from meshwright.findings import Claim, Evidence, Finding, Split, Subtask
from meshwright.grants.grant import Grant
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.peer import Answer, Peer
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings
from meshwright.testing import FaultProxy, Keyring, policy_in, serving
from meshwright.toolserver import Access, Call, ToolServer
from orchestrator.server import orchestrator_app

NAMES = ("orchestrator", "triage", "orders", "advisor", "standby", "aggregator", "shelf")


class Stock(BaseModel):
    pieces: int


class Receipt(BaseModel):
    summary: str


@dataclass
class Shelf:
    """A tool server that remembers: `reads` counts, `applied` holds the key of every effect, `writes` that of every call."""

    reads: int = 0
    applied: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)

    def server(self) -> ToolServer:
        server = ToolServer("shelf", version="1")

        @server.read
        async def stock() -> Stock:
            """How much there is."""
            self.reads += 1
            return Stock(pieces=7)

        @server.write
        async def take(pieces: int, call: Call) -> Receipt:
            """Take some of it."""
            self.writes.append(call.key)
            self.applied.add(call.key)
            return Receipt(summary=f"{pieces} taken")

        return server


def access() -> Access:
    readers = dict.fromkeys(("orders", "orchestrator"), ("shelf.*",))
    return Access(readers, {"orchestrator": ("shelf.*",)})


@pytest.fixture
def make_shelf() -> type[Shelf]:
    """A tool server, to be made."""
    return Shelf


@dataclass
class Tools:
    """A tool server behind a proxy, and a toolbox that reaches it only through that."""

    shelf: Shelf
    proxy: FaultProxy
    #: A toolbox that knows nothing yet; `hedge` as the setting.
    make_box: Callable[..., Toolbox]
    box: Toolbox

    async def read(self, seconds: float) -> dict[str, Any]:
        return await self.box.session(by=Deadline.after(seconds)).call("stock")

    async def write(self, seconds: float, key: str = "key") -> dict[str, Any]:
        arguments = {"pieces": 2}
        session = self.box.session(by=Deadline.after(seconds))
        return await session.apply(Grant.of("take", arguments, key=key), arguments)

    @property
    def failures(self) -> dict[str, int]:
        shown: dict[str, int] = self.box.hosts[0].breaker.shown()["failures"]
        return shown


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    client = http_client()
    yield client
    await client.aclose()


@pytest.fixture
async def tools(http: httpx.AsyncClient) -> AsyncIterator[Tools]:
    """A tool server that is well, so far, and known to its caller."""
    ring, shelf = Keyring(*NAMES), Shelf()
    identity = ring.identity("shelf", open_to_strangers=False)
    app = tool_app(shelf.server(), Settings(), identity, access())
    async with serving(app) as url, FaultProxy(url).running() as proxy:
        make_box = functools.partial(Toolbox, [proxy.url], http, ring.identity("orchestrator"))
        box = make_box()
        await box.schemas(Deadline.after(20))
        yield Tools(shelf, proxy, make_box, box)


async def split(subtask: Subtask, job: Job) -> Split:
    parts = {"look": "order-status", "explain": "policy-answer"}
    return Split(
        topic="question",
        subtasks=[Subtask(id=part, skill=skill, instruction=part) for part, skill in parts.items()],
    )


async def advisor(subtask: Subtask, job: Job) -> Finding:
    return found("Thirty days.")


async def standby(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="A colleague will look at it.")


def found(text: str) -> Finding:
    claim = Claim(text=text, evidence=[Evidence(source="tool:shelf.stock", quote=text)])
    return Finding(reply=text, claims=[claim])


@dataclass
class Team:
    """Agents as real servers. The one called `orders` is reached through `proxy` only."""

    proxy: FaultProxy
    directory: Directory
    entry: Peer
    #: The subtasks that the sick one worked on.
    worked: list[str]

    @property
    def orders(self) -> Peer:
        return self.directory.candidates("order-status")[0]

    async def ask(self, seconds: float, **more: Any) -> Answer:
        """Ask the sick one, as an orchestrator would."""
        subtask = Subtask(id="look", skill="order-status", instruction="look").model_dump(mode="json")
        return await self.orders.ask({"subtask": subtask}, by=Deadline.after(seconds), **more)

    async def report(self, seconds: float) -> dict[str, Any]:
        """Send a request to the orchestrator, and get the run's report."""
        answer = await self.entry.ask({}, text="where is it, and for how long?", by=Deadline.after(seconds))
        report: dict[str, Any] = answer.data[0]
        return report


StartTeam = Callable[[], Any]


@pytest.fixture
def start_team(tmp_path: Path, http: httpx.AsyncClient) -> StartTeam:
    @asynccontextmanager
    async def start() -> AsyncIterator[Team]:
        worked: list[str] = []

        async def orders(subtask: Subtask, job: Job) -> Finding:
            worked.append(subtask.id)
            return found("It is on its way.")

        ring = Keyring(*NAMES)
        settings = Settings.model_validate(
            {"home": tmp_path, "policy": policy_in(tmp_path / "policy"), "refresh": 3600, "grace": 0}
        )
        playbooks = {"triage": split, "orders": orders, "advisor": advisor, "standby": standby}
        agents = [Agent(name, playbook=playbook) for name, playbook in playbooks.items()]
        async with AsyncExitStack() as stack:
            urls: dict[str, str] = {}
            for agent in (*agents, AGGREGATOR):
                app = agent_app(agent, settings, ring.identity(agent.name))
                urls[agent.name] = await stack.enter_async_context(serving(app))
            proxy = await stack.enter_async_context(FaultProxy(urls["orders"]).running())
            urls["orders"] = proxy.url
            settings = settings.model_copy(update={"peers": tuple(urls.values())})
            entrance = orchestrator_app(settings, ring.identity("orchestrator"))
            urls["orchestrator"] = await stack.enter_async_context(serving(entrance))
            directory = Directory([*urls.values()], http, ring.identity("operator"))
            await directory.refresh()
            async with asyncio.timeout(20):
                while (await http.get(urls["orchestrator"] + "/readyz")).status_code != 200:
                    pass
            yield Team(proxy, directory, directory.candidates("handle-ticket")[0], worked)

    return start
