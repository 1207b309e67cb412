"""Entries stand in the order of the commits, without a gap, once, and nobody who works with the database can change them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshwright.audit import Entry, append
from meshwright.audit.log import COLUMNS, GENESIS, TOPIC, entry_hash
from meshwright.database import Database, Transaction, open_database
from meshwright.tasks.retention import purge


def entry(number: int, **more: Any) -> Entry:
    return Entry("gate.verdict", "orchestrator", {"number": number}, run="r1", action=f"a{number}", **more)


async def rows(database: Database) -> list[tuple[Any, ...]]:
    async def op(tx: Transaction) -> list[tuple[Any, ...]]:
        return [
            tuple(row[c] for c in row.keys())  # noqa: SIM118
            for row in await tx.execute(f"SELECT {COLUMNS} FROM audit_log ORDER BY seq")
        ]

    return await database.read(op)


def require_chain(found: list[tuple[Any, ...]]) -> None:
    prev = GENESIS
    for number, (*row, held, digest) in enumerate(found, 1):
        assert row[0] == number
        assert held == prev
        assert entry_hash(prev, *row) == digest
        prev = digest


async def test_entries_of_many_at_once_are_one_chain(database: Database) -> None:
    await asyncio.gather(
        *(database.write(lambda tx, n=n: append(tx, entry(n), entry(1000 + n))) for n in range(100))  # type: ignore[misc]
    )
    found = await rows(database)
    require_chain(found)
    assert len(found) == 200
    numbers = [json.loads(row[7])["number"] for row in found]
    assert all(numbers[i + 1] == numbers[i] + 1000 for i in range(0, 200, 2))


async def test_what_is_undone_has_left_no_entry(database: Database) -> None:
    async def broken(tx: Transaction) -> None:
        await append(tx, entry(13))
        raise ValueError("changed my mind")

    results = await asyncio.gather(
        *(database.write(lambda tx, n=n: append(tx, entry(n))) for n in range(5)),  # type: ignore[misc]
        database.write(broken),
        return_exceptions=True,
    )
    assert isinstance(results[5], ValueError)
    found = await rows(database)
    require_chain(found)
    assert len(found) == 5


async def test_an_entry_with_a_name_is_there_once_however_often_its_work_is_done(database: Database) -> None:
    named = entry(1, once="verdict:a1")
    await asyncio.gather(*(database.write(lambda tx: append(tx, named, named)) for _ in range(10)))
    await database.write(lambda tx: append(tx, entry(2, once="verdict:a2"), named, entry(3)))
    found = await rows(database)
    require_chain(found)
    assert [json.loads(row[7])["number"] for row in found] == [1, 2, 3]


async def test_an_entry_and_what_it_records_are_there_together_or_not_at_all(database: Database) -> None:
    async def op(tx: Transaction) -> None:
        await append(tx, entry(1))
        insert = "INSERT INTO push_configs (task_id, id, body) VALUES (?, ?, ?)"
        assert await tx.conclude((insert, ("t", "p", b"")), wake="x")

    await database.write(op)
    with pytest.raises(Exception, match=r"(?i)unique"):
        await database.write(op)
    found = await rows(database)
    require_chain(found)
    assert len(found) == 1


async def test_bodies_that_no_database_likes_are_kept_as_they_are(database: Database) -> None:
    body = {"text": "half \ud83d of a pair, \0, and é", "n": 1.5, "deep": [{"x": None}]}
    await database.write(lambda tx: append(tx, Entry("proposal.dropped", "a\0b\udc00", body, run="r" * 1000)))
    found = await rows(database)
    require_chain(found)
    assert json.loads(found[0][7]) == body
    assert found[0][2] == "a�b?"
    assert len(found[0][4]) < 500


async def test_a_body_beyond_measure_is_stood_for_by_its_hash(database: Database) -> None:
    await database.write(
        lambda tx: append(tx, Entry("proposal.dropped", "orchestrator", {"x": "y" * 70_000}))
    )
    assert set(json.loads((await rows(database))[0][7])) == {"cut", "keyed"}


async def test_a_body_that_is_no_json_fails_its_own_operation_only(database: Database) -> None:
    bad = Entry("gate.verdict", "orchestrator", {"x": float("nan")})
    results = await asyncio.gather(
        *(database.write(lambda tx, e=e: append(tx, e)) for e in (entry(1), bad, entry(2))),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert isinstance(results[1], ValueError)
    assert len(await rows(database)) == 2


async def test_who_listens_hears_of_it(database: Database) -> None:
    heard: list[str | None] = []
    database.listen(lambda topic, mine: heard.append(topic))
    await database.write(lambda tx: append(tx, entry(1)))
    assert TOPIC in heard


async def test_an_operation_that_only_reads_cannot_append(database: Database) -> None:
    with pytest.raises(RuntimeError, match="only reads"):
        await database.read(lambda tx: append(tx, entry(1)))


async def test_commits_that_lock_other_rows_before_and_after_their_entry_do_not_wait_for_each_other(
    postgres: Callable[[], str],
) -> None:
    """Were the head locked where the entry is made, these two would wait for each other until the server finds out."""
    url = postgres()
    one, other = await open_database(url), await open_database(url)
    await one.execute("INSERT INTO push_configs (task_id, id, body) VALUES ('t', 'p', ?)", b"")
    appended, locked = asyncio.Event(), asyncio.Event()
    begun: list[str] = []

    async def touch(tx: Transaction) -> None:
        await tx.execute("UPDATE push_configs SET body = ? WHERE task_id = 't'", b"x")

    async def before(tx: Transaction) -> None:
        begun.append("before")
        await append(tx, entry(1))
        appended.set()
        await locked.wait()
        await touch(tx)

    async def after(tx: Transaction) -> None:
        begun.append("after")
        await touch(tx)
        locked.set()
        await appended.wait()
        await append(tx, entry(2))

    await asyncio.gather(one.write(before), other.write(after))
    assert sorted(begun) == ["after", "before"]
    found = await rows(one)
    require_chain(found)
    assert len(found) == 2
    await one.close()
    await other.close()


CHANGES = [
    "UPDATE audit_log SET payload = '{}' WHERE seq = 2",
    "DELETE FROM audit_log WHERE seq = 3",
    "DELETE FROM audit_log",
    "UPDATE audit_head SET seq = 1",
    "UPDATE audit_head SET seq = 4",
    "DELETE FROM audit_head",
    "INSERT INTO audit_head SELECT 2, seq, hash FROM audit_head",
    "INSERT INTO audit_log SELECT 9, at, actor, kind, run, action, once, payload, prev, hash FROM audit_log WHERE seq = 1",
    "INSERT INTO audit_log SELECT 4, at, actor, kind, run, action, '', payload, prev, hash FROM audit_log WHERE seq = 1",
    "INSERT INTO audit_log SELECT 4, at, actor, kind, run, action, 'first', payload, h.hash, l.hash"
    " FROM audit_log l, audit_head h WHERE l.seq = 1",
]
SQLITE_CHANGES = [
    "INSERT OR REPLACE INTO audit_log SELECT 2, at, actor, kind, run, action, once, payload, prev, hash FROM audit_log WHERE seq = 1",
    "INSERT OR REPLACE INTO audit_log SELECT 4, at, actor, kind, run, action, 'first', payload, h.hash, l.hash"
    " FROM audit_log l, audit_head h WHERE l.seq = 1",
    "INSERT OR REPLACE INTO audit_log (rowid, at, actor, kind, run, action, once, payload, prev, hash)"
    " SELECT 2, at, actor, kind, run, action, once, payload, prev, hash FROM audit_log WHERE seq = 1",
    "REPLACE INTO audit_head SELECT 1, 1, hash FROM audit_log WHERE seq = 1",
    "UPDATE OR REPLACE audit_log SET seq = 1 WHERE seq = 2",
]
POSTGRES_CHANGES = [
    "TRUNCATE audit_log",
    "TRUNCATE audit_head",
    "SET session_replication_role = replica; UPDATE audit_log SET payload = '{}' WHERE seq = 2",
    "INSERT INTO audit_log SELECT 4, at, actor, kind, run, action, 'first', payload, h.hash, l.hash"
    " FROM audit_log l, audit_head h WHERE l.seq = 1 ON CONFLICT DO NOTHING",
]


async def test_no_statement_changes_the_log(url: str, database: Database) -> None:
    await database.write(lambda tx: append(tx, entry(1, once="first"), entry(2), entry(3)))
    before = await rows(database)
    for sql in [*CHANGES, *(SQLITE_CHANGES if url.startswith("sqlite") else POSTGRES_CHANGES)]:
        with pytest.raises(Exception, match=r"append-only|must continue|CHECK|check") as refusal:
            await plainly(url, sql)
        assert await rows(database) == before, (sql, refusal.value)
    await database.write(lambda tx: append(tx, entry(4)))
    require_chain(await rows(database))


async def plainly(url: str, sql: str) -> None:
    """Run a statement as anyone with a connection of their own would."""
    if url.startswith("sqlite"):
        import sqlite3

        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            connection.execute(sql)
        finally:
            connection.close()
        return
    import asyncpg

    session = await asyncpg.connect(url)
    try:
        await session.execute(sql)
    finally:
        await session.close()


async def test_a_purge_leaves_the_log_alone(database: Database) -> None:
    await database.write(lambda tx: append(tx, entry(1)))
    await purge(database, -1.0)
    assert len(await rows(database)) == 1


async def test_an_append_to_a_long_log_costs_what_one_to_a_short_log_costs(tmp_path: Path) -> None:
    """Counted in SQLite's own instructions: nothing that an entry is held against is looked for row by row."""
    file = tmp_path / "log.db"
    database = await open_database(f"sqlite:///{file}")

    async def steps(number: int) -> int:
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        connection = sqlite3.connect(file, isolation_level=None)
        connection.set_progress_handler(count, 1)
        head, digest = connection.execute("SELECT seq, hash FROM audit_head").fetchone()
        counted = 0
        connection.execute(
            "SELECT once FROM audit_log WHERE once <> '' AND once IN (?, ?)", ("a", "b")
        ).fetchall()
        connection.execute(
            f"INSERT INTO audit_log ({COLUMNS}) VALUES (?, 1, 'a', 'k', '', '', ?, '', ?, ?)",
            (head + 1, f"named {number}", digest, bytes(32)),
        )
        connection.close()
        return counted

    await database.write(lambda tx: append(tx, *(entry(n, once=f"n{n}") for n in range(10))))
    short = await steps(1)
    await database.write(lambda tx: append(tx, *(entry(n, once=f"m{n}") for n in range(3000))))
    assert await steps(2) <= short * 2
    await database.close()
