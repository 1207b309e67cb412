"""Runs are rows, and mean the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from a2a.types import Message, Part

from meshwright.database import Database, open_database
from meshwright.errors import LeaseLost, NotFound
from meshwright.records.runs import RunStore
from meshwright.settings import SettingsError
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.snapshot import Claim


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
    (row,), _ = await store.recent(5)
    whole = await store.get(row["id"])
    assert (whole["state"], whole["graph_version"]) == ("waiting", "1")


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
    assert (await store.get("r1"))["state"] == "working"


async def test_the_newest_runs_come_first(store: RunStore, database: Database) -> None:
    for run in ("a", "b", "c"):
        await begin(store, database, run)
    rows, _ = await store.recent(2)
    assert [row["id"] for row in rows] == ["c", "b"]


async def test_a_database_that_cannot_be_is_named() -> None:
    with pytest.raises(SettingsError, match="sqlite:///PATH, postgresql://"):
        await open_database("mysql://x")
    with pytest.raises(SettingsError, match="cannot open"):
        await open_database("sqlite:////proc/nowhere/x.db")
