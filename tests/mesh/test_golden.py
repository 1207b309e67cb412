"""Runs that another build left behind, in every place a run can stand: this build loads them and finishes them.

`tests/golden/VERSION/PLACE.json` holds a database as that version left it, with one run that waits before the node PLACE, or with
an agent's question, and then with the agent's database too. A release adds its folder with
`pytest tests/mesh/test_golden.py --record-golden VERSION`, and no folder is ever removed.
"""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from a2a.types import Message, Part, TaskState

from meshwright.agent import Job
from meshwright.database import Database, Transaction, open_database
from meshwright.findings import Evidence, Finding, Proposal, Subtask
from meshwright.reviews.store import ReviewStore
from meshwright.reviews.word import Word
from meshwright.settings import Settings
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.book import TaskBook
from meshwright.testing import lifespan_of
from orchestrator.graph import build
from orchestrator.server import orchestrator_app

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted(GOLDEN.glob("*/*.json"))
NODES = ("plan", "delegate", "aggregate", "gate", "apply", "review", "finish")
#: Where a run can stand: before one of the nodes, at `review` with a review or with a question of an agent's.
PLACES = (*NODES, "question")
TABLES = ("tasks", "events", "inbox", "outbox", "runs", "reviews", "run_checkpoints", "run_writes")
#: Of the agent that asked.
ITS_TABLES = ("tasks", "events", "inbox", "notebooks")


async def asks(subtask: Subtask, job: Job) -> Finding:
    """Paints t1, in the colour that the client names when asked."""
    if subtask.skill == "order-status":
        return Finding(facts={"seen": True})
    colour = await job.ask("Which colour?", about="colour")
    await job.tools.call("look_at", thing_id="t1")
    evidence = [
        Evidence(source="tool:workshop.look_at", quote="thing"),
        Evidence(source="ticket", quote=colour),
    ]
    arguments = {"thing_id": "t1", "colour": colour}
    return Finding(reply="Yes.", proposals=[Proposal(action="paint", arguments=arguments, evidence=evidence)])


def golden(file: Path) -> str:
    return f"{file.parent.name}-{file.stem}"


def read(file: Path) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(file.read_text())
    return rows


def write(file: Path, rows: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=1) + "\n")


async def dump(database: Database, tables: tuple[str, ...] = TABLES) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in tables:
        rows = [dict(row) for row in await database.execute(f"SELECT * FROM {table}")]
        found[table] = [
            {
                k: {"bytes": base64.b64encode(v).decode()} if isinstance(v, bytes) else v
                for k, v in row.items()
            }
            for row in rows
        ]
    return found


async def restore(url: str, rows: dict[str, Any], tables: tuple[str, ...] = TABLES) -> str:
    """Put the rows of a golden file into an empty database; its run is queued. Returns the task's id."""
    database = await open_database(url)

    async def op(tx: Transaction) -> None:
        for table in tables:
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


async def answer(database: Database, task: str, words: str) -> None:
    """A message of the client's, through a replica that leaves the work to others."""
    message = Message(message_id="answer", task_id=task, parts=[Part(text=words)])
    ask, desk = Ask("\x1f", "", message, {}, 30), Desk("orchestrator", "", None)
    await database.write(lambda tx: accept(tx, desk, ask))


@pytest.mark.parametrize("file", FILES, ids=golden)
async def test_a_run_of_an_earlier_build_is_finished_by_this_one(
    file: Path, url: str, tmp_path: Path, start_team: Any
) -> None:
    rows = read(file)
    task, playbooks = await restore(url, rows), {}
    if file.stem == "question":
        await restore(Settings(home=tmp_path).database_of("orders"), rows["orders"], ITS_TABLES)
        playbooks = {"orders": asks}
    async with start_team(**playbooks) as team:
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
            if file.stem == "question":
                assert snapshot.task.status.message.parts[0].text == "Which colour?"
                await answer(database, task, "red")
                snapshot = await ended(database, task)
            await database.close()
        assert snapshot.task.status.state == TaskState.TASK_STATE_COMPLETED
        # what stood before `finish` had been applied when it was recorded, in a workshop that is gone
        assert len(team.workshop.actions("paint")) == (0 if file.stem == "finish" else 1)
        assert len(team.workshop.actions("reply")) == 1
        assert len(team.workshop.actions("close")) == 1


def test_every_place_a_run_can_stand_has_a_golden_file_in_every_version() -> None:
    folders = {file.parent for file in FILES}
    assert folders
    assert {(f.name, n) for f in folders for n in PLACES} == {(f.parent.name, f.stem) for f in FILES}


@pytest.mark.parametrize("place", PLACES)
async def test_recording_for_a_release(
    place: str, request: pytest.FixtureRequest, tmp_path: Path, start_team: Any, run_on: Any
) -> None:
    version = request.config.getoption("--record-golden")
    if not version:
        pytest.skip("only with --record-golden VERSION")
    text = "paint t2 gold" if place == "review" else "paint t1 red"
    playbooks = {"orders": asks} if place == "question" else {}
    before = "review" if place == "question" else place
    async with start_team(**playbooks) as team, run_on(team, f"sqlite:///{tmp_path}/golden.db", text) as run:
        await run.drive(build, before=before)
        found: dict[str, Any] = await dump(run.database)
        if place == "question":
            database = await open_database(team.settings.database_of("orders"))
            found["orders"] = await dump(database, ITS_TABLES)
            await database.close()
        write(GOLDEN / version / f"{place}.json", found)
