"""A playbook in a worker asks other agents as one among the others does: its server asks for it, with all that it was given."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.runaway.household import Household, household
from meshwright.agent import Agent, Job
from meshwright.budget import Amount
from meshwright.cli import keys
from meshwright.cli.home import Home
from meshwright.deadline import Deadline
from meshwright.errors import DelegationLoop, StoreUnavailable, ToolRefused
from meshwright.findings import Claim, Finding, Subtask
from meshwright.inbound.identity import load_identity
from meshwright.inbound.server import agent_app
from meshwright.isolation.ward import Visit
from meshwright.isolation.workers import Worker
from meshwright.settings import Settings
from meshwright.testing import serving

#: Tokens that the neighbour uses where it is told to spend.
SPENT = 120


@dataclass(slots=True)
class Neighbour:
    """The agent that a wild one asks. It works in this process, in a test's hands."""

    jobs: list[tuple[Subtask, Job]] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def playbook(self, subtask: Subtask, job: Job) -> Finding:
        self.jobs.append((subtask, job))
        match subtask.instruction:
            case "spend":
                await (await job.budget.hold(1, SPENT)).settle(Amount(SPENT))
                return Finding(reply="seen", claims=[Claim(text="it is there")])
            case "refuse":
                raise ToolRefused("not like this")
            case "loop":
                raise DelegationLoop("a loop of agents: wild → returns → wild")
            case "break":
                raise RuntimeError("4711")
            case "wait":
                await self._wait()
            case "when it has begun":
                await self.began.wait()
            case "when it has stopped":
                await self.stopped.wait()
        return Finding(reply=f"{subtask.instruction}: now")

    async def _wait(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()


@dataclass(frozen=True, slots=True)
class Street:
    """A wild agent, and the neighbour that it may ask."""

    wild: Household
    neighbour: Neighbour


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    home = Home.at(tmp_path / "here" / "home")
    keys.ensure(home, ["wild", "returns"])
    settings = Settings(
        home=tmp_path / "next door", key=home.key("returns"), trust=home.trust, database="memory:", grace=0
    )
    neighbour = Neighbour()
    app = agent_app(Agent("returns", neighbour.playbook), settings, load_identity("returns", settings))
    async with serving(app) as url:
        running = household(tmp_path / "here", tools=False, PEERS=url, KILL_GRACE="0.2")
        wild = await asyncio.to_thread(running.__enter__)
        try:
            yield Street(wild, neighbour)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)


async def test_a_finding_comes_back_with_what_it_cost_and_who_was_asked(ask: Any, street: Street) -> None:
    told = await ask(street.wild, "ask-one", seconds=20)
    limit = Settings().budget_tokens
    assert told.facts == {
        "agent": "returns",
        "reply": "seen",
        "claims": 1,
        "limit": limit,
        "left": limit - SPENT,
    }
    assert (told.usage["tokens"], told.usage["tools"]) == (SPENT, ["Returns.order-return"])
    assert told.pid != street.wild.process.pid
    (subtask, job) = street.neighbour.jobs[0]
    assert (subtask.skill, subtask.details, job.caller) == ("order-return", {"order": "#W1"}, "wild")
    assert job.budget.limit == limit // 2
    assert job.by.remaining <= 10


async def test_the_errors_of_others_arrive_as_what_they_are(ask: Any, street: Street) -> None:
    told = await ask(street.wild, "ask-in-vain", seconds=10)
    waited = told.facts.pop("wait")
    assert waited.startswith("PeerTimedOut|Returns: ")
    assert told.facts.pop("fly").startswith("NoPeer|no agent offers the skill 'flying'")
    broken = told.facts.pop("break")
    assert broken.startswith("PeerUnreachable|Returns: internal error")
    assert told.facts == {
        "refuse": "PeerTaskFailed|Returns: not like this|Returns",
        "loop": "DelegationLoop|Returns: a loop of agents: wild → returns → wild|",
    }
    await street.neighbour.stopped.wait()


async def test_one_that_has_no_peers_is_told_so(ask: Any, wild: Household) -> None:
    told = await ask(wild, "ask-one")
    assert (told.state, told.code) == ("FAILED", "NO_PEER")
    assert "MESHWRIGHT_PEERS" in told.text


async def test_what_a_playbook_does_not_want_any_more_is_called_off_while_it_goes_on(
    ask: Any, street: Street
) -> None:
    told = await ask(street.wild, "ask-and-give-up", seconds=15)
    assert (told.state, told.text) == ("COMPLETED", "")
    assert street.neighbour.stopped.is_set()


async def test_what_a_playbook_leaves_behind_is_called_off_and_paid_for(ask: Any, street: Street) -> None:
    told = await ask(street.wild, "ask-and-leave", seconds=60)
    assert told.facts == {"waits": True}
    (given,) = [job.budget.limit for each, job in street.neighbour.jobs if each.instruction == "wait"]
    assert told.usage["tokens"] == given > 0, "nobody knows what it had cost"
    await street.neighbour.stopped.wait()


async def test_when_its_time_is_up_so_is_that_of_whom_it_asked(ask: Any, street: Street) -> None:
    told = await ask(street.wild, "ask-and-wait", seconds=1.5)
    assert told.code in ("DEADLINE_EXCEEDED", "PEER_TIMED_OUT")
    await street.neighbour.stopped.wait()


class Bookless:
    """Peers of an agent whose database has gone."""

    async def ask(self, *_: Any, **__: Any) -> Finding:
        raise StoreUnavailable("the database is gone")


class Costly:
    """Peers that never answer; that they are called off is written down, which takes a moment."""

    def __init__(self) -> None:
        self.asked, self.settled = asyncio.Event(), False

    async def ask(self, *_: Any, **__: Any) -> Finding:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.settled = True
        return Finding()


@contextmanager
def asking_of(peers: Any) -> Iterator[Visit]:
    """A visit to a worker that asks one question, and says nothing more."""
    ours, theirs = socket.socketpair()
    question = {"id": 0, "skill": "x", "instruction": "x", "details": {}, "share": 0.5}
    body = json.dumps(question).encode()
    with theirs:
        theirs.sendall(struct.pack("!I", len(body)) + body)
        yield Visit(Worker(1, ours), Job(Deadline.after(5), tools=peers, peers=peers))


async def test_that_our_own_book_is_gone_is_not_for_the_worker_to_hear() -> None:
    with asking_of(Bookless()) as visit:
        with pytest.raises(StoreUnavailable):
            await visit.converse(Subtask(id="s", skill="x", instruction="x"))
        await visit.leave()


async def test_who_leaves_a_worker_has_settled_what_it_asked_for() -> None:
    costly = Costly()
    with asking_of(costly) as visit:
        conversation = asyncio.create_task(visit.converse(Subtask(id="s", skill="x", instruction="x")))
        await costly.asked.wait()
        conversation.cancel()
        await visit.leave()
        assert costly.settled
