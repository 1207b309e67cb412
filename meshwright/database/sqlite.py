"""SQLite: WAL and full sync, one thread that writes, one commit for all who wait.

What was committed survives kill -9 and a loss of power: with synchronous=FULL SQLite syncs the log at every commit
(https://www.sqlite.org/pragma.html#pragma_synchronous). Reads run on a connection of their own, on the caller's thread: a row
from the page cache takes microseconds, a hop between threads ten times as long, and a reader in WAL waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from meshwright.database.door import Listener, Operation, Row, Value, Verdict
from meshwright.database.sqlitetransaction import SqliteTransaction
from meshwright.errors import StoreUnavailable
from meshwright.settings import SettingsError

T = TypeVar("T")

#: Seconds a commit waits for another process that is writing.
BUSY = 10.0
#: Seconds between two looks whether another process has committed (one pragma, no disk), and between two at most: the longer
#: nobody commits, the less often.
LOOK, LONGEST_LOOK = 0.1, 1.0
#: By how much each look that finds nothing puts off the next one: it takes ten seconds to come to the longest.
LONGER = 1.1
#: How operations begin, end, and are undone. In memory nobody else looks and nothing has to last, so what was done there stays part of one
#: transaction that never ends: a commit would go through all pages of the database whenever one of them was split.
IN_A_FILE = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
IN_MEMORY = ("SAVEPOINT op", "RELEASE op", ("ROLLBACK TO op", "RELEASE op"))
#: Operations that share one commit, at most.
BATCH = 256


class _Job:
    """One operation that waits for its commit."""

    __slots__ = ("error", "future", "loop", "op", "result")

    def __init__(self, op: Operation[Any]) -> None:
        self.op = op
        self.loop: asyncio.AbstractEventLoop
        self.future: asyncio.Future[Any]
        self.result: Any = None
        self.error: Exception | None = None

    def settle(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Sqlite:
    """One file, or, without a path, one database in memory that ends with this process and has no thread."""

    refusals: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._writer, self._reader = writer, reader
        # One cursor each: an operation takes all rows of a statement before it makes the next.
        self._writing, self._reading = writer.cursor(), reader.cursor()
        self._listeners: list[Listener] = []
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self._ways = IN_A_FILE if reader is not writer else IN_MEMORY
        if reader is not writer:
            self._thread = threading.Thread(target=self._write_jobs, name="sqlite-writer", daemon=True)
            self._thread.start()

    @classmethod
    def open(cls, path: Path | None, *, looks: bool = False) -> Sqlite:
        """Raises SettingsError if the file cannot be opened."""
        try:
            if path is None:
                memory = _connection(":memory:")
                memory.execute("BEGIN")
                return cls(memory, memory)
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = _connection(str(path))
            writer.execute("PRAGMA schema_version" if looks else "PRAGMA journal_mode=WAL")  # is it one?
            writer.execute("PRAGMA synchronous=FULL")
            reader = _connection(str(path))
            reader.execute("PRAGMA query_only=ON")
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"MESHWRIGHT_DATABASE: cannot open {path}: {error}") from None
        return cls(writer, reader)

    async def write(self, op: Operation[T]) -> T:
        if self._closed:
            raise StoreUnavailable("the database is closed")
        if self._thread is None:
            return self._write_now(op)
        job = _Job(op)
        job.loop = asyncio.get_running_loop()
        job.future = job.loop.create_future()
        self._jobs.put(job)
        return await job.future  # type: ignore[no-any-return]

    def _write_now(self, op: Operation[T]) -> T:
        """In memory: there is nobody to wait for, and nobody to share a commit with."""
        topics = self._commit([job := _Job(op)])
        if job.error is not None:
            raise job.error
        for topic in topics:
            self._tell(topic, True)
        return job.result  # type: ignore[no-any-return]

    async def read(self, op: Operation[T]) -> T:
        if self._closed:
            raise StoreUnavailable("the database is closed")
        try:
            return _drive(op, SqliteTransaction(self._reading, reads=True))
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    async def execute(self, sql: str, *values: Value) -> list[Row]:
        async def one(tx: Any) -> list[Row]:
            rows: list[Row] = await tx.execute(sql, *values)
            return rows

        return await self.write(one)

    def listen(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        if self._thread is not None and self._looking is None:
            # What is seen now is the beginning: a commit before the task first runs must not be overlooked.
            self._looking = asyncio.ensure_future(self._look(self._version()))

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._reader.close()
        self._writer.close()

    def _write_jobs(self) -> None:
        """The writing thread: everything that waits goes into the next commit."""
        while (job := self._jobs.get()) is not None:
            batch = [job]
            last = False
            with contextlib.suppress(queue.Empty):
                while len(batch) < BATCH:
                    more = self._jobs.get_nowait()
                    if more is None:
                        last = True
                        break
                    batch.append(more)
            topics = self._commit(batch)
            if _is_locked_out(batch[0].error):
                last |= self._turned_away(batch)
            with contextlib.suppress(RuntimeError):  # the loop has gone: nobody waits for this any more
                batch[0].loop.call_soon_threadsafe(self._settled, batch, topics)
            if last:
                return

    def _turned_away(self, batch: list[_Job]) -> bool:
        """Add to those who waited for another process in vain all that came meanwhile: else each batch would wait as long for itself,
        one after the other. Says whether there is nothing more to come."""
        with contextlib.suppress(queue.Empty):
            while (more := self._jobs.get_nowait()) is not None:
                more.error = batch[0].error
                batch.append(more)
            return True
        return False

    def _commit(self, jobs: list[_Job]) -> set[str]:
        """Run the jobs in one transaction; if one of them fails, each in one of its own."""
        transaction, (begin, end, undo) = SqliteTransaction(self._writing), self._ways
        with Verdict() as verdict:
            self._writing.execute(begin)
            for job in jobs:
                transaction.concluded = False
                job.result, job.error = _drive(job.op, transaction), None
            if transaction.endings:
                transaction.concluded = False
                _drive(transaction.endings.run, transaction)
            self._writing.execute(end)
        error = verdict.error
        if error is None:
            return transaction.topics
        with contextlib.suppress(sqlite3.Error):
            if self._writer.in_transaction:
                for step in undo:
                    self._writing.execute(step)
        if len(jobs) > 1 and not _is_lasting(error):
            return set().union(*(self._commit([job]) for job in jobs))
        for job in jobs:
            job.error = _unavailable(error)
        return set()

    def _settled(self, jobs: list[_Job], topics: set[str]) -> None:
        for job in jobs:
            job.settle()
        for topic in topics:
            self._tell(topic, True)

    def _tell(self, topic: str | None, mine: bool) -> None:
        for listener in list(self._listeners):
            listener(topic, mine)

    async def _look(self, seen: int) -> None:
        """Notice the commits of other processes on the same file; our own count too, and do no harm."""
        pause = LOOK
        while True:
            await asyncio.sleep(pause)
            now = self._version()
            if now != seen:
                seen, pause = now, LOOK
                self._tell(None, False)
            else:
                pause = min(pause * LONGER, LONGEST_LOOK)

    def _version(self) -> int:
        with contextlib.suppress(sqlite3.Error):
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])
        return -1


def _connection(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=BUSY)
    connection.row_factory = sqlite3.Row
    # One instant for a whole statement: SQLite asks once for all the places where it stands.
    connection.create_function("EPOCH", 0, time.time, deterministic=True)
    connection.create_function("lower", 1, str.lower, deterministic=True)  # its own knows A to Z and no more
    return connection


def _drive(op: Callable[[SqliteTransaction], Awaitable[T]], transaction: SqliteTransaction) -> T:
    """Run an operation to its end on this thread; its transaction never makes it wait."""
    running: Coroutine[Any, Any, T] = op(transaction)  # type: ignore[assignment]
    try:
        running.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    running.close()
    raise RuntimeError("an operation may wait for nothing but its transaction")


#: Result codes that say something of the file or the disk, not of the statement (https://www.sqlite.org/rescode.html).
_ENVIRONMENT = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
}


def _is_lasting(error: BaseException) -> bool:
    """Whether trying the same again at once, alone, would meet the same: locked, full, or broken."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _ENVIRONMENT


def _is_locked_out(error: Exception | None) -> bool:
    """Whether it says that another process kept writing."""
    return error is not None and getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _unavailable(error: Exception) -> Exception:
    """What cannot be had is said so; what is wrong with a statement is a bug and stays one."""
    if not _is_lasting(error):
        return error
    name = getattr(error, "sqlite_errorname", "")
    unavailable = StoreUnavailable(f"the database cannot be used right now ({name})")
    unavailable.__cause__ = error
    return unavailable
