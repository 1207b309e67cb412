"""One process of a small team: `orders` asks `returns`, which proposes; both stop at places where a test may kill somebody."""

from __future__ import annotations

import sys

from meshwright import serve
from meshwright.agent import Agent, Job
from meshwright.findings import Evidence, Finding, Proposal, Subtask


async def upper(subtask: Subtask, job: Job) -> Finding:
    found = await job.peers.ask("order-return", subtask.instruction)
    await job.tools.call("stop_at", place="orders-after")
    return Finding(reply=f"{found.reply}, says returns.")


async def lower(subtask: Subtask, job: Job) -> Finding:
    await job.tools.call("stop_at", place="returns-before")
    evidence = [Evidence(source="tool:workshop.stop_at", quote="returns-before")]
    proposal = Proposal(action="paint", arguments={"ticket": job.run, "colour": "red"}, evidence=evidence)
    settled = await job.propose(proposal)
    await job.tools.call("stop_at", place="returns-after")
    return Finding(reply=settled.state)


ORDERS = Agent("orders", playbook=upper)
RETURNS = Agent("returns", playbook=lower)

if __name__ == "__main__":
    serve(sys.argv[1], f"member:{sys.argv[1].upper()}")
