"""Runs that another build left behind, in every place a run can stand: this build loads them and finishes them.

`tests/golden/VERSION/NODE.json` holds a database as that version left it, with one run that waits before NODE. A release adds
its folder with `pytest tests/mesh/test_golden.py --record-golden VERSION`, and no folder is ever removed.
"""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from a2a.types import TaskState

from meshwright.database import Database, Transaction, open_database
from meshwright.reviews.store import ReviewStore
from meshwright.reviews.word import Word
from meshwright.tasks.book import TaskBook
from meshwright.testing import lifespan_of
from orchestrator.graph import build
from orchestrator.server import orchestrator_app

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted(GOLDEN.glob("*/*.json"))
NODES = ("plan", "delegate", "aggregate", "gate", "apply", "review", "finish")
TABLES = ("tasks", "events", "inbox", "outbox", "runs", "reviews", "run_checkpoints", "run_writes")


def golden(file: Path) -> str:
    return f"{file.parent.name}-{file.stem}"


def read(file: Path) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = json.loads(file.read_text())
    return rows


def write(file: Path, rows: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=1) + "\n")


async def dump(database: Database) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in TABLES:
        rows = [dict(row) for row in await database.execute(f"SELECT * FROM {table}")]
        found[table] = [
            {
                k: {"bytes": base64.b64encode(v).decode()} if isinstance(v, bytes) else v
                for k, v in row.items()
            }
            for row in rows
        ]
    return found


async def restore(url: str, rows: dict[str, list[dict[str, Any]]]) -> str:
    """Put the rows of a golden file into an empty database; its run is queued. Returns the task's id."""
    database = await open_database(url)

    async def op(tx: Transaction) -> None:
        for table in TABLES:
            for row in rows[table]:
                values = [base64.b64decode(v["bytes"]) if isinstance(v, dict) else v for v in row.values()]
                marks = ", ".join("?" * len(values))
                await tx.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *values)
        await tx.execute("UPDATE tasks SET work = 'queued', due = 0.0, holder = '' WHERE work = 'running'")

    await database.write(op)
    await database.close()
    task: str = rows["tasks"][0]["id"]
    return task


async def ended(database: Database, task: str) -> Any:
    book = TaskBook(database, "orchestrator")
    with book.feed.bell(task) as bell:
        while True:
            bell.clear()
            snapshot = await book.get(task, None)
            if snapshot.work in ("ended", "parked"):
                book.feed.close()
                return snapshot
            await bell.wait()


@pytest.mark.parametrize("file", FILES, ids=golden)
async def test_a_run_of_an_earlier_build_is_finished_by_this_one(
    file: Path, url: str, start_team: Any
) -> None:
    task = await restore(url, read(file))
    async with start_team() as team:
        settings = team.settings.model_copy(update={"database": url})
        heir = orchestrator_app(settings, team.ring.identity("orchestrator"), team.mesh.client())
        async with lifespan_of(heir):
            database = await open_database(url)
            snapshot = await ended(database, task)
            if file.stem == "review":
                assert snapshot.task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
                reviews = ReviewStore(database, "orchestrator")
                (review,) = await reviews.queue()
                await reviews.decide(review["id"], Word("approve", hash=review["hash"]), by="ann")
                while (snapshot := await ended(database, task)).work != "ended":
                    await asyncio.sleep(0)
            await database.close()
        assert snapshot.task.status.state == TaskState.TASK_STATE_COMPLETED
        # what stood before `finish` had been applied when it was recorded, in a workshop that is gone
        assert len(team.workshop.actions("paint")) == (0 if file.stem == "finish" else 1)
        assert len(team.workshop.actions("reply")) == 1
        assert len(team.workshop.actions("close")) == 1


def test_every_place_a_run_can_stand_has_a_golden_file_in_every_version() -> None:
    folders = {file.parent for file in FILES}
    assert folders
    assert {(f.name, n) for f in folders for n in NODES} == {(f.parent.name, f.stem) for f in FILES}


@pytest.mark.parametrize("node", NODES)
async def test_recording_for_a_release(
    node: str, request: pytest.FixtureRequest, tmp_path: Path, start_team: Any, run_on: Any
) -> None:
    version = request.config.getoption("--record-golden")
    if not version:
        pytest.skip("only with --record-golden VERSION")
    text = "paint t2 gold" if node == "review" else "paint t1 red"
    async with start_team() as team, run_on(team, f"sqlite:///{tmp_path}/golden.db", text) as run:
        await run.drive(build, before=node)
        write(GOLDEN / version / f"{node}.json", await dump(run.database))
