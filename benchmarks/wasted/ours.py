"""Our chain: python -m benchmarks.wasted.ours alpha|beta|workshop, each a process with its own card, key and store.

alpha asks whoever offers the skill that it is told to ask for; beta calls the tool.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel

from benchmarks.wasted.toil import noted, toil
from meshwright.agent import Agent, Job
from meshwright.findings import Finding, Subtask
from meshwright.settings import Settings
from meshwright.toolserver import ToolServer

ACCESS = '[read]\nbeta = ["workshop.*"]\n'


class Done(BaseModel):
    pieces: int


async def alpha(subtask: Subtask, job: Job) -> Finding:
    details = subtask.details
    with noted("alpha", details["trial"]):
        return await job.peers.ask(details["skill"], json.dumps(details), details=details, share=0.9)


async def beta(subtask: Subtask, job: Job) -> Finding:
    trial, seconds = subtask.details["trial"], subtask.details["seconds"]
    with noted("beta", trial):
        await job.tools.call("toil_for", trial=trial, seconds=seconds)
    return Finding(reply="done")


def workshop(settings: Settings) -> ToolServer:
    server = ToolServer("workshop", version="1")

    @server.read
    async def toil_for(trial: str, seconds: float) -> Done:
        """Work for so many seconds."""
        return Done(pieces=await toil(trial, seconds))

    return server


def card(name: str) -> dict[str, Any]:
    modes = ["application/json", "text/plain"]
    return {
        "name": name.title(),
        "description": "Part of a chain.",
        "version": "1.0.0",
        "capabilities": {"streaming": True},
        "defaultInputModes": modes,
        "defaultOutputModes": modes,
        "skills": [{"id": f"{name}-work", "name": "Work", "description": "Works.", "tags": ["work"]}],
    }


ALPHA, BETA = Agent("alpha", playbook=alpha), Agent("beta", playbook=beta)


def main() -> None:
    from meshwright import serve, serve_tools

    name = sys.argv[1]
    if name == "workshop":
        serve_tools(name, "benchmarks.wasted.ours:workshop")
    else:
        serve(name, f"benchmarks.wasted.ours:{name.upper()}")


if __name__ == "__main__":
    main()
