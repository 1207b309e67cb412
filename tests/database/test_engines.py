"""What both engines promise: one commit for many, one failure undone alone, word of commits, and a plain error when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meshwright.database import Database, Transaction, open_database, sqlite
from meshwright.database.door import connect
from meshwright.database.migrations import status
from meshwright.database.schema import VERSIONS
from meshwright.database.sqlite import Sqlite
from meshwright.errors import StoreUnavailable
from meshwright.settings import SettingsError


@pytest.fixture
async def two(url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Two processes' doors to one database, with a table to write to."""
    async with contextlib.AsyncExitStack() as stack:
        doors = []
        for _ in range(2):
            doors.append(await connect(url))
            stack.push_async_callback(doors[-1].close)
        await doors[0].execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")
        yield doors[0], doors[1]


def note(number: int, text: str = "x") -> Any:
    async def op(tx: Transaction) -> int:
        await tx.execute("INSERT INTO notes (id, text) VALUES (?, ?)", number, text)
        tx.wake(text)
        return number

    return op


async def notes(database: Database) -> list[int]:
    async def op(tx: Transaction) -> list[int]:
        return [row["id"] for row in await tx.execute("SELECT id FROM notes ORDER BY id")]

    return await database.read(op)


async def test_what_was_written_is_there_for_every_process_before_it_is_acknowledged(two: Any) -> None:
    one, other = two
    for number in range(20):
        assert await one.write(note(number)) == number
        assert (await notes(other))[-1] == number


async def test_operations_at_the_same_time_share_a_commit_and_each_has_its_own_result(two: Any) -> None:
    one, other = two
    assert await asyncio.gather(*(one.write(note(n)) for n in range(200))) == list(range(200))
    assert await notes(other) == list(range(200))


async def test_of_many_in_one_commit_the_one_that_fails_is_undone_alone(two: Any) -> None:
    one, other = two

    async def broken(tx: Transaction) -> None:
        await tx.execute("INSERT INTO notes (id, text) VALUES (1000, 'half')")
        raise ValueError("changed my mind")

    ops = [one.write(note(n)) for n in range(10)]
    results = await asyncio.gather(
        *ops[:5], one.write(broken), one.write(note(3)), *ops[5:], return_exceptions=True
    )
    assert results[:5] + results[7:] == list(range(10))
    assert isinstance(results[5], ValueError)
    assert "UNIQUE" in str(results[6]) or "unique" in str(results[6])
    assert await notes(other) == list(range(10))


async def test_a_commit_is_heard_in_every_process_and_nothing_before_it(two: Any) -> None:
    one, other = two
    heard: asyncio.Queue[tuple[int, str | None, bool]] = asyncio.Queue()
    for place, door in enumerate((one, other)):
        door.listen(lambda topic, mine, place=place: heard.put_nowait((place, topic, mine)))
    seen = set()
    await one.write(note(1, "news"))
    async with asyncio.timeout(10):
        while {place for place, _, _ in seen} != {0, 1} or (0, "news", True) not in seen:
            place, topic, mine = await heard.get()
            if topic in ("news", None):
                assert await notes((one, other)[place]) in ([], [1])
                seen.add((place, topic, mine))
    assert await notes(other) == [1]


async def test_numbers_bytes_and_the_clock_come_back_as_they_are(url: str) -> None:
    door = await connect(url)
    await door.execute(
        "CREATE TABLE kinds (a BIGINT, b DOUBLE PRECISION, c "
        + ("BYTEA" if url.startswith("postgres") else "BLOB")
        + ")"
    )

    async def op(tx: Transaction) -> Any:
        await tx.execute("INSERT INTO kinds (a, b, c) VALUES (?, EPOCH(), ?)", 2**60, b"\x00\xff")
        return dict((await tx.execute("SELECT a, b, c FROM kinds"))[0])

    row = await door.write(op)
    assert (row["a"], bytes(row["c"])) == (2**60, b"\x00\xff")
    assert 1_700_000_000 < row["b"] < 5_000_000_000
    await door.close()


async def test_a_closed_database_says_so(two: Any) -> None:
    one, _ = two
    await one.close()
    for use in (one.write(note(1)), notes(one), one.execute("SELECT 1")):
        with pytest.raises(StoreUnavailable, match="closed"):
            await use


