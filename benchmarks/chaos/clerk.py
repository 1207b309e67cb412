"""Agents of the shop that ask in the middle of their work: the same playbooks, and before them a question, or after them a proposal
that is carried out before they end. The shop's own agents propose at their end only.

    python -m benchmarks.chaos.clerk returns
"""

from __future__ import annotations

import sys
from dataclasses import replace
from zlib import crc32

from meshwright import serve
from meshwright.agent import Agent, Job
from meshwright.findings import Finding, Subtask
from orders.agent import AGENT as ORDERS_AGENT
from returns.agent import AGENT as RETURNS_AGENT

#: Of so many parts of requests one begins with a question, and one ends with its proposals carried out.
ONE_IN = 3
QUESTION = "Shall we do so? Please say something."
#: Before the words of the customer in the reply, by which the verdict knows whether they were heard.
HEARD = "You said:"


def asking(agent: Agent) -> Agent:
    """The agent, who asks. What it asks follows from the words of the part, so it is the same whoever goes on with it."""
    plain = agent.playbook

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        way = crc32(subtask.instruction.encode()) % ONE_IN
        said = await job.ask(QUESTION, about="going on") if way == 0 else ""
        finding = Finding.model_validate(await plain(subtask, job))
        if way == 1:
            for proposal in finding.proposals:
                await job.propose(proposal)
        return finding.model_copy(update={"reply": f"{finding.reply} {HEARD} {said}."}) if said else finding

    return replace(agent, playbook=playbook)


RETURNS, ORDERS = asking(RETURNS_AGENT), asking(ORDERS_AGENT)

if __name__ == "__main__":
    serve(sys.argv[1], f"benchmarks.chaos.clerk:{sys.argv[1].upper()}")
