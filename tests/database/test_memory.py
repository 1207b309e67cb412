"""A database in memory: one of its own for each that is opened, and as whole as one in a file."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.database import Database, open_database

KEEP = "INSERT INTO push_configs (task_id, id, body) VALUES (?, ?, ?)"


async def kept(database: Database) -> list[str]:
    return [row["id"] for row in await database.execute("SELECT id FROM push_configs ORDER BY id")]


async def test_each_is_its_own() -> None:
    one, two = await open_database("memory:"), await open_database("memory:")
    await one.execute(KEEP, "t", "c", b"")
    assert (await kept(one), await kept(two)) == (["c"], [])
    await one.close()
    again = await open_database("memory:")
    assert await kept(again) == []
    await two.close()
    await again.close()


async def test_what_fails_leaves_nothing_however_many_pages_it_has_changed() -> None:
    database = await open_database("memory:")

    async def fill(tx: Any) -> None:
        for number in range(2_000):
            await tx.execute(KEEP, f"t{number}", "c", b"x" * 2_000)
        await tx.execute(KEEP, "t0", "c", b"")

    await database.execute(KEEP, "first", "c", b"")
    with pytest.raises(database.refusals):
        await database.write(fill)
    assert await kept(database) == ["c"]
    await database.close()


async def test_one_that_fails_takes_nothing_of_the_others_with_it() -> None:
    database = await open_database("memory:")
    for number in range(50):
        await database.execute(KEEP, f"t{number}", "c", b"x")
        with pytest.raises(database.refusals):
            await database.execute(KEEP, f"t{number}", "c", b"again")

        async def half(tx: Any, number: int = number) -> None:
            await tx.execute(KEEP, f"t{number}", "d", b"")
            raise LookupError

        with pytest.raises(LookupError):
            await database.write(half)
    assert await kept(database) == ["c"] * 50
    await database.close()
