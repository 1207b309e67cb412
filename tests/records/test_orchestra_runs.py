"""Runs are found by page, state and words, on both engines; and of an action, its run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from meshwright.database import Database, Transaction, open_database
from meshwright.errors import InvalidRequest
from meshwright.records import decisions
from meshwright.records.decision import Decision
from meshwright.records.runs import RunStore, end_with_task
from meshwright.records.seal import intact


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await open_database(url)
    yield opened
    await opened.close()


async def begin(
    database: Database, number: int, request: str, *, at: float | None = None, state: str = ""
) -> None:
    name = f"r{number}"
    await RunStore(database).start(
        name, task_id=f"task-{number}", caller="ann", request=request, graph_version="1"
    )
    started = 1_700_000_000.25 + number if at is None else at
    await database.execute("UPDATE runs SET started = ? WHERE id = ?", started, name)
    if state:
        await database.execute("UPDATE runs SET state = ? WHERE id = ?", state, name)


async def all_pages(store: RunStore, size: int, **asked: str) -> list[str]:
    found: list[str] = []
    before = ""
    while True:
        rows, before = await store.recent(size, before=before, **asked)
        found += [row["id"] for row in rows]
        if not before:
            return found


async def test_pages_hold_every_run_once_also_those_of_one_moment(database: Database) -> None:
    for number in range(13):
        await begin(database, number, "paint it", at=5.5 if number in (4, 5, 6, 7) else None)
    store = RunStore(database)
    whole, end = await store.recent(50)
    assert end == ""
    for size in (1, 3, 13):
        assert await all_pages(store, size) == [row["id"] for row in whole]
    assert sorted(row["id"] for row in whole) == sorted(f"r{number}" for number in range(13))
    assert "report" not in whole[0]


async def test_runs_are_found_by_state_and_words_and_by_the_ids_they_have(database: Database) -> None:
    await begin(database, 1, "Paint T1 Red", state="done")
    await begin(database, 2, "100% of it, under_lined!", state="waiting")
    await begin(database, 3, "cancel it", state="done")
    await database.execute("UPDATE runs SET correlation = 'their-own-id' WHERE id = 'r3'")
    store = RunStore(database)
    for text, ids in (
        *(("paint t1", ["r1"]), ("%", ["r2"]), ("r_l", ["r2"]), ("d!", ["r2"]), ("task-3", ["r3"])),
        *(("their-own-id", ["r3"]), ("r1", ["r1"]), ("ann", ["r3", "r2", "r1"]), ("it", ["r3", "r2"])),
        *(("nothing", []), ("' OR 1=1 --", []), ("\0", []), ("x" * 5_000, [])),
    ):
        assert [row["id"] for row in (await store.recent(9, text=text))[0]] == ids, text
    assert await all_pages(store, 1, state="done") == ["r3", "r1"]
    assert await all_pages(store, 1, state="done", text="paint") == ["r1"]
    assert await all_pages(store, 1, state="no such state") == []


@pytest.mark.parametrize("before", ["x", "1", "1_", "_r1", "1e9_r1", "nan_r1", "1_r1; DROP", "1" * 40 + "_r"])
async def test_a_place_that_no_page_gave_is_refused(
    tmp_path_factory: pytest.TempPathFactory, before: str
) -> None:
    database = await open_database(f"sqlite:///{tmp_path_factory.mktemp('db')}/store.db")
    with pytest.raises(InvalidRequest):
        await RunStore(database).recent(3, before=before)
    await database.close()


async def test_words_are_found_in_any_script_however_they_are_capitalised(database: Database) -> None:
    await begin(database, 1, "ÜBERGRÖSSE: wo ist mein Ärmel?")
    await begin(database, 2, "ГДЕ МОЙ ЗАКАЗ?")
    for words in ("ÜBERGRÖSSE", "übergrösse", "Ärmel", "ärmel"):
        assert await all_pages(RunStore(database), 5, text=words) == ["r1"], words
    for words in ("ЗАКАЗ", "заказ"):
        assert await all_pages(RunStore(database), 5, text=words) == ["r2"], words


async def test_what_is_told_of_a_cancelled_run_after_its_end_is_sealed_too(database: Database) -> None:
    await begin(database, 1, "paint it")
    await database.write(lambda tx: end_with_task(tx, "task-1", "canceled", "the client cancelled it"))
    late = Decision(
        id="d" * 25, kind="tool_call", at=1.0, agent="a", run="r1", task="task-1", outcome="called-off"
    )

    async def tell(tx: Transaction) -> None:
        await decisions.write(tx, [late])
        await end_with_task(tx, "task-1", "canceled", "", [late])

    for _ in range(2):  # told again it is the same
        await database.write(tell)
    assert await intact(database, "r1", "task-1") is True
    assert len(await database.execute("SELECT seq FROM audit_log WHERE kind = 'run.ended'")) == 2
    await database.execute("DELETE FROM decisions WHERE kind = 'tool_call'")
    assert await intact(database, "r1", "task-1") is False, "what is sealed late must be there"


async def test_no_later_seal_makes_up_for_a_row_that_was_changed(database: Database) -> None:
    await begin(database, 1, "paint it")
    await database.write(lambda tx: end_with_task(tx, "task-1", "canceled", "the client cancelled it"))
    (first,) = await database.execute("SELECT body FROM decisions WHERE run = 'r1'")
    forged = Decision.model_validate_json(str(first["body"]).replace("canceled", "done"))
    await database.execute("DELETE FROM decisions")

    async def forge(tx: Transaction) -> None:
        await decisions.write(tx, [forged])
        await end_with_task(tx, "task-1", "canceled", "", [forged])

    await database.write(forge)
    assert len(await database.execute("SELECT seq FROM audit_log WHERE kind = 'run.ended'")) == 2
    assert await intact(database, "r1", "task-1") is False


async def test_a_run_that_ends_with_its_task_is_sealed_with_what_was_decided(database: Database) -> None:
    await begin(database, 1, "paint it")
    assert await intact(database, "r1", "task-1") is None
    for _ in range(2):  # a second time it has ended already
        await database.write(lambda tx: end_with_task(tx, "task-1", "failed", "given up"))
    assert await intact(database, "r1", "task-1") is True
    (row,) = await database.execute("SELECT id, outcome, kind FROM decisions WHERE run = 'r1'")
    assert (row["kind"], row["outcome"]) == ("final", "failed")
    assert len(await database.execute("SELECT seq FROM audit_log WHERE kind = 'run.ended'")) == 1
    await database.execute("DELETE FROM decisions")
    assert await intact(database, "r1", "task-1") is False
    assert await intact(database, "r1", "task-1", kept=False) is None, "rows go after a while"


async def test_decisions_of_a_run_go_together_and_not_before_it_has_ended_long_ago(
    database: Database,
) -> None:
    long_ago = time.time() - 1_000
    for number, ended in ((1, None), (2, time.time() - 10), (3, long_ago)):
        await begin(database, number, "paint it", at=long_ago)
        await database.execute("UPDATE runs SET ended = ? WHERE id = ?", ended, f"r{number}")
    rows = [(run, at) for run in ("r1", "r2", "r3", "") for at in (long_ago, long_ago - 5)]
    made = [
        Decision(id=f"d{place:024x}", kind="gate", at=at, agent="a", run=run, outcome="allow")
        for place, (run, at) in enumerate(rows)
    ]
    await database.write(lambda tx: decisions.write(tx, made))
    assert await decisions.purge(database, 500) == 4
    left = await database.execute("SELECT run, count(*) AS n FROM decisions GROUP BY run ORDER BY run")
    assert [(row["run"], row["n"]) for row in left] == [("r1", 2), ("r2", 2)]
