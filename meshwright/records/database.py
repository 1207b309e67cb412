"""One small door to SQLite or PostgreSQL: the same statements, with `?` for parameters, each in its own transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from meshwright.settings import SettingsError

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

Row = dict[str, Any]
Value = str | int | float | None


class Database(Protocol):
    """Runs statements. Rows come back as dicts; nothing else of an engine shows."""

    async def execute(self, sql: str, *values: Value) -> list[Row]: ...

    async def close(self) -> None: ...


async def open_database(url: str) -> Database:
    """From `sqlite:///path` or `postgresql://…`. Raises SettingsError for anything else, or if it cannot be opened."""
    if url.startswith("sqlite:///"):
        return await asyncio.to_thread(Sqlite, Path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        return await Postgres.connect(url)
    raise SettingsError("MESHWRIGHT_DATABASE must be sqlite:///PATH or postgresql://USER@HOST/NAME")


class Sqlite:
    """WAL and full sync: what was committed survives a loss of power. One connection, one statement at a time."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=10
            )
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"MESHWRIGHT_DATABASE: cannot open {path}: {error}") from None
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        self._lock = asyncio.Lock()

    async def execute(self, sql: str, *values: Value) -> list[Row]:
        async with self._lock:
            return await asyncio.to_thread(self._run, sql, values)

    def _run(self, sql: str, values: Sequence[Value]) -> list[Row]:
        return [dict(row) for row in self._connection.execute(sql, values).fetchall()]

    async def close(self) -> None:
        async with self._lock:
            self._connection.close()


class Postgres:
    """A small pool of connections, each statement its own transaction."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, url: str) -> Postgres:
        try:
            from psycopg.rows import dict_row
            from psycopg_pool import AsyncConnectionPool, PoolTimeout
        except ImportError:
            raise SettingsError("PostgreSQL needs the extra: pip install 'meshwright[postgres]'") from None
        kwargs = {"autocommit": True, "row_factory": dict_row}
        pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            url, min_size=1, max_size=8, open=False, timeout=10, kwargs=kwargs
        )
        try:
            await pool.open(wait=True, timeout=10)
        except PoolTimeout:
            await pool.close()
            raise SettingsError("MESHWRIGHT_DATABASE: no answer from PostgreSQL within 10 s") from None
        return cls(pool)

    async def execute(self, sql: str, *values: Value) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(sql.replace("?", "%s"), values)
            return list(await cursor.fetchall()) if cursor.description else []

    async def close(self) -> None:
        await self._pool.close()
