"""A small team in one process, without a socket: everything real but the transport. Not the shop: any team."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from a2a.types import Message, Part
from pydantic import BaseModel

from aggregator.agent import AGENT as AGGREGATOR
from meshwright.agent import Agent, Job, Playbook
from meshwright.database import Database, open_database
from meshwright.deadline import Deadline
from meshwright.findings import Evidence, Finding, Proposal, Split, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.ledger import Account
from meshwright.outbound.directory import Directory
from meshwright.outbound.peer import Answer
from meshwright.outbound.toolbox import Toolbox
from meshwright.policy.rules import Policy
from meshwright.records.minutes import Minutes
from meshwright.records.runs import RunStore
from meshwright.reviews.store import ReviewStore
from meshwright.settings import Settings
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.outbox import Outbox
from meshwright.tasks.snapshot import Claim
from meshwright.testing import InProcess, Keyring, policy_in
from meshwright.toolserver import Access, Call, ToolServer
from orchestrator.checkpoints import Checkpoints
from orchestrator.driver import run_id
from orchestrator.purse import Purse
from orchestrator.resume import ready_to_go_on
from orchestrator.server import orchestrator_app
from orchestrator.work import GRAPH_VERSION, NEWEST, Drive, Work, new_work

RULES = """
@id("painting") @source("test") @why("things are painted")
permit (principal, action == Action::"paint", resource);

@id("understood") @source("test") @why("not all was understood")
forbid (principal, action == Action::"paint", resource) when { context.request.unread > 0 };

@id("expensive") @source("test") @why("it is expensive")
forbid (principal, action == Action::"paint", resource)
unless { context.approvals >= 1 || (context has thing.price && context.thing.price <= 100) };

@id("very-expensive") @source("test") @why("two look at it") @risk("high")
forbid (principal, action == Action::"paint", resource)
unless { context.approvals >= 2 || (context has thing.price && context.thing.price <= 1000) };
"""
FACTS = """
moves = "thing.price"
[needs]
paint = ["thing"]
[facts.thing]
tool = "look_at"
arguments = { thing_id = "proposal.thing_id" }
keep = ["price"]
"""


def policy(folder: Path) -> Path:
    """The policy of the team: what is dear is painted with a person's approval, the rest at once."""
    actions, told = {"paint": "thing_id: String, colour: String"}, {"thing": "{ price?: Long }"}
    return policy_in(folder / "policy", rules=RULES, actions=actions, told=told, facts=FACTS)


EVIDENCE = [Evidence(source="tool:workshop.look_at", quote="thing")]


class Thing(BaseModel):
    thing_id: str
    price: int


class Receipt(BaseModel):
    summary: str
    replayed: bool = False


@dataclass
class Workshop:
    """What the tool server of the tests knows, and a journal of what was done to it."""

    prices: dict[str, int] = field(default_factory=lambda: {"t1": 10, "t2": 500})
    done: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def server(self) -> ToolServer:
        server = ToolServer("workshop", version="1")

        @server.read
        async def look_at(thing_id: str) -> Thing:
            """A thing and its price."""
            return Thing(thing_id=thing_id, price=self.prices[thing_id])

        @server.write
        async def paint(thing_id: str, colour: str, call: Call) -> Receipt:
            """Paint a thing."""
            self._once(call, "paint", {"thing_id": thing_id, "colour": colour})
            return Receipt(summary=f"{thing_id} is {colour}")

        @server.write
        async def reply(ticket_id: str, text: str, call: Call) -> Receipt:
            """Answer the customer."""
            self._once(call, "reply", {"text": text})
            return Receipt(summary="replied")

        @server.write
        async def escalate(ticket_id: str, reason: str, summary: str, call: Call) -> Receipt:
            """Hand over to a person."""
            self._once(call, "escalate", {"reason": reason})
            return Receipt(summary="handed over")

        @server.write
        async def close(ticket_id: str, outcome: str, call: Call) -> Receipt:
            """End the ticket."""
            self._once(call, "close", {})
            return Receipt(summary="closed")

        return server

    def _once(self, call: Call, action: str, arguments: dict[str, Any]) -> None:
        self.calls.append(call)
        if call.key not in {key for key, _, _ in self.done}:
            self.done.append((call.key, action, arguments))

    def actions(self, name: str) -> list[dict[str, Any]]:
        return [arguments for _, action, arguments in self.done if action == name]


async def split(subtask: Subtask, job: Job) -> Split:
    """Reads `paint t1 red`; what it cannot read it says."""
    words = subtask.instruction.split()
    if words[:1] != ["paint"]:
        return Split(unread=[subtask.instruction])
    part = Subtask(
        id="paint", skill="order-change", instruction=subtask.instruction, details={"thing": words[1:]}
    )
    look = Subtask(id="look", skill="order-status", instruction="look at it")
    return Split(topic="paint", subtasks=[look, part.model_copy(update={"needs": ["look"]})])


async def painter(subtask: Subtask, job: Job) -> Finding:
    if subtask.skill == "order-status":
        return Finding(facts={"seen": True}, reply="I looked.")
    thing, colour = subtask.details["thing"]
    await job.tools.call("look_at", thing_id=thing)
    arguments = {"thing_id": thing, "colour": colour}
    return Finding(
        reply="It can be painted.",
        proposals=[Proposal(action="paint", arguments=arguments, evidence=EVIDENCE)],
    )


async def standby(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="A colleague will look at it.")


PLAYBOOKS: dict[str, Playbook] = {"triage": split, "orders": painter, "standby": standby}


