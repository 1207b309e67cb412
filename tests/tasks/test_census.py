"""What waits in the database, whose leases ran out, and what of the day is spent is counted there, for one agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from a2a.types import Message, Part

from meshwright.budget import Amount
from meshwright.database import Database, open_database
from meshwright.errors import StoreUnavailable
from meshwright.ledger import Account, reserve, settle
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.census import Census

DAY = Account("agent", "orders", tokens=1_000, daily=True)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await open_database(url)
    yield opened
    await opened.close()


async def arrive(database: Database, agent: str, number: int, *, lease: float | None) -> None:
    message = Message(message_id=f"m{number}", parts=[Part(text="hello")])
    desk = Desk(agent, "here", lease)
    await database.write(lambda tx: accept(tx, desk, Ask("ann", "", message, {}, 30)))


async def counted(database: Database, *accounts: Account) -> dict[Any, float]:
    census = Census(database, "orders", accounts)
    assert list(census.samples()) == []
    await census.look()
    return {
        (s.name.removeprefix("meshwright_"), *(v for _, v in s.labels)): s.value for s in census.samples()
    }


async def test_what_is_queued_and_what_is_leased_is_told_for_this_agent_alone(database: Database) -> None:
    for number, (agent, lease) in enumerate([("orders", None)] * 3 + [("orders", 60.0), ("returns", None)]):
        await arrive(database, agent, number, lease=lease)
    await arrive(database, "orders", 9, lease=-5.0)  # of a process that died
    found = await counted(database)
    assert found["queue_waiting",] == 3
    assert 0 <= found["queue_oldest_seconds",] < 60
    assert (found["leases", "held"], found["leases", "lapsed"]) == (1, 1)


async def test_where_nothing_is_that_is_said(database: Database) -> None:
    assert await counted(database) == {
        ("queue_waiting",): 0,
        ("queue_oldest_seconds",): 0,
        ("leases", "held"): 0,
        ("leases", "lapsed"): 0,
        ("outbox_waiting", "cancel"): 0,
        ("outbox_waiting", "push"): 0,
    }


async def test_what_is_held_of_the_day_is_used_like_what_is_spent(database: Database) -> None:
    async def op(tx: Any) -> None:
        for key in ("a", "b"):
            await reserve(tx, key, [DAY], Amount(300), Amount(), 60)
        await settle(tx, "a", Amount(120))

    found = await counted(database, DAY)
    assert found["budget_day_used", "tokens"] == 0
    await database.write(op)
    found = await counted(database, DAY)
    assert (found["budget_day_limit", "tokens"], found["budget_day_used", "tokens"]) == (1_000, 420)


async def test_tenants_are_not_named(database: Database) -> None:
    found = await counted(database, Account("tenant", "ann", tokens=5, daily=True))
    assert not any("budget" in name for name, *_ in found)


class Away:
    """A database that cannot be reached at first."""

    def __init__(self, database: Database) -> None:
        self._database, self._looks = database, 0

    async def read(self, op: Any) -> Any:
        self._looks += 1
        if self._looks < 3:
            raise StoreUnavailable("away")
        return await self._database.read(op)


async def test_it_goes_on_when_the_database_is_back(database: Database) -> None:
    away: Any = Away(database)
    census = Census(away, "orders", every=0.0)
    census.start()
    async with asyncio.timeout(10):
        while not list(census.samples()):
            await asyncio.sleep(0)
    await census.aclose()
