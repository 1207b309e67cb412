"""The team of the incident: `python -m benchmarks.incident.team NAME` serves one of its processes, as any agent is served.

A request reads `stock of lamp` or `opening hours`. The first kind needs the warehouse, whose tool will fall ill; the second
needs the guide, which stays well. The warehouse writes a line for each call that reaches it, so that what the mesh says of
itself can be checked against what came out of it.
"""

from __future__ import annotations

import asyncio
import sys
import time

from pydantic import BaseModel

from meshwright import serve, serve_tools
from meshwright.agent import Agent, Job
from meshwright.errors import MeshError
from meshwright.findings import Claim, Evidence, Finding, Gap, Split, Subtask
from meshwright.settings import Settings
from meshwright.toolserver import ToolServer

AGENTS = ("triage", "orders", "advisor", "standby", "aggregator")
TOOLS = ("warehouse", "guide")
#: Who may read what, as `policies/access.toml` says it.
ACCESS = """
[read]
orders = ["warehouse.*"]
advisor = ["guide.*"]
[grant]
"""
#: Seconds a tool takes when it is well, and how long the warehouse takes when it is not.
WELL, SICK = 0.2, 45.0


class Shelf(BaseModel):
    item: str
    pieces: int


class Hours(BaseModel):
    opens: str


def warehouse(settings: Settings) -> ToolServer:
    """Slow while the file `sick` lies in the home. Each call is a line `<monotonic seconds>` of the file `reached`."""
    server = ToolServer("warehouse", version="1")
    sick = settings.home / "sick"
    reached = (settings.home / "reached").open("a", buffering=1)

    @server.read
    async def stock_of(item: str) -> Shelf:
        """How many pieces lie on the shelf."""
        reached.write(f"{time.monotonic():.4f}\n")
        await asyncio.sleep(SICK if sick.exists() else WELL)
        return Shelf(item=item, pieces=7)

    return server


def guide(settings: Settings) -> ToolServer:
    server = ToolServer("guide", version="1")

    @server.read
    async def opening_hours() -> Hours:
        """When the shop opens."""
        await asyncio.sleep(WELL)
        return Hours(opens="9:00")

    return server


async def split(subtask: Subtask, job: Job) -> Split:
    skill = "order-status" if subtask.instruction.startswith("stock") else "policy-answer"
    return Split(topic="question", subtasks=[Subtask(id="ask", skill=skill, instruction=subtask.instruction)])


async def orders(subtask: Subtask, job: Job) -> Finding:
    """The stock, or what is missing where the warehouse does not say."""
    item = subtask.instruction.split()[-1]
    try:
        shelf = await job.tools.call("stock_of", item=item)
    except MeshError as error:
        gap = Gap(what=f"the stock of {item}", why=str(error))
        return Finding(reply="The warehouse could not be asked.", gaps=[gap])
    return _found(f"{shelf['pieces']} pieces of {item}", "warehouse.stock_of")


async def advisor(subtask: Subtask, job: Job) -> Finding:
    hours = await job.tools.call("opening_hours")
    return _found(f"The shop opens at {hours['opens']}", "guide.opening_hours")


async def standby(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="A colleague will look at it.")


def _found(text: str, tool: str) -> Finding:
    claim = Claim(text=text, evidence=[Evidence(source=f"tool:{tool}", quote=text)])
    return Finding(reply=text, claims=[claim])


TRIAGE = Agent("triage", playbook=split, answers=Split)
ORDERS = Agent("orders", playbook=orders)
ADVISOR = Agent("advisor", playbook=advisor)
STANDBY = Agent("standby", playbook=standby)


def main(name: str) -> None:
    if name in TOOLS:
        serve_tools(name, f"{__name__}:{name}")
    elif name == "aggregator":
        serve(name, "aggregator.agent:AGENT")
    else:
        serve(name, f"{__name__}:{name.upper()}")


if __name__ == "__main__":
    main(sys.argv[1])