@dataclass
class Team:
    """The running team, and how to ask it."""

    mesh: InProcess
    ring: Keyring
    workshop: Workshop
    settings: Settings

    async def ask(self, text: str, *, seconds: float = 20, **more: Any) -> Answer:
        directory = Directory(["http://orchestrator"], self.mesh.client(), self.ring.identity("operator"))
        await directory.refresh()
        peer = directory.candidates("handle-ticket")[0]
        return await peer.ask({}, text=text, by=Deadline.after(seconds), **more)

    async def report(self, text: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask(text, **more)
        report = answer.data[0]
        assert isinstance(report, dict)
        return report

    async def operator(self, method: str, path: str, *, name: str = "operator", **more: Any) -> Any:
        token = self.ring.signer(name).token("orchestrator")
        async with self.mesh.client() as client:
            headers = {"authorization": f"Bearer {token}"}
            return await client.request(method, f"http://orchestrator{path}", headers=headers, **more)


@pytest.fixture
def workshop() -> type[Workshop]:
    """The tool server of these tests, to be made."""
    return Workshop


StartTeam = Callable[..., Any]


@pytest.fixture
def start_team(tmp_path: Path) -> StartTeam:
    """Start a team; `playbooks` replaces some of its agents' functions."""

    @asynccontextmanager
    async def start(
        *,
        at_once: int = 400,
        queue: int = 1000,
        warm: float = 0,
        operators: tuple[str, ...] = ("operator",),
        **playbooks: Playbook,
    ) -> AsyncIterator[Team]:
        names = {"orchestrator", "aggregator", "workshop", *PLAYBOOKS, *playbooks}
        ring, mesh, workshop = Keyring(*names, operators=operators), InProcess({}), Workshop()
        agents = {**PLAYBOOKS, **playbooks}
        settings = Settings.model_validate(
            {
                "home": tmp_path,
                "peers": ",".join(f"http://{n}" for n in (*agents, "aggregator")),
                "tools": "http://workshop",
                "policy": policy(tmp_path),
                "refresh": 3600,
                "at_once": at_once,
                "queue": queue,
                "warm": warm,
            }
        )
        for name, playbook in agents.items():
            agent = Agent(name, playbook=playbook)
            mesh.apps[f"http://{name}"] = agent_app(agent, settings, ring.identity(name), mesh.client())
        mesh.apps["http://aggregator"] = agent_app(
            AGGREGATOR, settings, ring.identity("aggregator"), mesh.client()
        )
        access = Access(
            {"orders": ("workshop.*",), "orchestrator": ("workshop.*",)}, {"orchestrator": ("*",)}
        )
        tools = ring.identity("workshop", open_to_strangers=False)
        mesh.apps["http://workshop"] = tool_app(workshop.server(), settings, tools, access)
        mesh.apps["http://orchestrator"] = orchestrator_app(
            settings, ring.identity("orchestrator"), mesh.client()
        )
        async with mesh.running():
            yield Team(mesh, ring, workshop, settings)

    return start


@dataclass
class RunInHand:
    """One run of a team's orchestrator, driven by the test itself, through any graph, up to any node."""

    database: Database
    store: RunStore
    reviews: ReviewStore
    drive_with: Drive
    claim: Claim
    fresh: Work

    @property
    def config(self) -> Any:
        drive = self.drive_with
        known = {"thread_id": drive.run, "claim": self.claim, "minutes": drive.minutes}
        return {"configurable": known}

    async def drive(
        self, build: Callable[[Any], Any], *, before: str = "", reads: int = NEWEST
    ) -> dict[str, Any]:
        """Drive on from wherever the run stands, as the driver of a build that reads up to the schema `reads` does; up to the node
        `before`, or to the end."""
        graph = build(Checkpoints(self.database))
        begin = None if await ready_to_go_on(graph, self.config, reads) else self.fresh
        stops = [before] if before and before != "review" else []
        state: dict[str, Any] = await graph.ainvoke(
            begin, self.config, context=self.drive_with, durability="sync", interrupt_before=stops
        )
        return state


@asynccontextmanager
async def _run_on(team: Team, url: str, text: str) -> AsyncIterator[RunInHand]:
    database = await open_database(url)
    ask = Ask("\x1f", "", Message(message_id="golden", parts=[Part(text=text)]), {}, 30)
    accepted = await database.write(lambda tx: accept(tx, Desk("orchestrator", "recorder", 3600), ask))
    assert accepted.claim is not None
    store, key = RunStore(database), run_id(accepted.task_id)
    reviews = ReviewStore(database, "orchestrator")
    await store.start(key, task_id=accepted.task_id, caller="", request=text, graph_version=GRAPH_VERSION)
    me = team.ring.identity("orchestrator")
    directory = Directory(team.settings.peers, team.mesh.client(), me)
    await directory.refresh()
    toolbox = Toolbox(team.settings.tools, team.mesh.client(), me)

    async def say(line: str) -> None:
        return None

    assert team.settings.policy is not None
    minutes = Minutes("orchestrator", accepted.task_id, 1, run=key)
    drive = Drive(
        *(
            Deadline.after(30),
            Purse(database, Account("run", key, 50_000)),
            directory,
            toolbox,
            Policy.load(team.settings.policy),
            store,
            reviews,
            say,
        ),
        *(Outbox(database, "orchestrator", accepted.claim, minutes), {}, accepted.claim, key),
        minutes=minutes,
    )
    try:
        yield RunInHand(database, store, reviews, drive, accepted.claim, new_work(key, text))
    finally:
        await database.close()


@pytest.fixture
def run_on() -> Callable[[Team, str, str], Any]:
    """A run of a team, in the test's own hands: `run_on(team, url, text)`."""
    return _run_on
