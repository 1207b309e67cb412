"""What is kept of a turn that was done twice, taken away, cancelled, or without end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from a2a.types import Message, Part, Role, TaskStatusUpdateEvent

from meshwright.agent import Job
from meshwright.database import Database, open_database
from meshwright.errors import LeaseLost, ToolRefused
from meshwright.findings import Finding, Subtask
from meshwright.outbound.answers import decisions_in
from meshwright.outbound.called import tool_called
from meshwright.records import decisions
from meshwright.records.decision import ROW, digest
from meshwright.records.minutes import MOST, Minutes
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.book import TaskBook
from meshwright.tasks.events import COMPLETED, status
from meshwright.tasks.held import Held

LOST = (
    "UPDATE tasks SET token = token + 1, holder = '', work = 'queued', due = EPOCH() WHERE agent = 'orders'"
)


class Stops:
    """A playbook that reads, and comes no further the first time."""

    def __init__(self) -> None:
        self.times, self.there = 0, asyncio.Event()

    async def __call__(self, subtask: Subtask, job: Job) -> Finding:
        self.times += 1
        await job.tools.call("look_at", thing="t1")
        if self.times == 1:
            self.there.set()
            await asyncio.Event().wait()
        return Finding(reply="I looked.")


async def test_work_done_again_writes_down_the_same_decisions_once(start_house: Any, ear: Any) -> None:
    stops = Stops()
    async with start_house(stops, lease=1) as house:
        asking = asyncio.create_task(house.ask())
        await stops.there.wait()
        database = await open_database(house.settings.database_of("orders"))
        await database.execute(LOST)
        await database.close()
        answer = await asking
        rows = await house.rows()
        assert stops.times == 2
        assert house.shelf.looks == 2
        assert sorted(row["id"] for row in rows) == sorted(set(decisions_in(answer.notes)))
        assert [row["outcome"] for row in rows] == ["answered"] * 2, (
            "of the turn that was lost nothing is kept"
        )
        (first, again) = ear.calls("execute_tool")
        assert first == again


async def test_what_a_cancelled_turn_has_done_is_kept(start_house: Any) -> None:
    stops = Stops()
    async with start_house(stops) as house:
        asking = asyncio.create_task(house.ask())
        await stops.there.wait()
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        (read,) = await house.kept("tool_call")
        (context,) = await house.kept("context")
        assert (read["outcome"], context["outcome"]) == ("answered", "called-off")


@dataclass
class InHand:
    """A task that was accepted and leased, and its minutes."""

    database: Database
    book: TaskBook
    held: Held
    minutes: Minutes

    def end(self) -> TaskStatusUpdateEvent:
        return status(self.held.task.id, self.held.task.context_id, COMPLETED)

    async def ids(self) -> list[str]:
        return [row["id"] for row in await self.database.execute("SELECT id FROM decisions ORDER BY id")]


@pytest.fixture
async def in_hand(url: str) -> AsyncIterator[InHand]:
    database = await open_database(url)
    message = Message(message_id="m1", role=Role.ROLE_USER, parts=[Part(text="look")])
    desk, ask = Desk("orders", "me", 60.0), Ask("owner", "caller", message, {}, 60.0)
    accepted = await database.write(lambda tx: accept(tx, desk, ask))
    assert accepted.claim is not None
    assert accepted.envelope is not None
    book = TaskBook(database, "orders")
    held = Held(book, accepted.claim, accepted.snapshot, [accepted.envelope])
    yield InHand(database, book, held, Minutes("orders", accepted.task_id))
    await database.close()


@pytest.mark.parametrize("rows", [1, 6, 7, 40])
async def test_the_end_of_a_turn_and_its_decisions_are_one_transaction(in_hand: InHand, rows: int) -> None:
    held, minutes = in_hand.held, in_hand.minutes
    names = sorted(minutes.take("plan", key=f"{n}", outcome="answered") for n in range(rows))
    await in_hand.database.write(lambda tx: decisions.write(tx, minutes.open[:1]))  # from before a crash
    await held.append([in_hand.end()], ends=1, minutes=minutes)
    assert await in_hand.ids() == names
    assert minutes.open == []
    assert (await in_hand.book.get(held.task.id, "owner")).task.status.state == COMPLETED


async def test_of_a_turn_whose_lease_was_lost_nothing_is_written(in_hand: InHand) -> None:
    in_hand.minutes.take("plan", key="p", outcome="answered")
    await in_hand.database.execute("UPDATE tasks SET token = token + 1")
    with pytest.raises(LeaseLost):
        await in_hand.held.append([in_hand.end()], ends=1, minutes=in_hand.minutes)
    assert await in_hand.ids() == []


async def test_work_that_was_done_when_the_cancel_came_tells_no_second_end(in_hand: InHand) -> None:
    held, minutes = in_hand.held, in_hand.minutes
    effect = minutes.take("effect", outcome="applied")
    minutes.take("final", outcome="done")
    await in_hand.book.cancel(held.task.id, "owner")
    await held.keep(minutes)
    assert await in_hand.ids() == [effect]


async def test_what_was_cancelled_is_kept_only_by_who_had_it_last(in_hand: InHand) -> None:
    held, minutes = in_hand.held, in_hand.minutes
    minutes.take("plan", key="p", outcome="answered")
    await held.keep(minutes)
    assert await in_hand.ids() == [], "its turn goes on"
    await in_hand.book.cancel(held.task.id, "owner")
    await in_hand.database.execute("UPDATE tasks SET token = token + 1")
    await held.keep(minutes)
    assert await in_hand.ids() == [], "another had it in between"
    await in_hand.database.execute("UPDATE tasks SET token = token - 1")
    await held.keep(minutes)
    assert len(await in_hand.ids()) == 1


async def test_a_turn_that_calls_without_end_has_bounded_minutes_that_say_so(url: str) -> None:
    minutes = Minutes("orders", "t1")
    for _ in range(MOST + 200):
        tool_called(
            minutes, "shelf", "look_at", {"thing": "t1"}, {"price": 10}, key=minutes.nth("tool_call", "x")
        )
    effect = minutes.take("effect", key="k", outcome="applied")
    database = await open_database(url)
    try:
        await database.write(lambda tx: decisions.write(tx, minutes.open))
        minutes.kept(minutes.open)
        minutes.take("tool_call", outcome="answered")
        await database.write(lambda tx: decisions.write(tx, minutes.open))
        rows = [
            json.loads(row["body"])
            for row in await database.execute("SELECT body FROM decisions ORDER BY at")
        ]
    finally:
        await database.close()
    assert sum(row["kind"] == "tool_call" for row in rows) == MOST
    assert effect in [row["id"] for row in rows], "what changes the world is always there"
    counted = [row["more"]["dropped"] for row in rows if row["outcome"] == "dropped"]
    assert counted == [{"tool_call": 200}, {"tool_call": 1}]


ODD: list[Any] = [
    {"text": "x" * 65_536},
    {"list": list(range(20_000))},
    {"nul": "a\0b", "half": "\ud83d", "\ud83d\0": 1},
    {"nan": math.nan, "inf": -math.inf, "huge": 10**400, "long": 10**25},
    {"deep": json.loads("[" * 900 + "]" * 900)},
    {"keys": {1: "a", "b": 2}, "object": object(), "bytes": b"\xff", "set": {1}},
    {f"{'k' * 300}{i}": "\x01" * 300 for i in range(64)},
]


@pytest.mark.parametrize("odd", ODD, ids=[next(iter(odd))[:8] for odd in ODD])
async def test_whatever_a_tool_is_given_or_tells_is_a_row(url: str, odd: Any) -> None:
    minutes = Minutes("orders", "t1")
    tool_called(minutes, "shelf\0", "look\ud83d", odd, odd, key="1")
    tool_called(minutes, "shelf", "look", odd, ToolRefused("no \ud83d\0 no"), key="2")
    database = await open_database(url)
    try:
        await database.write(lambda tx: decisions.write(tx, minutes.open))
        rows = await database.execute("SELECT body, digest FROM decisions")
    finally:
        await database.close()
    assert len(rows) == 2
    for row in rows:
        assert len(row["body"]) <= ROW
        assert row["digest"] == digest(row["body"])
        assert "NaN" not in row["body"].replace('"NaN"', "")
        json.loads(row["body"])


async def test_a_large_result_of_a_real_tool_is_cut_and_known_by_its_hash(start_house: Any) -> None:
    async def looks(subtask: Subtask, job: Job) -> Finding:
        told = await job.tools.call("look_at", thing="big")
        return Finding(facts={"size": len(told["about"])})

    async with start_house(looks) as house:
        house.shelf.things["big"] = "long " * 13_107
        answer = await house.ask()
        assert answer.data[0]["facts"] == {"size": 65_535}
        await house.ask()
        first, second = await house.rows("tool_call")
        assert first["call"]["bytes"] > 65_535
        assert len(json.dumps(first)) < 2_500
        assert first["call"]["keyed"] == second["call"]["keyed"] != ""