async def test_a_full_disk_is_said_loses_nothing_and_passes(tmp_path: Any) -> None:
    door = await connect(f"sqlite:///{tmp_path}/small.db")
    assert isinstance(door, Sqlite)
    await door.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")
    await door.write(note(1))
    await door.execute("PRAGMA max_page_count = 4")
    with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
        await door.write(note(2, "x" * 100_000))
    assert await notes(door) == [1]
    await door.execute("PRAGMA max_page_count = 100000")
    await door.write(note(2, "x" * 100_000))
    assert await notes(door) == [1, 2]
    await door.close()


async def test_however_many_wait_for_another_process_that_writes_they_wait_for_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY", 0.2)
    monkeypatch.setattr(sqlite, "BATCH", 2)
    async with contextlib.AsyncExitStack() as stack:
        door = await connect(f"sqlite:///{tmp_path}/locked.db")
        stack.push_async_callback(door.close)
        await door.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")
        backup = stack.enter_context(
            contextlib.closing(sqlite3.connect(tmp_path / "locked.db", isolation_level=None))
        )
        backup.execute("BEGIN IMMEDIATE")
        writes = [asyncio.ensure_future(door.write(note(number))) for number in range(20)]
        done, _ = await asyncio.wait(writes, return_when=asyncio.FIRST_EXCEPTION)
        assert len(done) == len(writes)
        assert all(isinstance(write.exception(), StoreUnavailable) for write in writes)
        backup.execute("ROLLBACK")
        assert await door.write(note(1)) == 1


async def test_a_lost_connection_is_an_error_once_and_then_there_is_another(postgres: Any) -> None:
    one, other = await connect(url := postgres()), await connect(url)
    await one.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")
    await asyncio.gather(*(one.write(note(n)) for n in range(3)))
    heard = asyncio.Event()
    one.listen(lambda topic, mine: heard.set())
    await heard.wait()  # it listens
    heard.clear()
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    await other.execute(cut)
    await heard.wait()  # it listens again, and says that anything may have changed
    stored = set(range(3))
    for number in range(3, 30):
        with contextlib.suppress(StoreUnavailable):
            stored.add(await one.write(note(number)))
    there = await notes(one)
    assert stored <= set(there)
    assert len(stored) > 20
    await one.close()
    await other.close()


async def test_eight_that_start_at_once_make_the_schema_once(url: str) -> None:
    doors = await asyncio.gather(*(open_database(url) for _ in range(8)))
    assert (await status(doors[0])).current
    rows = await doors[0].execute("SELECT version FROM schema_versions ORDER BY version")
    assert [row["version"] for row in rows] == [version.number for version in VERSIONS]
    for door in doors:
        await door.close()


async def test_a_schema_that_is_too_new_is_refused_and_a_newer_one_that_allows_us_is_not(url: str) -> None:
    door = await open_database(url)
    known = VERSIONS[-1].number
    await door.execute(
        "INSERT INTO schema_versions (version, title, oldest, applied) VALUES (?, 'kind', ?, EPOCH())",
        *(known + 1, known),
    )
    await (await open_database(url)).close()
    await door.execute("UPDATE schema_versions SET oldest = ? WHERE version = ?", known + 1, known + 1)
    with pytest.raises(SettingsError, match=f"has schema {known + 1}.*start a newer build"):
        await open_database(url)
    await door.close()


@pytest.mark.parametrize(
    "given",
    ["mysql://x", "sqlite://x", "", "postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/no/x.db"],
)
async def test_what_cannot_be_opened_is_one_sentence(given: str) -> None:
    with pytest.raises(SettingsError, match="MESHWRIGHT_DATABASE"):
        await open_database(given)


async def test_a_server_that_does_not_wait_for_its_disk_waits_for_ours(postgres: Any) -> None:
    door = await connect(url := postgres())
    name = (await door.execute("SELECT current_database() AS name"))[0]["name"]
    await door.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    other = await connect(url)

    async def op(tx: Transaction) -> str:
        rows = await tx.execute("SELECT current_setting('synchronous_commit') AS it")
        return str(rows[0]["it"])

    assert await other.write(op) == "on"
    await door.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')
    await door.close()
    await other.close()


