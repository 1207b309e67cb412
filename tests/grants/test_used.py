"""Single use in the tool server's own transaction, whatever database that is on: SQLite's file, or a PostgreSQL reached as DB-API does."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest
from pydantic import BaseModel

from meshwright.deadline import Deadline
from meshwright.errors import DeadlineExceeded, Forbidden, ToolRefused
from meshwright.grants.grant import Grant
from meshwright.grants.used import TABLE, Kept, once
from meshwright.toolserver import Call

BOX = {"thing": "box"}


class Painted(BaseModel):
    colour: str


def call(
    *, key: str = "key-1", jti: str = "grant-one", seconds: float = 30, exp: int = 30, **sent: Any
) -> Call:
    now = int(time.time())
    stamp = {"jti": jti, "iss": "gate", "aud": "own", "iat": now - 60 + exp, "exp": now + exp}
    grant = Grant.of("paint", {**BOX, **sent}, key=key).model_copy(update=stamp)
    return Call("gate", Deadline.after(seconds), key, grant=grant)


class Own(Protocol):
    """A tool server's own database: connections with `execute`, and how its SQL marks a value."""

    mark: str

    def transaction(self) -> Any: ...


class OwnSqlite:
    mark = "?"

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=20)
        try:
            with db:
                yield db
        finally:
            db.close()


class OwnPostgres:
    """What psycopg's connection is to its user, over the driver that is here."""

    mark = "%s"

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def transaction(self) -> Iterator[OwnPostgres._Connection]:
        loop = asyncio.new_event_loop()
        connection = loop.run_until_complete(asyncpg.connect(self._url))
        transaction = connection.transaction()
        try:
            loop.run_until_complete(transaction.start())
            try:
                yield self._Connection(loop, connection)
            except BaseException:
                loop.run_until_complete(transaction.rollback())
                raise
            loop.run_until_complete(transaction.commit())
        finally:
            loop.run_until_complete(connection.close())
            loop.close()

    class _Connection:
        def __init__(self, loop: asyncio.AbstractEventLoop, connection: Any) -> None:
            self._loop, self._connection = loop, connection

        def execute(self, sql: str, parameters: Any = (), /) -> OwnPostgres._Cursor:
            numbers = iter(range(1, 100))
            numbered = re.sub("%s", lambda _: f"${next(numbers)}", sql)

            async def run() -> tuple[list[Any], int]:
                statement = await self._connection.prepare(numbered)
                rows = await statement.fetch(*parameters)
                last = statement.get_statusmsg().split()[-1]
                return rows, int(last) if last.isdigit() else -1

            return OwnPostgres._Cursor(*self._loop.run_until_complete(run()))

    class _Cursor:
        def __init__(self, rows: list[Any], rowcount: int) -> None:
            self._rows, self.rowcount = rows, rowcount

        def fetchone(self) -> Any:
            return self._rows[0] if self._rows else None


@pytest.fixture(params=["sqlite", "postgres"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Own:
    made: Own
    if request.param == "sqlite":
        made = OwnSqlite(tmp_path / "own.db")
    else:
        fresh: Callable[[], str] = request.getfixturevalue("postgres")
        made = OwnPostgres(fresh())
    with made.transaction() as db:
        db.execute(TABLE)
        db.execute("CREATE TABLE painted (colour TEXT NOT NULL)")
    return made


def paint(own: Own, what: Call, colour: str = "red", refusal: str = "") -> Kept:
    """A write tool of somebody else, as the documentation says to write one."""
    with own.transaction() as db:

        def work() -> Painted:
            db.execute(f"INSERT INTO painted VALUES ({own.mark})", (colour,))
            if refusal:
                raise ToolRefused(refusal)
            return Painted(colour=colour)

        return once(db, what, work, mark=own.mark)


def painted(own: Own) -> int:
    with own.transaction() as db:
        return int(db.execute("SELECT count(*) FROM painted").fetchone()[0])


def test_the_same_key_gives_the_first_result_again_under_any_grant(own: Own) -> None:
    assert paint(own, call()).answer() == {"colour": "red"}
    for again in (call(), call(jti="grant-two"), call(jti="grant-six", exp=-20), call(seconds=-1)):
        assert paint(own, again, "blue").answer() == {"colour": "red", "replayed": True}
    assert painted(own) == 1


def test_a_refusal_undoes_what_was_done_and_is_the_end_of_the_key(own: Own) -> None:
    for what, refusal in ((call(), "wet"), (call(), ""), (call(jti="grant-two"), "")):
        with pytest.raises(ToolRefused, match="wet"):
            paint(own, what, refusal=refusal).answer()
    assert painted(own) == 0


def test_an_error_leaves_the_key_free(own: Own) -> None:
    def breaks() -> Painted:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), own.transaction() as db:
        once(db, call(), breaks, mark=own.mark)
    assert paint(own, call()).answer() == {"colour": "red"}


def test_a_grant_that_ran_out_while_it_waited_has_no_effect(own: Own) -> None:
    with pytest.raises(Forbidden, match="has expired"):
        paint(own, call(exp=-20))
    with pytest.raises(DeadlineExceeded):
        paint(own, call(seconds=-1))
    with pytest.raises(Forbidden, match="needs a grant"):
        paint(own, Call("gate", Deadline.after(30), "key-1"))
    assert painted(own) == 0
    assert not paint(own, call()).replayed


def test_a_grant_is_good_for_one_key_and_a_key_for_one_wish(own: Own) -> None:
    paint(own, call())
    with pytest.raises(Forbidden, match="used for another key"):
        paint(own, call(key="key-2"))
    with pytest.raises(ToolRefused, match="already stands for another write"):
        paint(own, call(jti="grant-two", coats=2))
    assert painted(own) == 1


def test_of_many_at_once_one_has_the_effect_and_all_have_its_result(own: Own) -> None:
    kept: list[Kept] = []
    together = threading.Barrier(6)

    def one(number: int) -> None:
        together.wait(20)
        kept.append(paint(own, call(jti=f"grant-number-{number % 2}"), f"colour {number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(each.replayed for each in kept) == [False] + [True] * 5
    assert len({each.result["colour"] for each in kept}) == 1
    assert painted(own) == 1
