"""The agent that clients of other frameworks talk to: it says back what it was told, asks, fails, and takes its time."""

from __future__ import annotations

import asyncio

from meshwright import serve
from meshwright.agent import Agent, Job
from meshwright.findings import Part, Subtask

#: Seconds that it takes when it is told to.
PAUSES = {"pause": 1.0, "long": 25.0}


class Said(Part):
    reply: str


async def playbook(subtask: Subtask, job: Job) -> Said:
    words = subtask.instruction
    await asyncio.sleep(PAUSES.get(words, 0))
    if words == "ask":
        return Said(reply=f"size {await job.ask('Which size?')}")
    if words == "fail":
        raise RuntimeError("which nobody outside is to read")
    return Said(reply=f"echo: {words}")


AGENT = Agent("clerk", playbook=playbook, answers=Said)

if __name__ == "__main__":
    serve("clerk", "benchmarks.clients.clerk:AGENT")