def concluding(number: int, *more: int, topic: str = "end") -> Any:
    """Writes a note and, if it is a new one, more of them."""
    sql = "INSERT INTO notes (id, text) VALUES (?, 'x')"

    async def op(tx: Transaction) -> bool:
        first = (f"{sql} ON CONFLICT DO NOTHING", (number,))
        if await tx.conclude(first, *((sql, (each,)) for each in more), wake=topic):
            return True
        await tx.execute(sql, 1000 + number)
        return False

    return op


@pytest.mark.parametrize("beside", [0, 20])
async def test_a_conclusion_is_all_or_nothing_and_without_a_row_the_operation_goes_on(
    two: Any, beside: int
) -> None:
    one, other = two
    others = [one.write(note(n)) for n in range(500, 500 + beside)]
    ends = await asyncio.gather(*others, one.write(concluding(1, 2, 3)), one.write(concluding(1, 7)))
    assert ends[beside:] == [True, False]
    kept = [1, 2, 3, *range(500, 500 + beside), 1001]
    assert await notes(other) == kept
    with pytest.raises(Exception, match=r"(?i)unique"):  # each engine has an error of its own for it
        await one.write(concluding(8, 9, 2))
    assert await notes(other) == kept


@pytest.mark.parametrize("beside", [0, 20])
async def test_a_conclusion_is_heard_in_every_process(two: Any, beside: int) -> None:
    one, other = two
    bells = {True: asyncio.Event(), False: asyncio.Event()}

    def hear(topic: str | None, mine: bool) -> None:
        if topic in ("it's \\ done", None):
            bells[mine].set()

    for door in (one, other):
        door.listen(hear)
    async with asyncio.timeout(10):
        if one is not other and not isinstance(one, Sqlite):
            await bells[False].wait()  # it listens
            bells[False].clear()
        writing = [one.write(note(n)) for n in range(500, 500 + beside)]
        await asyncio.gather(*writing, one.write(concluding(1, topic="it's \\ done")))
        await asyncio.gather(*(bell.wait() for bell in bells.values()))


async def test_nothing_may_follow_a_conclusion(two: Any) -> None:
    again = "ON CONFLICT (id) DO UPDATE SET text = 'y'"
    ended = f"INSERT INTO notes (id, text) VALUES (1, 'x') {again}", ()

    async def more(tx: Transaction) -> None:
        await tx.conclude(ended)
        await tx.execute("SELECT 1")

    async def louder(tx: Transaction) -> None:
        await tx.conclude(ended)
        tx.wake("late")

    for op in (more, louder):
        with pytest.raises(RuntimeError, match="no further statement"):
            await two[0].write(op)


async def kicked_out(admin: Database, name: str) -> None:
    """All connections to a database end."""
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ? AND pid <> pg_backend_pid()",
        name,
    )


async def test_a_server_that_lets_nobody_in_for_a_while_is_used_again_afterwards(postgres: Any) -> None:
    admin = await connect(url := postgres())
    await admin.execute("CREATE DATABASE shut")
    door = await connect(url.replace("/postgres?", "/shut?"))
    await door.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")
    await admin.execute("ALTER DATABASE shut ALLOW_CONNECTIONS false")
    await kicked_out(admin, "shut")
    async with asyncio.timeout(20):
        for number in range(8):  # more than there are writers
            with pytest.raises(StoreUnavailable):
                await door.write(note(number))
            with pytest.raises(StoreUnavailable):
                await notes(door)
        await admin.execute("ALTER DATABASE shut ALLOW_CONNECTIONS true")
        await door.write(note(100))
        assert await notes(door) == [100]
    await door.close()
    await admin.execute("DROP DATABASE shut")
    await admin.close()


async def test_a_server_that_only_reads_now_is_asked_anew_until_it_writes(postgres: Any) -> None:
    door = await connect(url := postgres())
    await door.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")
    name = (await door.execute("SELECT current_database() AS name"))[0]["name"]
    await door.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    standby = await connect(url)
    with pytest.raises(StoreUnavailable):
        await standby.write(note(1))
    await door.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    await standby.write(note(2))
    assert await notes(standby) == [2]
    await standby.close()
    await door.close()
