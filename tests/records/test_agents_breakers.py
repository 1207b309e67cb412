"""A breaker that opens or closes is a decision, written by the one replica that the database took it from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshwright.database import Database, open_database
from meshwright.errors import PeerUnreachable
from meshwright.outbound.breaker import FAIL_MAX, RESET_SECONDS, Breaker
from meshwright.outbound.switchboard import Switchboard
from meshwright.testing import ManualClock


async def fails(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(PeerUnreachable):
            async with breaker.admit():
                raise PeerUnreachable("sick", "reset")


async def rows(database: Database) -> list[dict[str, Any]]:
    found = await database.execute("SELECT body FROM decisions WHERE kind = 'breaker' ORDER BY at")
    return [json.loads(row["body"]) for row in found]


async def test_it_opens_and_closes_once_whatever_its_probes_say_and_however_many_replicas_there_are(
    url: str,
) -> None:
    clock = ManualClock()
    database = await open_database(url)
    breakers = [Breaker("http://sick", clock=clock) for _ in range(2)]
    boards = [Switchboard(database, "orders", [breaker]) for breaker in breakers]
    one, two = breakers
    try:
        await fails(one, FAIL_MAX)
        await fails(two, FAIL_MAX)
        while "open" not in [row["outcome"] for row in await rows(database)]:
            pass
        for _ in range(2):
            clock.advance(RESET_SECONDS)
            await database.execute("UPDATE breakers SET until = 0.0")
            await fails(one)
        clock.advance(RESET_SECONDS)
        await database.execute("UPDATE breakers SET until = 0.0")
        async with one.admit():
            pass
        while "closed" not in [row["outcome"] for row in await rows(database)]:
            pass
    finally:
        for board in boards:
            await board.aclose()
        opened, closed = await rows(database)
        await database.close()
    assert (opened["outcome"], closed["outcome"]) == ("open", "closed")
    assert (opened["selected"], opened["strategy"], opened["agent"]) == ("http://sick", "peer", "orders")
    assert opened["more"]["failures"] == {"transport": FAIL_MAX}
    assert "transport: 5" in opened["reason"]
