"""How the wild agent asks others, where it is told to: each way with what a worker sees of it as facts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from meshwright.agent import Job
from meshwright.errors import MeshError
from meshwright.findings import Finding

#: Whom it asks.
SKILL = "order-return"
#: More than a server asks for one worker at the same time.
MANY = 20


async def ask_one(job: Job) -> Finding:
    found = await job.peers.ask(SKILL, "spend", details={"order": "#W1"}, share=0.5)
    facts = {"agent": found.agent, "reply": found.reply, "claims": len(found.claims)}
    return Finding(facts={**facts, "limit": job.budget.limit, "left": job.budget.left})


async def ask_in_vain(job: Job) -> Finding:
    """The errors of other agents, as this side of the pipe sees them."""
    facts: dict[str, str] = {}
    for skill, instruction in (
        ("flying", "fly"),
        (SKILL, "refuse"),
        (SKILL, "loop"),
        (SKILL, "break"),
        (SKILL, "wait"),
    ):
        try:
            await job.peers.ask(skill, instruction, share=0.2)
        except MeshError as error:
            facts[instruction] = f"{type(error).__name__}|{error}|{getattr(error, 'peer', '')}"
    return Finding(facts=facts)


async def ask_and_give_up(job: Job) -> Finding:
    """Asks for what takes forever, many times over, wants none of it any more, and goes on."""
    asking = [asyncio.create_task(job.peers.ask(SKILL, "wait", share=1.0)) for _ in range(MANY)]
    await asyncio.sleep(0)
    late = asyncio.create_task(job.peers.ask(SKILL, "when it has begun"))
    await asyncio.sleep(0)
    for task in asking[1:]:
        task.cancel()
    await late
    asking[0].cancel()
    await asyncio.wait(asking)
    return Finding(reply=(await job.peers.ask(SKILL, "when it has stopped")).reply)


async def ask_and_wait(job: Job) -> Finding:
    return await job.peers.ask(SKILL, "wait", share=1.0)


async def ask_and_leave(job: Job) -> Finding:
    """Answers without what it has asked for."""
    asking = asyncio.create_task(job.peers.ask(SKILL, "wait", share=0.5))
    await job.peers.ask(SKILL, "when it has begun")
    return Finding(facts={"waits": not asking.done()})


ASKING: dict[str, Callable[[Job], Awaitable[Finding]]] = {
    "ask-one": ask_one,
    "ask-in-vain": ask_in_vain,
    "ask-and-give-up": ask_and_give_up,
    "ask-and-wait": ask_and_wait,
    "ask-and-leave": ask_and_leave,
}
