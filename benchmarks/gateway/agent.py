"""An agent of ours behind the gateway: a real A2A server, its ledger, a tool, and a question to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.gateway.proxy import Gateway
from meshwright.agent import Agent, Job
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.peer import Answer
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access, ToolServer

#: What the model says: it looks something up, and answers.
SCRIPT: list[str | dict[str, Any]] = [
    {"tool": "look_at", "arguments": {"thing": "t1"}},
    json.dumps({"reply": "It costs 10."}),
]


class Thing(BaseModel):
    price: int


def shelf() -> ToolServer:
    server = ToolServer("shelf", version="1")

    @server.read
    async def look_at(thing: str) -> Thing:
        """A thing and its price."""
        return Thing(price=10)

    return server


async def playbook(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="by the book")


async def asked(gateway: Gateway, home: Path, name: str = "orders") -> Answer:
    """What the agent `name` answers with the gateway as its model."""
    ring, mesh = Keyring(name, "shelf"), InProcess({})
    settings = Settings.model_validate(
        {
            "home": home,
            "tools": "http://shelf",
            "model": "openai/desk",
            "model_url": gateway.url,
            "model_key": gateway.keys[name],
        }
    )
    agent = Agent(name, playbook=playbook, instructions="You look at things.")
    mesh.apps[f"http://{name}"] = agent_app(agent, settings, ring.identity(name), mesh.client())
    mesh.apps["http://shelf"] = tool_app(
        shelf(),
        settings,
        ring.identity("shelf", open_to_strangers=False),
        Access({name: ("shelf.*",)}, {}),
    )
    async with mesh.running():
        directory = Directory([f"http://{name}"], mesh.client(), ring.identity("operator"))
        await directory.refresh()
        part = {"subtask": {"id": "s", "skill": "order-status", "instruction": "what does t1 cost?"}}
        peer = directory.candidates("order-status")[0]
        return await peer.ask(part, by=Deadline.after(60), tokens=40_000)
