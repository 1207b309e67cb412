"""PostgreSQL through asyncpg: a few connections that write, each taking all who wait into one commit; one that listens."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import asyncpg

from meshwright.database.door import Listener, Operation, Row, Value, Verdict
from meshwright.database.pgtransaction import CHANNEL, PostgresTransaction, translated
from meshwright.errors import StoreUnavailable
from meshwright.settings import SettingsError

T = TypeVar("T")
log = logging.getLogger(__name__)

#: Connections that write and that read, at most.
WRITERS, READERS = 3, 4
#: Operations that share one commit, at most.
BATCH = 128
#: For our connections, whatever is usual there. Each statement sees what was committed before it: who has waited for another looks again.
_SETTINGS = {"jit": "off", "default_transaction_isolation": "read committed"}
#: The encodings that lack no character: in another a task whose text has one would fail, however often it is tried.
_WHOLE = ("UTF8", "SQL_ASCII")
#: Seconds a statement may take before the server gives it up; a lock that is held longer is a fault.
STATEMENT = 20.0
#: Seconds for which nothing is heard before a connection that only listens is asked whether it is still one, and for the answer: a network
#: that forgets it says so to nobody.
QUIET = 10.0
_LOST = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncio.TimeoutError)
_GONE = (
    *_LOST,
    asyncpg.InternalClientError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.PostgresSystemError,
    # it was the first of several servers and is not any more, or an operator has stopped writing for a while
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    # somebody holds a lock for longer than an operator lets anybody wait
    asyncpg.exceptions.LockNotAvailableError,
)
#: What a server says to whoever wants in, with the above: a password that has changed, a database that lets nobody in just now.
_SHUT = (*_GONE, asyncpg.PostgresError)
#: The same again, alone, gets through: two commits met in the wrong order, or a newer build has changed the table meanwhile.
_AGAIN = (
    asyncpg.exceptions.DeadlockDetectedError,
    asyncpg.exceptions.SerializationError,
    asyncpg.exceptions.InvalidCachedStatementError,
)


class Postgres:
    """One database on a server."""

    refusals: tuple[type[Exception], ...] = (asyncpg.PostgresError,)

    def __init__(self, url: str) -> None:
        self._url = url
        self._jobs: deque[tuple[Operation[Any], asyncio.Future[Any]]] = deque()
        self._waiting = asyncio.Semaphore(0)
        self._listeners: list[Listener] = []
        self._writers: list[asyncio.Task[None]] = []
        self._idle: list[asyncpg.Connection[Any]] = []
        self._readers = asyncio.Semaphore(READERS)
        self._pids: set[int] = set()
        self._ear: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(cls, url: str) -> Postgres:
        """Raises SettingsError when there is no answer."""
        database = cls(url)
        try:
            database._idle.append(connection := await database._connect())
        except (*_SHUT, ValueError) as error:
            raise SettingsError(
                f"MESHWRIGHT_DATABASE: no use of PostgreSQL ({type(error).__name__}: {error})"
            ) from None
        if (encoding := connection.get_settings().server_encoding) not in _WHOLE:
            await database.close()
            raise SettingsError(
                f"MESHWRIGHT_DATABASE: its encoding is {encoding}, which lacks what people write: make one with ENCODING 'UTF8'"
            )
        database._writers = [asyncio.ensure_future(database._write_jobs()) for _ in range(WRITERS)]
        return database

    async def write(self, op: Operation[T]) -> T:
        if self._closed:
            raise StoreUnavailable("the database is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append((op, future))
        self._waiting.release()
        return await future

    async def read(self, op: Operation[T]) -> T:
        async with self._reader() as connection:
            try:
                return await op(PostgresTransaction(connection, reads=True))
            except _GONE as error:
                connection.terminate()  # told that it ends, it may look alive for a moment, and be used again
                raise StoreUnavailable(f"the database is gone ({type(error).__name__})") from error

    async def execute(self, sql: str, *values: Value) -> list[Row]:
        async with self._reader() as connection:
            try:
                rows: list[Row] = await connection.fetch(translated(sql), *values)
            except _GONE as error:
                connection.terminate()  # what comes next gets a new one, of a server that writes
                raise StoreUnavailable(f"the database is gone ({type(error).__name__})") from error
            return rows

    def listen(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        if self._ear is None:
            self._ear = asyncio.ensure_future(self._hear())

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for _ in self._writers:
            self._waiting.release()
        if self._ear is not None:
            self._ear.cancel()
        if tasks := [*self._writers, *([self._ear] if self._ear else [])]:
            await asyncio.wait(tasks)
        for connection in self._idle:
            await _close(connection)
        self._idle.clear()

    async def _connect(self) -> asyncpg.Connection[Any]:
        # Who is gone without a word, in the middle of a transaction, must not keep its locks: a task that is locked is passed over.
        given_up = {"idle_in_transaction_session_timeout": str(int(STATEMENT * 1000))}
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._url, timeout=10, command_timeout=STATEMENT, server_settings=_SETTINGS | given_up
        )
        # Whoever runs the server may have traded the last commits for speed; what we acknowledge has to be on its disk.
        ready = False
        try:
            await connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
            )
            ready = True
        finally:
            if not ready:
                connection.terminate()
        pid = connection.get_server_pid()
        self._pids.add(pid)
        connection.add_termination_listener(lambda _: self._pids.discard(pid))
        return connection

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        if self._closed:
            raise StoreUnavailable("the database is closed")
        await self._place()
        try:
            connection = await self._live()
            try:
                yield connection
            finally:
                if connection.is_closed() or self._closed:
                    await _close(connection)
                else:
                    self._idle.append(connection)
        finally:
            self._readers.release()

    async def _place(self) -> None:
        """Among those that read. Where nothing is answered each of them takes its time, and whoever comes after would wait for them all."""
        if not self._readers.locked():
            await self._readers.acquire()
            return
        try:
            async with asyncio.timeout(STATEMENT):
                await self._readers.acquire()
        except TimeoutError:
            raise StoreUnavailable("the database does not answer in time") from None

    async def _live(self) -> asyncpg.Connection[Any]:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await self._connect()
        except _SHUT as error:
            raise StoreUnavailable(f"the database does not answer ({type(error).__name__})") from error

    async def _write_jobs(self) -> None:
        """One writer: everything that waits goes into its next commit."""
        connection: asyncpg.Connection[Any] | None = None
        while True:
            await self._waiting.acquire()
            batch = [self._jobs.popleft() for _ in range(min(len(self._jobs), BATCH))]
            if not batch:
                if self._closed:
                    break
                continue
            try:
                if connection is None or connection.is_closed():
                    connection = await self._live()
            except StoreUnavailable as error:
                for _, future in batch:
                    _fail(future, error)
                continue
            await self._commit(connection, batch)
        if connection is not None:
            await _close(connection)

    async def _commit(
        self, connection: asyncpg.Connection[Any], jobs: list[tuple[Operation[Any], asyncio.Future[Any]]]
    ) -> None:
        """Run the jobs in one transaction; if one of them fails, each in one of its own."""
        transaction = PostgresTransaction(connection, alone=len(jobs) == 1)
        results: list[Any] = []
        with Verdict() as verdict:
            committed = False
            try:
                for op, _ in jobs:
                    transaction.concluded = False
                    results.append(await op(transaction))
                await transaction.commit()
                committed = True
            finally:
                if not committed:
                    await transaction.rollback()
        error = verdict.error
        if error is None:
            for (_, future), result in zip(jobs, results, strict=True):
                if not future.done():
                    future.set_result(result)
            for topic in transaction.topics:
                self._tell(topic, True)
        elif isinstance(error, _GONE) and not isinstance(error, ValueError):  # that one is a wrong argument
            for _, future in jobs:
                _fail(future, StoreUnavailable(f"the database is gone ({type(error).__name__})"))
            # it may be committed all the same, and what the server tells of it seem ours
            for topic in transaction.topics:
                self._tell(topic, True)
            if not connection.is_closed():
                connection.terminate()
        elif len(jobs) > 1 or isinstance(error, _AGAIN):
            for job in jobs:
                await self._commit(connection, [job])
        else:
            _fail(jobs[0][1], error)

    def _tell(self, topic: str | None, mine: bool) -> None:
        for listener in list(self._listeners):
            listener(topic, mine)

    async def _hear(self) -> None:
        """LISTEN on a connection of its own, for as long as the database is open; after a gap anything may have changed."""
        pause = 0.1
        while True:
            lost = asyncio.Event()
            try:
                async with self._listening(lost) as connection:
                    self._tell(None, False)
                    pause = 0.1
                    with contextlib.suppress(*_GONE):
                        while not await _rings(lost, QUIET):
                            await connection.execute("SELECT 1", timeout=QUIET)
            except _SHUT as error:
                log.warning("not listening to the database (%s); trying again", type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    @contextlib.asynccontextmanager
    async def _listening(self, lost: asyncio.Event) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A connection that listens; `lost` rings when it is one no more. A server that is still a standby lets us in and refuses that."""
        connection = await self._connect()
        try:
            connection.add_termination_listener(functools.partial(_ring, lost))
            await connection.add_listener(CHANNEL, self._heard)
            yield connection
        finally:
            await _close(connection)

    def _heard(self, connection: Any, pid: int, channel: str, payload: Any) -> None:
        if pid not in self._pids:
            self._tell(str(payload), False)


def _ring(bell: asyncio.Event, _: Any) -> None:
    bell.set()


async def _rings(bell: asyncio.Event, seconds: float) -> bool:
    """Whether it rings in this time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await bell.wait()
    return bell.is_set()


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


async def _close(connection: asyncpg.Connection[Any]) -> None:
    with contextlib.suppress(*_SHUT):
        await connection.close(timeout=2)
