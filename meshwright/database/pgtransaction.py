"""One transaction on PostgreSQL: our SQL in its words, and as few messages as it takes to run, commit and tell of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import asyncpg

from meshwright.database.door import AFTER_THE_END, READING, Endings, Finish, Row, Statement, Value

#: Where every process of ours listens.
CHANNEL = "meshwright"


@functools.cache
def translated(sql: str) -> str:
    """Our SQL in PostgreSQL's words: numbered parameters, its clock, its type for bytes."""
    count = 0

    def number(_: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"${count}"

    sql = re.sub(r"\?", number, sql)
    sql = sql.replace("EPOCH()", "extract(epoch from clock_timestamp())::float8")
    return sql.replace(" BYTES", " BYTEA")


#: The end of an INSERT of one row: its values, and what is to be done where the row is there already.
_VALUES = re.compile(r" VALUES \((.*?)\)( ON CONFLICT \(\w+\) DO NOTHING)?$", re.DOTALL)


@functools.cache
def chained(first: str, then: tuple[str, ...], told: bool) -> str:
    """One statement of several: those after the first, INSERTs of one row, are for the row that it writes.

    With `told`, its last two parameters are a channel and what is to be notified there.
    """
    parts = [f"WITH head AS ({first} RETURNING 1 AS written)"]
    for number, sql in enumerate(then):
        insert, found = _VALUES.subn(r" SELECT \1 FROM head\2", sql)
        if not found:
            raise ValueError(f"not an INSERT of one row: {sql}")
        parts.append(f"then{number} AS ({insert})")
    return translated(f"{', '.join(parts)} SELECT written{', pg_notify(?, ?)' if told else ''} FROM head")


class PostgresTransaction:
    """Statements on one connection, and its transaction, which begins with the first of them.

    `alone` says that nobody shares the commit: then what concludes an operation needs no transaction around it. `reads` says
    that there is nothing to commit.
    """

    skip_locked = " FOR UPDATE SKIP LOCKED"
    limit: float | None = None

    def __init__(
        self, connection: asyncpg.Connection[Any], *, alone: bool = False, reads: bool = False
    ) -> None:
        self._connection = connection
        self._alone = alone
        self._reads = self._begun = reads
        self._endings = Endings()
        self.concluded = False
        self.topics: set[str] = set()

    async def execute(self, sql: str, *values: Value) -> list[Row]:
        await self._begin()
        rows: list[Row] = await self._connection.fetch(translated(sql), *values, timeout=self.limit)
        return rows

    async def conclude(self, first: Statement, *then: Statement, wake: str | None = None) -> bool:
        at_once = self._alone and not self._begun and not self.topics and not self._endings
        sql = chained(first[0], tuple(sql for sql, _ in then), at_once and wake is not None)
        values = [*first[1], *(value for _, each in then for value in each)]
        if not at_once:
            await self._begin()
        elif wake is not None:
            values += [CHANNEL, wake]
            self.topics.add(wake)  # before it is sent: where no answer comes it may be committed all the same
        if not await self._connection.fetch(sql, *values):
            if at_once:
                self.topics.clear()
            return False
        self.concluded = True
        if wake is not None:
            self.topics.add(wake)
        return True

    async def _begin(self) -> None:
        if self.concluded:
            raise RuntimeError(AFTER_THE_END)
        if not self._begun:
            await self._connection.execute("BEGIN")
            self._begun = True

    async def commit(self) -> None:
        """Do what is left for the end, commit what is not committed yet, and with it tell the topics."""
        if self._endings:
            self.concluded = False
            await self._endings.run(self)
        if not self._begun:
            if self.topics and not self.concluded:
                await self._connection.execute(_notifying(self.topics))
            return
        status = await self._connection.execute(f"{_notifying(self.topics)}COMMIT")
        if status != "COMMIT":  # what PostgreSQL says of a transaction in which a statement failed
            raise RuntimeError("an operation went on after a statement of its own had failed")

    async def rollback(self) -> None:
        if self._begun and not self._connection.is_closed():
            await self._connection.execute("ROLLBACK")

    def wake(self, topic: str) -> None:
        if self.concluded:
            raise RuntimeError(AFTER_THE_END)
        self.topics.add(topic)

    def at_last(self, finish: Finish, *what: Any) -> None:
        if self.concluded or self._reads:
            raise RuntimeError(READING if self._reads else AFTER_THE_END)
        self._endings.add(finish, what)


def _notifying(topics: Iterable[str]) -> str:
    """Statements that notify the topics, to be sent with others in one message, which cannot carry parameters."""
    return "".join(f"SELECT pg_notify('{CHANNEL}', {_quoted(topic)});" for topic in sorted(topics))


def _quoted(text: str) -> str:
    """A literal, whatever `standard_conforming_strings` says (PostgreSQL's manual, 4.1.2.2)."""
    doubled = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{doubled}'"
