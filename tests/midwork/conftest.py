"""A desk that asks in the middle of its work, in one process: the team of tests/mesh, with agents that propose and ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from aggregator.agent import AGENT as AGGREGATOR
from meshwright.agent import Agent, Job, Playbook
from meshwright.deadline import Deadline
from meshwright.findings import Evidence, Finding, Proposal, Split, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.peer import Answer
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring, policy_in
from meshwright.toolserver import Access, Call, ToolRefused, ToolServer
from orchestrator.server import orchestrator_app

RULES = """
@id("painting") @source("test") @why("things are painted")
permit (principal, action == Action::"paint", resource);

@id("expensive") @source("test") @why("it is expensive")
forbid (principal, action == Action::"paint", resource)
unless { context.approvals >= 1 || (context has thing.price && context.thing.price <= 100) };

@id("colours") @source("test") @why("no such colour")
forbid (principal, action == Action::"paint", resource)
unless { ["red", "blue", "gold", "green"].contains(context.proposal.colour) };
"""
FACTS = """
[needs]
paint = ["thing"]
[facts.thing]
tool = "look_at"
arguments = { thing_id = "proposal.thing_id" }
keep = ["price"]
"""


def policy(folder: Path) -> Path:
    """What is dear is painted with a person's approval, the rest at once; and in some colours only."""
    actions, told = {"paint": "thing_id: String, colour: String"}, {"thing": "{ price?: Long }"}
    return policy_in(folder / "policy", rules=RULES, actions=actions, told=told, facts=FACTS)


#: A tool that most of them call, and a word of the request for those that call none.
EVIDENCE = [Evidence(source="tool:workshop.look_at", quote="thing"), Evidence(source="ticket", quote="paint")]


class Thing(BaseModel):
    thing_id: str
    price: int
    colour: str


class Receipt(BaseModel):
    summary: str
    replayed: bool = False


@dataclass
class Workshop:
    """Things that have a price and a colour, and a journal of what was done to them."""

    prices: dict[str, int] = field(default_factory=lambda: {"t1": 10, "t2": 500, "t3": 30, "t4": 40})
    colours: dict[str, str] = field(default_factory=dict)
    done: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    looks: int = 0

    def server(self) -> ToolServer:
        server = ToolServer("workshop", version="1")

        @server.read
        async def look_at(thing_id: str) -> Thing:
            """A thing, its price and its colour."""
            self.looks += 1
            if thing_id not in self.prices:
                raise ToolRefused(f"there is no {thing_id}")
            colour = self.colours.get(thing_id, "grey")
            return Thing(thing_id=thing_id, price=self.prices[thing_id], colour=colour)

        @server.write
        async def paint(thing_id: str, colour: str, call: Call) -> Receipt:
            """Paint a thing."""
            if colour == "green":
                raise ToolRefused("we are out of green")
            self._once(call, "paint", {"thing_id": thing_id, "colour": colour})
            self.colours[thing_id] = colour
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
        if call.key not in {key for key, _, _ in self.done}:
            self.done.append((call.key, action, arguments))

    def actions(self, name: str) -> list[dict[str, Any]]:
        return [arguments for _, action, arguments in self.done if action == name]


def paint(thing: str, colour: str, **more: Any) -> Proposal:
    """The proposal to paint a thing."""
    known = {"evidence": EVIDENCE, "why": "the customer wants it", **more}
    return Proposal(action="paint", arguments={"thing_id": thing, "colour": colour}, **known)


async def split(subtask: Subtask, job: Job) -> Split:
    """One part for each line: the agent's name, and what it is told."""
    skills = {"orders": "order-change", "returns": "order-return", "accounts": "address-change"}
    parts = []
    for number, line in enumerate(subtask.instruction.splitlines()):
        name, _, words = line.partition(" ")
        parts.append(Subtask(id=f"p{number}", skill=skills[name], instruction=words))
    return Split(topic="paint", subtasks=parts)


async def idle(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="Nothing to do here.")


