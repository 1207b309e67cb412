"""One transaction on SQLite: statements on the thread of whoever holds the connection, one after the other."""

from __future__ import annotations

import sqlite3
from typing import Any

from meshwright.database.door import AFTER_THE_END, READING, Endings, Finish, Row, Statement, Value


class SqliteTransaction:
    """Statements on the connection that holds the transaction. Nothing here ever suspends."""

    skip_locked = ""
    limit: float | None = None  # nobody is on the way who could be waited for

    def __init__(self, cursor: sqlite3.Cursor, *, reads: bool = False) -> None:
        self._cursor, self._reads = cursor, reads
        self.endings = Endings()
        self.topics: set[str] = set()
        self.concluded = False

    async def execute(self, sql: str, *values: Value) -> list[Row]:
        if self.concluded:
            raise RuntimeError(AFTER_THE_END)
        return self._cursor.execute(sql, values).fetchall()

    async def conclude(self, first: Statement, *then: Statement, wake: str | None = None) -> bool:
        if self.concluded:
            raise RuntimeError(AFTER_THE_END)
        if not self._cursor.execute(*first).rowcount:
            return False
        for statement in then:
            self._cursor.execute(*statement)
        if wake is not None:
            self.topics.add(wake)
        self.concluded = True
        return True

    def wake(self, topic: str) -> None:
        if self.concluded:
            raise RuntimeError(AFTER_THE_END)
        self.topics.add(topic)

    def at_last(self, finish: Finish, *what: Any) -> None:
        if self.concluded or self._reads:
            raise RuntimeError(READING if self._reads else AFTER_THE_END)
        self.endings.add(finish, what)
