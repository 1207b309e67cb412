"""On PostgreSQL a process can work with a role that may append, and nothing else: what `docs/audit.md` advises."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from meshwright.audit import Entry, append
from meshwright.audit.inspection import inspect
from meshwright.database import Database, open_database
from meshwright.database.door import connect

DOCUMENT = Path(__file__).parents[2] / "docs" / "audit.md"


@pytest.fixture
async def url(postgres: Callable[[], str]) -> AsyncIterator[str]:
    """A database whose owner has given a role `mesh` the rights that the document lists."""
    url = postgres()
    await (await open_database(url)).close()
    found = re.search(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    owner = await asyncpg.connect(url)
    await owner.execute("DROP ROLE IF EXISTS mesh")
    await owner.execute(found[1])
    yield url
    await owner.execute("DROP OWNED BY mesh; DROP ROLE mesh")
    await owner.close()


class Restricted:
    """A connection as the role `mesh`."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self, sql: str) -> Any:
        session = await asyncpg.connect(self._url, server_settings={"role": "mesh"})
        try:
            return await session.execute(sql)
        finally:
            await session.close()


async def as_mesh(url: str) -> Database:
    return await connect(
        f"{url}&options=-c%20role%3Dmesh" if "?" in url else f"{url}?options=-c%20role%3Dmesh"
    )


async def test_such_a_role_can_append_and_read(url: str) -> None:
    database = await as_mesh(url)
    assert (await database.execute("SELECT current_user AS me"))[0]["me"] == "mesh"
    for number in range(3):
        await database.write(
            lambda tx, n=number: append(
                tx, Entry("gate.verdict", "o", {"n": n}, once=f"n{n}"), Entry("x", "o", {})
            )  # type: ignore[misc]
        )
    found = await inspect(database, None)
    assert (found.clean, found.entries) == (True, 6)
    await database.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_log SET payload = '{}'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_head SET seq = 0",
        "UPDATE audit_head SET id = 1",
        "DELETE FROM audit_head",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_log_continues ON audit_log",
        "DROP TABLE audit_log",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION audit_deny() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TEMP TABLE audit_head (id INT, seq BIGINT, hash BYTEA);"
        "INSERT INTO audit_head VALUES (1, 0, decode(repeat('00', 32), 'hex'));"
        "INSERT INTO public.audit_log VALUES (1, 1, 'x', 'x', '', '', '', '{}', decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex'))",
    ],
)
async def test_it_can_do_nothing_else(url: str, sql: str) -> None:
    database = await open_database(url)
    await database.write(lambda tx: append(tx, Entry("gate.verdict", "o", {})))
    with pytest.raises(
        asyncpg.PostgresError, match=r"permission denied|must be owner|append-only|must continue"
    ):
        await Restricted(url).run(sql)
    found = await inspect(database, None)
    assert (found.clean, found.entries) == (True, 1)
    await database.close()
