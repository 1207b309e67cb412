"""Runs and reviews are rows, and mean the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from a2a.types import Message, Part

from meshwright.database import Database, open_database
from meshwright.errors import AlreadyDecided, LeaseLost, NotFound
from meshwright.findings import Proposal, Verdict
from meshwright.records.runs import RunStore, end_with_task
from meshwright.settings import SettingsError
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.book import TaskBook
from meshwright.tasks.snapshot import Claim

PROPOSAL = Proposal(action="paint", arguments={"thing": "t1", "n": 2}, amount=5)
VERDICT = Verdict(decision="review", policy="p", why="large")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    made = await open_database(url)
    yield made
    await made.close()


@pytest.fixture
def store(database: Database) -> RunStore:
    return RunStore(database)


async def hold(database: Database, task: str) -> Claim:
    """A task in its holder's hands, as the runs' writes ask for it."""
    message = Message(message_id=task, parts=[Part(text="hi")])
    ask = Ask("", "", message, {}, 10)
    accepted = await database.write(lambda tx: accept(tx, Desk("front", "me", 60), ask))
    assert accepted.claim is not None
    return accepted.claim


async def begin(store: RunStore, database: Database, run: str = "r1") -> Claim:
    claim = await hold(database, run)
    await store.start(run, task_id=claim.task_id, caller="", request="hi", graph_version="1")
    return claim


async def test_a_run_is_found_by_its_id_and_by_its_task(store: RunStore, database: Database) -> None:
    claim = await begin(store, database)
    await store.save("r1", "waiting", {"a": [1]}, claim)
    assert (await store.get("r1"))["report"] == {"a": [1]}
    assert (await store.by_task(claim.task_id) or {})["state"] == "waiting"
    assert await store.by_task("nothing") is None
    with pytest.raises(NotFound, match="meshwright runs"):
        await store.get("nothing")


async def test_a_run_that_begins_again_goes_on_as_it_was(store: RunStore, database: Database) -> None:
    claim = await begin(store, database)
    await store.save("r1", "waiting", {}, claim)
    await store.start("r1", task_id=claim.task_id, caller="", request="hi", graph_version="2")
    assert [(row["state"], row["graph_version"]) for row in await store.recent(5)] == [("waiting", "1")]


async def test_a_run_that_has_ended_stays_as_it_ended(store: RunStore, database: Database) -> None:
    claim = await begin(store, database)
    await store.save("r1", "done", {"end": 1}, claim)
    await store.save("r1", "failed", {"end": 2}, claim)
    assert (await store.get("r1"))["state"] == "done"


async def test_who_lost_the_task_writes_nothing_about_its_run(store: RunStore, database: Database) -> None:
    claim = await begin(store, database)
    late = Claim(claim.task_id, claim.token - 1)
    with pytest.raises(LeaseLost):
        await store.save("r1", "done", {}, late)
    with pytest.raises(LeaseLost):
        await store.open_review("k1", "r1", PROPOSAL, VERDICT, late)
    assert ((await store.get("r1"))["state"], await store.reviews()) == ("working", [])


async def test_the_newest_runs_come_first(store: RunStore, database: Database) -> None:
    for run in ("a", "b", "c"):
        await begin(store, database, run)
    assert [row["id"] for row in await store.recent(2)] == ["c", "b"]


async def test_of_many_reviewers_at_once_one_decides(store: RunStore, database: Database) -> None:
    claim = await begin(store, database)
    await store.open_review("k1", "r1", PROPOSAL, VERDICT, claim)
    await store.open_review("k1", "r1", PROPOSAL, VERDICT, claim)
    assert [row["arguments"] for row in await store.reviews()] == [PROPOSAL.arguments]
    decide = (store.decide("k1", "approve", by=f"p{n}", reason="", agent="front") for n in range(8))
    results = await asyncio.gather(*decide, return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, AlreadyDecided) for result in results) == 7
    assert (await store.decisions(["k1", "k2"]))["k1"]["decision"] == "approve"
    assert await store.undecided("r1") == 0


async def test_the_last_decision_of_a_run_goes_into_its_tasks_inbox(
    store: RunStore, database: Database
) -> None:
    claim = await begin(store, database)
    for key in ("k1", "k2"):
        await store.open_review(key, "r1", PROPOSAL, VERDICT, claim)
    book = TaskBook(database, "front")
    await store.decide("k1", "approve", by="p", reason="", agent="front")
    assert (await book.get(claim.task_id, None)).asked == 1
    await store.decide("k2", "reject", by="p", reason="", agent="front")
    assert (await book.get(claim.task_id, None)).asked == 2
    book.feed.close()


async def test_a_run_ends_with_its_task_and_nobody_is_asked_any_more(
    store: RunStore, database: Database
) -> None:
    claim = await begin(store, database)
    await store.open_review("k1", "r1", PROPOSAL, VERDICT, claim)
    book = TaskBook(database, "front", end_with_task)
    await book.cancel(claim.task_id, "")
    book.feed.close()
    assert (await store.get("r1"))["state"] == "canceled"
    assert (await store.reviews(state="all"))[0]["state"] == "withdrawn"
    with pytest.raises(AlreadyDecided):
        await store.decide("k1", "approve", by="p", reason="", agent="front")


async def test_a_database_that_cannot_be_is_named() -> None:
    with pytest.raises(SettingsError, match="sqlite:///PATH, postgresql://"):
        await open_database("mysql://x")
    with pytest.raises(SettingsError, match="cannot open"):
        await open_database("sqlite:////proc/nowhere/x.db")