@dataclass
class Team:
    """The running team, and how to ask it."""

    mesh: InProcess
    ring: Keyring
    workshop: Workshop
    settings: Settings
    playbooks: dict[str, Playbook | Agent]

    async def peer(self, name: str, skill: str) -> Any:
        directory = Directory([f"http://{name}"], self.mesh.client(), self.ring.identity("operator"))
        await directory.refresh()
        return directory.candidates(skill)[0]

    async def ask(self, text: str, *, seconds: float = 20, **more: Any) -> Answer:
        """A ticket, up to its end or to a question for its client."""
        peer = await self.peer("orchestrator", "handle-ticket")
        answer: Answer = await peer.ask({}, text=text, by=Deadline.after(seconds), hears=True, **more)
        return answer

    async def report(self, text: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask(text, **more)
        assert answer.asks is None, answer.asks
        report = answer.data[0]
        assert isinstance(report, dict)
        return report

    async def operator(self, method: str, path: str, **more: Any) -> Any:
        """Not the one who asks here: nobody approves what they asked for."""
        token = self.ring.signer("reviewer").token("orchestrator")
        async with self.mesh.client() as client:
            headers = {"authorization": f"Bearer {token}"}
            return await client.request(method, f"http://orchestrator{path}", headers=headers, **more)

    async def rpc(
        self, name: str, method: str, params: dict[str, Any], *, who: str = "operator"
    ) -> dict[str, Any]:
        """One raw call to an agent; its result, or its error."""
        async with self.mesh.client() as client:
            token = self.ring.signer(who).token(name)
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            headers = {"a2a-version": "1.0", "authorization": f"Bearer {token}"}
            answer = (await client.post(f"http://{name}/", json=body, headers=headers)).json()
        result: dict[str, Any] = answer.get("result", answer)
        return result

    async def sent(self, text: str, **more: Any) -> dict[str, Any]:
        """The client's task after one message."""
        message = {
            "messageId": text.replace("\n", " ")[:40],
            "role": "ROLE_USER",
            "parts": [{"text": text}],
            **more,
        }
        return dict((await self.rpc("orchestrator", "SendMessage", {"message": message})).get("task") or {})

    async def ended(self, task_id: str) -> dict[str, Any]:
        """The report of a task, once it has ended."""
        while True:
            task = await self.rpc("orchestrator", "GetTask", {"id": task_id})
            if task["status"]["state"] not in ("TASK_STATE_INPUT_REQUIRED", "TASK_STATE_WORKING"):
                break
            await asyncio.sleep(0)
        data = [part["data"] for part in task["artifacts"][-1]["parts"] if "data" in part]
        return dict(data[0])

    def app(self, name: str) -> Any:
        """Another process of an agent, on the same store."""
        peers = "http://returns" if name == "orders" else ""
        settings = self.settings.model_copy(update={"peers": (peers,) if peers else ()})
        book = self.playbooks[name]
        agent = book if isinstance(book, Agent) else Agent(name, playbook=book)
        return agent_app(agent, settings, self.ring.identity(name), self.mesh.client())

    def orchestrator(self) -> Any:
        return orchestrator_app(self.settings, self.ring.identity("orchestrator"), self.mesh.client())


StartTeam = Callable[..., Any]


@pytest.fixture
def start_team(tmp_path: Path) -> StartTeam:
    """Start a team around the body: `orders` may ask `returns`; `playbooks` are their functions."""

    @asynccontextmanager
    async def start(
        database: str = "", model: str = "", tenant_tokens: int = 0, **playbooks: Playbook | Agent
    ) -> AsyncIterator[Team]:
        books: dict[str, Playbook | Agent] = {
            "triage": split,
            "orders": idle,
            "returns": idle,
            "accounts": idle,
            **playbooks,
        }
        ring, mesh, workshop = (
            Keyring("orchestrator", "aggregator", "workshop", *books, operators=("operator", "reviewer")),
            InProcess({}),
            Workshop(),
        )
        settings = Settings.model_validate(
            {
                "home": tmp_path,
                "peers": ",".join(f"http://{n}" for n in (*books, "aggregator")),
                "tools": "http://workshop",
                "policy": policy(tmp_path),
                "refresh": 3600,
                "warm": 0,
                "budget_tenant_tokens": tenant_tokens,
                **({"database": database} if database else {}),
                **({"model": "openai/scripted", "model_url": model, "model_key": "k"} if model else {}),
            }
        )
        team = Team(mesh, ring, workshop, settings, books)
        for name in books:
            mesh.apps[f"http://{name}"] = team.app(name)
        mesh.apps["http://aggregator"] = agent_app(
            AGGREGATOR, settings, ring.identity("aggregator"), mesh.client()
        )
        readers = dict.fromkeys((*books, "orchestrator"), ("workshop.*",))
        tools = ring.identity("workshop", open_to_strangers=False)
        access = Access(readers, {"orchestrator": ("*",)})
        mesh.apps["http://workshop"] = tool_app(workshop.server(), settings, tools, access)
        mesh.apps["http://orchestrator"] = team.orchestrator()
        async with mesh.running():
            yield team

    return start


@pytest.fixture
def propose() -> Callable[..., Proposal]:
    """Makes the proposal to paint a thing."""
    return paint
