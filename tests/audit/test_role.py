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
from meshwright.database import open_database
from meshwright.database.door import connect
from meshwright.settings import SettingsError

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


def mesh_of(url: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}options=-c%20role%3Dmesh"


async def test_such_a_role_can_append_and_read(url: str) -> None:
    database = await connect(mesh_of(url))
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


async def test_such_a_role_may_use_what_a_later_upgrade_adds_and_no_process_starts_where_it_may_not(
    url: str,
) -> None:
    owner = await connect(url)
    await owner.execute("CREATE TABLE later (id BIGINT PRIMARY KEY)")
    await Restricted(url).run("INSERT INTO later (id) VALUES (1)")
    await (await open_database(mesh_of(url))).close()
    await owner.execute("REVOKE ALL ON notebooks, decisions FROM mesh")
    with pytest.raises(SettingsError, match="may not use decisions, notebooks"):
        await open_database(mesh_of(url))
    await owner.close()


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
