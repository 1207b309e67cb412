"""Replicas share their breakers through the database: what one learns all know, and one of them probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from meshwright.database import Database, Transaction, open_database
from meshwright.errors import BreakerOpen, PeerTimedOut, PeerUnreachable
from meshwright.outbound.breaker import FAIL_MAX, RESET_SECONDS, Breaker
from meshwright.outbound.switchboard import TOPIC, Switchboard
from meshwright.testing import ManualClock

ADDRESS = "http://sick"


class Replica:
    """One process' door to the database, its breaker of one address, and its place at the switchboard."""

    def __init__(self, database: Database, clock: ManualClock, agent: str) -> None:
        self.database = database
        self.breaker = Breaker(ADDRESS, clock=clock)
        self.board = Switchboard(database, agent, [self.breaker])

    async def fails(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(PeerUnreachable):
                async with self.breaker.admit():
                    raise PeerUnreachable("sick", "reset")

    async def hears(self, state: str) -> None:
        """Return when the breaker stands like that here."""
        async with asyncio.timeout(20):
            while self.breaker.state != state:
                await self.database.execute("SELECT 1")

    async def shares(self, *states: str) -> None:
        """Return when the table has rows with these states."""
        async with asyncio.timeout(20):
            while [row["state"] for row in await self.database.execute("SELECT state FROM breakers")] != [
                *states
            ]:
                pass


class Replicas:
    """Several of them, and the time that they and the database go by."""

    def __init__(self, clock: ManualClock, replicas: list[Replica], world: Database) -> None:
        self.clock, self.all, self._world = clock, replicas, world

    async def an_interval_passes(self) -> None:
        """For all of them: one that was just reading what stood there before hears it again."""
        self.clock.advance(RESET_SECONDS)

        async def op(tx: Transaction) -> None:
            await tx.execute("UPDATE breakers SET until = until - ?", RESET_SECONDS)
            tx.wake(TOPIC)

        await self._world.write(op)
        async with asyncio.timeout(20):
            while any(replica.breaker.retry_in for replica in self.all):
                await self._world.execute("SELECT 1")

    async def opened(self) -> None:
        """The first finds the peer sick, and all hear it."""
        await self.all[0].fails(FAIL_MAX)
        for replica in self.all:
            await replica.hears("open")
        await self.all[0].shares("open")


Start = Callable[..., Any]


@pytest.fixture
def replicas(url: str) -> Start:
    @asynccontextmanager
    async def start(count: int = 3, agents: tuple[str, ...] = ()) -> AsyncIterator[Replicas]:
        clock = ManualClock()
        async with AsyncExitStack() as stack:
            found = []
            world = await open_database(url)
            stack.push_async_callback(world.close)
            for number in range(count):
                database = await open_database(url)
                stack.push_async_callback(database.close)
                found.append(Replica(database, clock, agents[number] if agents else "orchestrator"))
                stack.push_async_callback(found[-1].board.aclose)
            yield Replicas(clock, found, world)

    return start


async def test_what_one_finds_sick_is_open_for_all_with_its_failures(replicas: Start) -> None:
    async with replicas() as team:
        await team.opened()
        for replica in team.all:
            assert replica.breaker.shown()["failures"] == {"transport": FAIL_MAX}
            assert 0 < replica.breaker.retry_in <= RESET_SECONDS
            with pytest.raises(BreakerOpen):
                await replica.fails()


async def test_of_all_calls_of_all_replicas_one_is_the_probe(replicas: Start) -> None:
    async with replicas() as team:
        await team.opened()
        await team.an_interval_passes()
        probing, answer, refused = asyncio.Event(), asyncio.Event(), 0

        async def call(replica: Replica) -> None:
            nonlocal refused
            try:
                async with replica.breaker.admit():
                    assert not probing.is_set()
                    probing.set()
                    await answer.wait()
            except BreakerOpen:
                refused += 1

        calls = [asyncio.create_task(call(replica)) for replica in team.all for _ in range(10)]
        async with asyncio.timeout(20):
            while refused < len(calls) - 1:
                await team.all[0].database.execute("SELECT 1")
        answer.set()
        await asyncio.gather(*calls)
        for replica in team.all:
            await replica.hears("closed")
        await team.all[0].shares()


async def test_a_failed_probe_leaves_it_open_for_all_until_the_next_interval(replicas: Start) -> None:
    async with replicas() as team:
        await team.opened()
        await team.an_interval_passes()
        await team.all[1].fails()
        await team.all[1].shares("open")
        for replica in team.all:
            with pytest.raises(BreakerOpen):
                await replica.fails()
        await team.an_interval_passes()
        await team.all[2].fails()


async def test_a_probe_that_says_nothing_gives_its_right_to_another_replica(replicas: Start) -> None:
    async with replicas() as team:
        await team.opened()
        await team.an_interval_passes()
        with pytest.raises(PeerTimedOut):
            async with team.all[0].breaker.admit():
                raise PeerTimedOut("sick", "it had too little time", tells=False)
        await team.all[0].shares("open")
        async with asyncio.timeout(20):
            while team.all[1].breaker.retry_in:
                await team.all[1].database.execute("SELECT 1")
        async with team.all[1].breaker.admit():
            pass
        await team.all[0].hears("closed")


async def test_the_right_of_a_replica_that_died_while_it_probed_runs_out(replicas: Start) -> None:
    async with replicas() as team:
        await team.opened()
        await team.an_interval_passes()
        dead = team.all[0].breaker.admit()
        await dead.__aenter__()
        with pytest.raises(BreakerOpen):
            await team.all[1].fails()
        await team.an_interval_passes()
        async with team.all[1].breaker.admit():
            pass
        await team.all[2].hears("closed")
        # It was not dead, only late: what it has to say is about an opening that is over.
        await dead.__aexit__(PeerUnreachable, PeerUnreachable("sick", "reset"), None)
        await team.all[0].hears("closed")
        await team.all[0].board.aclose()
        await team.all[1].hears("closed")
        assert await team.all[1].database.execute("SELECT * FROM breakers") == []


async def test_two_that_open_at_once_agree_on_one_opening(replicas: Start) -> None:
    async with replicas(2) as team:
        await asyncio.gather(*(replica.fails(FAIL_MAX) for replica in team.all))
        await team.all[0].shares("open")
        async with asyncio.timeout(20):
            while len({replica.breaker.opening for replica in team.all}) > 1:
                await team.all[0].database.execute("SELECT 1")
        await team.an_interval_passes()
        async with team.all[1].breaker.admit():
            pass
        await team.all[0].hears("closed")


async def test_who_starts_later_knows_at_once(url: str, replicas: Start) -> None:
    async with replicas(1) as team:
        await team.opened()
    database = await open_database(url)
    late = Replica(database, ManualClock(), "orchestrator")
    await late.hears("open")
    await late.board.aclose()
    await database.close()


async def test_another_agent_keeps_its_own_opinion(replicas: Start) -> None:
    async with replicas(2, ("orders", "returns")) as team:
        await team.all[0].fails(FAIL_MAX)
        await team.all[0].shares("open")
        await team.all[1].fails(FAIL_MAX - 1)
        assert team.all[1].breaker.state == "closed"


async def test_without_the_database_each_goes_by_what_it_knows(replicas: Start) -> None:
    async with replicas(2) as team:
        lone = team.all[0]
        await lone.database.close()
        await lone.fails(FAIL_MAX)
        with pytest.raises(BreakerOpen):
            await lone.fails()
        team.clock.advance(RESET_SECONDS)
        await lone.fails()
        team.clock.advance(RESET_SECONDS)
        async with lone.breaker.admit():
            pass
        assert lone.breaker.state == "closed"
        assert team.all[1].breaker.state == "closed"


async def test_a_call_that_is_let_through_writes_nothing(replicas: Start) -> None:
    async with replicas(1) as team:
        replica = team.all[0]
        await replica.fails(FAIL_MAX - 1)
        async with replica.breaker.admit():
            pass
        await replica.board.aclose()
        assert await replica.database.execute("SELECT * FROM breakers") == []
