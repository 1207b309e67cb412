"""What the rest of the house sees of a database: operations in transactions, and word of what was committed.

An operation is written once, as `async def op(tx)`, and means the same on both engines. In its SQL `?` stands for a
parameter and `EPOCH()` for the database's own clock in seconds, so that replicas need not agree on the time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from meshwright.errors import StoreUnavailable
from meshwright.settings import SettingsError

Value = str | int | float | bytes | None
T = TypeVar("T")
#: A statement and its values.
Statement = tuple[str, tuple[Value, ...]]

AFTER_THE_END = "an operation that has concluded may run no further statement, and wake nobody"
READING = "an operation that only reads leaves nothing to be done at the commit"


class Row(Protocol):
    """One row: `row["name"]`, and `dict(row)`."""

    def __getitem__(self, key: str, /) -> Any: ...

    def keys(self) -> Iterable[str]: ...


class Transaction(Protocol):
    """What an operation works with. It may wait for nothing else: others share its commit."""

    #: Ends a SELECT that takes rows for itself and passes over those that others hold.
    skip_locked: str
    #: Seconds that each statement may take from here on; None for as long as is usual.
    limit: float | None

    async def execute(self, sql: str, *values: Value) -> list[Row]: ...

    async def conclude(self, first: Statement, *then: Statement, wake: str | None = None) -> bool:
        """Run `first`, which writes one row or none; if it wrote one, also `then`, and wake a topic. Says whether it did.

        If so the operation is over: nothing may follow. So an engine whose round trips cost something can make one of
        it, commit and all. `first` is an INSERT or UPDATE without RETURNING, each of `then` an `INSERT … VALUES (…)` of one row.
        """
        ...

    def wake(self, topic: str) -> None:
        """Tell everyone who listens, in every process, once this is committed."""
        ...

    def at_last(self, finish: Finish, *what: Any) -> None:
        """Have `finish(tx, all that was given for it)` run right before the commit, once for all operations that share it.

        For a row that everyone has to lock: it is taken after all others, so no two commits wait for each other, and held for
        no longer than the commit takes. What fails there fails the operation.
        """
        ...


Operation = Callable[[Transaction], Awaitable[T]]
#: What is left for the end of a commit.
Finish = Callable[[Transaction, list[Any]], Awaitable[None]]
#: Called with a topic, or None when anything may have changed; and whether the commit was this process's own.
Listener = Callable[[str | None, bool], None]


class Endings:
    """What operations of one commit have left for its end, by what is to be done with it."""

    def __init__(self) -> None:
        self._left: dict[Finish, list[Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._left)

    def add(self, finish: Finish, what: Iterable[Any]) -> None:
        self._left.setdefault(finish, []).extend(what)

    async def run(self, tx: Transaction) -> None:
        for finish, what in self._left.items():
            await finish(tx, what)
        self._left.clear()


class Verdict:
    """What became of operations: an error of theirs belongs to whoever asked for them, not to the writer that runs them."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Verdict:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self.error = error
            return True
        return False


class Database(Protocol):
    """Runs operations.

    Raises StoreUnavailable when the database is gone, locked, or full: then nothing of the operation is stored, or,
    where the connection broke at the commit, it cannot be known, and whoever holds a lease must let go of it.
    """

    #: What the engine raises for a statement that it refuses.
    refusals: tuple[type[Exception], ...]

    async def write(self, op: Operation[T]) -> T:
        """Run `op` and commit. Operations asked for at the same time share one commit (and its fsync).

        One that raises is undone, alone; for that the others of its commit run again, so an operation must not
        change anything but the database.
        """
        ...

    async def read(self, op: Operation[T]) -> T:
        """Run `op`, which only reads."""
        ...

    async def execute(self, sql: str, *values: Value) -> list[Row]:
        """One statement, committed."""
        ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after commits, those of other processes included. Returns how to stop that."""
        ...

    async def close(self) -> None: ...


async def open_database(url: str) -> Database:
    """From `sqlite:///path`, `postgresql://…`, or `memory:` (nothing lasts), with its schema made or brought up to date.

    Raises SettingsError for anything else, if it cannot be opened or used, or if its schema is of a build too new for this one.
    """
    from meshwright.database.migrations import require_rights, upgrade

    database = await connect(url)
    try:
        await upgrade(database)
        await require_rights(database)
    except BaseException as error:
        await database.close()
        if isinstance(error, StoreUnavailable):
            raise SettingsError(f"MESHWRIGHT_DATABASE: it cannot be looked at: {error}") from error
        raise
    return database


async def connect(url: str, *, looks: bool = False) -> Database:
    """The same, with the schema as it is found. Who only `looks` leaves a file as it is."""
    if url == "memory:" or url.startswith("sqlite:///"):
        from meshwright.database.sqlite import Sqlite

        return Sqlite.open(Path(url.removeprefix("sqlite:///")) if url != "memory:" else None, looks=looks)
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from meshwright.database.postgres import Postgres
        except ImportError:
            raise SettingsError("PostgreSQL needs the extra: pip install 'meshwright[postgres]'") from None
        return await Postgres.open(url)
    raise SettingsError("MESHWRIGHT_DATABASE must be sqlite:///PATH, postgresql://USER@HOST/NAME, or memory:")
