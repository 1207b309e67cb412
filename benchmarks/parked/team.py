"""A small team whose every proposal needs a person: three agents and a tool server in one process, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvicorn
from pydantic import BaseModel
from starlette.types import ASGIApp

from aggregator.agent import AGENT as AGGREGATOR
from meshwright.agent import Agent, Job
from meshwright.findings import Evidence, Finding, Proposal, Split, Subtask
from meshwright.inbound.identity import load_identity
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.settings import Settings
from meshwright.toolserver import Access, Call, ToolServer

RULES = """
@id("painting") @source("benchmark") @why("everything is looked at")
permit (principal, action == Action::"paint", resource) when { context.approvals >= 1 };
"""
ACTIONS = {"paint": "thing: String, run: String"}
AGENTS = ("triage", "orders", "aggregator")
TOOLS = "workshop"


class Receipt(BaseModel):
    summary: str


async def split(subtask: Subtask, job: Job) -> Split:
    paint = Subtask(id="paint", skill="order-change", instruction=subtask.instruction)
    return Split(topic="paint", subtasks=[paint])


async def painter(subtask: Subtask, job: Job) -> Finding:
    evidence = [Evidence(source="ticket", quote=subtask.instruction)]
    arguments = {"thing": subtask.instruction, "run": job.run}
    return Finding(
        reply="It can be painted.",
        proposals=[Proposal(action="paint", arguments=arguments, evidence=evidence)],
    )


def workshop() -> tuple[ToolServer, set[str]]:
    """The tool server, and the keys of what it painted."""
    server, done = ToolServer(TOOLS, version="1"), set[str]()

    @server.write
    async def paint(thing: str, run: str, call: Call) -> Receipt:
        """Paint a thing."""
        done.add(call.key)
        return Receipt(summary="painted")

    return server, done


async def serve(folder: Path, ports: dict[str, int]) -> None:
    """Listen on all ports; what was painted is counted in `painted.json` whenever the set has grown."""
    settings = {
        name: Settings.model_validate(
            {
                "home": folder,
                "database": "memory:",
                "port": port,
                "key": folder / "keys" / f"{name}.json",
                "trust": folder / "trust.json",
            }
        )
        for name, port in ports.items()
    }
    server, done = workshop()
    agents = {
        "triage": Agent("triage", playbook=split, answers=Split),
        "orders": Agent("orders", playbook=painter),
        "aggregator": AGGREGATOR,
    }
    access = Access({}, {"orchestrator": ("*",)})
    apps: dict[str, ASGIApp] = {
        name: agent_app(agent, settings[name], load_identity(name, settings[name]))
        for name, agent in agents.items()
    }
    apps[TOOLS] = tool_app(
        server, settings[TOOLS], load_identity(TOOLS, settings[TOOLS], open_to_strangers=False), access
    )
    serving = [
        asyncio.create_task(
            uvicorn.Server(uvicorn.Config(app, port=ports[name], log_level="error", access_log=False)).serve()
        )
        for name, app in apps.items()
    ]
    counting = asyncio.create_task(_count(folder / "painted.json", done))
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    counting.cancel()


async def _count(file: Path, done: set[str]) -> None:
    while True:
        await asyncio.to_thread(file.write_text, json.dumps(len(done)))
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), json.loads(sys.argv[2])))
