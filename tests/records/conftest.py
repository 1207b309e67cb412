"""One agent with a tool server and peers, in one process: what it wrote down, and what it told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from pydantic import BaseModel

from meshwright.agent import Agent, Job, Playbook
from meshwright.database import open_database
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.peer import Answer
from meshwright.records.telemetry import Telemetry
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access, ToolRefused, ToolServer


class Said(BaseModel):
    thing: str
    about: Any = None


@dataclass
class Shelf:
    """What the tool tells of each thing; of one that is not there it says no."""

    things: dict[str, Any] = field(default_factory=lambda: {"t1": {"price": 10}})
    looks: int = 0

    def server(self) -> ToolServer:
        server = ToolServer("shelf", version="1")

        @server.read
        async def look_at(thing: str) -> Said:
            """A thing."""
            self.looks += 1
            if thing not in self.things:
                raise ToolRefused(f"there is no {thing}, says ada@example.org")
            return Said(thing=thing, about=self.things[thing])

        return server


class Spans(SpanExporter):
    """Hears what this process tells."""

    def __init__(self) -> None:
        self.heard: list[ReadableSpan] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.heard += list(spans)
        return SpanExportResult.SUCCESS


class Ear:
    def __init__(self) -> None:
        self._spans = Spans()
        self.telemetry = Telemetry("here", self._spans)
        self.telemetry.start()

    def calls(self, kind: str) -> list[tuple[str, tuple[str, ...]]]:
        """(span id, decisions on it) of each call out of a process whose name begins with `kind`."""
        self.telemetry.provider.force_flush()
        found = []
        for span in self._spans.heard:
            if span.kind is SpanKind.CLIENT and span.name.startswith(kind):
                assert span.context is not None
                assert span.attributes is not None
                decisions: Any = span.attributes.get("mesh.decisions", ())
                found.append((f"{span.context.span_id:016x}", tuple(decisions)))
        return found

    def hung(self, kind: str, rows: list[dict[str, Any]], others: int = 0) -> None:
        """Require that each such call has the one row that names it, and the other way round, but for `others`."""
        calls = self.calls(kind)
        named = sorted(call for call in calls if call[1])
        assert len(calls) - len(named) == others
        assert named == sorted((row["span"], (row["id"],)) for row in rows)

    def all(self) -> str:
        """All that was told, as one text."""
        self.telemetry.provider.force_flush()
        return " ".join(f"{span.name} {dict(span.attributes or {})}" for span in self._spans.heard)


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    yield ear
    ear.telemetry.stop()


async def idle(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="Nothing to do here.")


@dataclass
class House:
    """The running agent `orders`, which may ask `returns`, and how to ask it."""

    mesh: InProcess
    ring: Keyring
    shelf: Shelf
    settings: Settings

    async def ask(
        self, text: str = "look", *, seconds: float = 20, name: str = "orders", **more: Any
    ) -> Answer:
        directory = Directory([f"http://{name}"], self.mesh.client(), self.ring.identity("caller"))
        await directory.refresh()
        skill = {"orders": "order-change", "returns": "order-return"}[name]
        (peer, *_) = directory.candidates(skill)
        subtask = Subtask(id="part", skill=skill, instruction=text)
        content = more.pop("content", {"subtask": subtask.model_dump(mode="json")})
        return await peer.ask(content, text=text, by=Deadline.after(seconds), **more)

    async def rows(self, kind: str = "", name: str = "orders") -> list[dict[str, Any]]:
        """What an agent has kept, the oldest first."""
        database = await open_database(self.settings.database_of(name))
        try:
            rows = await database.execute("SELECT body FROM decisions ORDER BY at")
        finally:
            await database.close()
        found = [json.loads(row["body"]) for row in rows]
        return [row for row in found if not kind or row["kind"] == kind]

    async def kept(self, kind: str, name: str = "orders") -> list[dict[str, Any]]:
        """The same, once there are some: who asks may be gone before the work is over."""
        async with asyncio.timeout(20):
            while not (found := await self.rows(kind, name)):
                pass
        return found

    async def get(self, path: str, *, who: str = "caller", name: str = "orders") -> Any:
        token = {"authorization": f"Bearer {self.ring.signer(who).token(name)}"} if who else {}
        async with self.mesh.client() as client:
            return await client.get(f"http://{name}{path}", headers=token)

    def app(self, name: str, playbook: Playbook | Agent, **more: Any) -> Any:
        agent = playbook if isinstance(playbook, Agent) else Agent(name, playbook=playbook)
        settings = self.settings.model_copy(update=more)
        return agent_app(agent, settings, self.ring.identity(name), self.mesh.client())


StartHouse = Callable[..., Any]


@pytest.fixture
def start_house(tmp_path: Path) -> StartHouse:
    """Start a house around the body; `orders` and `returns` are playbooks or agents."""

    @asynccontextmanager
    async def start(
        orders: Playbook | Agent = idle, returns: Playbook | Agent = idle, **settings: Any
    ) -> AsyncIterator[House]:
        ring = Keyring("orders", "returns", "shelf", "caller", readers=("caller",))
        mesh, shelf = InProcess({}), Shelf()
        known = Settings.model_validate({"home": tmp_path, "tools": "http://shelf", "warm": 0, **settings})
        house = House(mesh, ring, shelf, known)
        mesh.apps["http://returns"] = house.app("returns", returns)
        mesh.apps["http://orders"] = house.app("orders", orders, peers=("http://returns",))
        tools = ring.identity("shelf", open_to_strangers=False)
        access = Access(dict.fromkeys(("orders", "returns"), ("shelf.*",)), {})
        mesh.apps["http://shelf"] = tool_app(shelf.server(), known, tools, access)
        async with mesh.running():
            yield house

    return start
