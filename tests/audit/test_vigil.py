"""The watch over a log in a process that runs: it goes on from where it held, and nothing that was done to the log escapes a full look."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meshwright.audit import Entry, append
from meshwright.audit.anchor import Anchor
from meshwright.audit.notary import Notary
from meshwright.audit.note import Notesigner
from meshwright.audit.vigil import AGAIN, FULL, Verified, Vigil
from meshwright.database import Database
from meshwright.inbound.identity import new_key


class Scene:
    """A log, who signs it, and who watches over it, with a clock in hand."""

    def __init__(self, url: str, database: Database, folder: Path) -> None:
        self.url, self.database, self.now = url, database, 1e9
        self.anchor = Anchor(folder / "log.checkpoints")
        signer = Notesigner.from_jwk("meshwright/orchestrator/audit", new_key("orchestrator")[0])
        self.notary = Notary(database, signer, self.anchor, 3600, out=io.StringIO())
        self.vigil = Vigil(database, self.notary, lambda: self.now)

    async def log(self, count: int, *, sign: bool = True) -> None:
        entries = [Entry("review.approve", "ann", {"n": number}) for number in range(count)]
        await self.database.write(lambda tx: append(tx, *entries))
        if sign:
            await self.notary.sign()

    async def look(self, *, full: bool = False) -> Verified:
        """What it finds when it looks now."""
        self.now += AGAIN + 1
        await self.vigil.look(full=full, within=30)
        assert self.vigil.verified is not None
        assert self.vigil.verified.at == self.now, "it has looked"
        return self.vigil.verified

    async def owner(self, *statements: str) -> None:
        """What the owner of the database does, without any trigger in the way."""
        if self.url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as file:
                triggers = file.execute(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                ).fetchall()
                for each in (*(f"DROP TRIGGER {name}" for name, _ in triggers), *statements):
                    file.execute(each)
                for _, sql in triggers:
                    file.execute(sql)
                file.commit()
            return
        import asyncpg

        session: Any = await asyncpg.connect(self.url)
        for table in ("audit_log", "audit_head"):
            await session.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for each in statements:
            await session.execute(each)
        for table in ("audit_log", "audit_head"):
            await session.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
        await session.close()


@pytest.fixture
async def scene(url: str, database: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(url, database, tmp_path)
    yield scene
    await scene.vigil.aclose()


async def test_it_reads_what_is_new_and_says_how_far_the_log_holds(scene: Scene) -> None:
    assert (await scene.look()).upto == 0
    await scene.log(5)
    found = await scene.look()
    assert (found.upto, found.ok, found.why) == (5, True, "")
    await scene.log(2, sign=False)
    found = await scene.look()
    assert (found.upto, found.ok, found.full) == (7, True, False)
    assert found.why == "the last 2 entries are newer than the last checkpoint: they are only chained"


async def test_it_looks_no_more_often_than_somebody_can_want_and_all_through_now_and_then(
    scene: Scene,
) -> None:
    await scene.log(3)
    first = await scene.look()
    assert first.full
    await scene.vigil.look(within=30)
    assert scene.vigil.verified is first
    assert not (await scene.look()).full
    scene.now += FULL
    assert (await scene.look()).full


async def test_an_old_entry_that_was_edited_shows_in_a_full_look_and_names_itself(scene: Scene) -> None:
    await scene.log(6)
    assert (await scene.look()).ok
    await scene.owner("UPDATE audit_log SET payload = '{}' WHERE seq = 2")
    found = await scene.look(full=True)
    assert (found.ok, found.upto) == (False, 1)
    assert found.why == "entry 2 was edited: it is not what was hashed"


async def test_the_last_that_held_is_compared_each_time(scene: Scene) -> None:
    await scene.log(6)
    assert (await scene.look()).ok
    await scene.owner("UPDATE audit_log SET hash = prev WHERE seq = 6")
    assert not (await scene.look()).ok


async def test_what_is_new_and_does_not_hold_is_found_without_a_full_look_asked_for(scene: Scene) -> None:
    await scene.log(4)
    assert (await scene.look()).ok
    await scene.log(3, sign=False)
    await scene.owner("UPDATE audit_log SET actor = 'bob' WHERE seq = 6")
    found = await scene.look()
    assert (found.ok, found.upto) == (False, 5)


async def test_an_end_that_was_cut_off_is_found(scene: Scene) -> None:
    await scene.log(6)
    assert (await scene.look()).ok
    await scene.owner(
        "DELETE FROM audit_log WHERE seq > 4",
        "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit_log WHERE seq = 4)",
    )
    found = await scene.look()
    assert not found.ok
    assert "the log ends at entry 4, and 6 were signed" in found.why


async def test_checkpoints_that_are_gone_are_missed_and_those_never_made_are_not(scene: Scene) -> None:
    await scene.log(3, sign=False)
    found = await scene.look()
    assert found.ok
    assert found.why.startswith("nothing of it is signed")
    await scene.notary.sign()
    assert (await scene.look()).why == ""
    scene.anchor.path.write_text("")
    found = await scene.look()
    assert not found.ok
    assert "no checkpoint is signed by a known key" in found.why


async def test_a_log_that_was_put_right_holds_again(scene: Scene) -> None:
    await scene.log(4)
    assert (await scene.look()).ok
    await scene.owner("UPDATE audit_log SET actor = 'eve' WHERE seq = 3")
    assert not (await scene.look(full=True)).ok
    await scene.owner("UPDATE audit_log SET actor = 'ann' WHERE seq = 3")
    assert (await scene.look(full=True)).ok


async def test_a_database_that_is_gone_leaves_what_was_found_and_says_so(scene: Scene) -> None:
    await scene.log(3)
    found = await scene.look()
    await scene.database.close()
    scene.now += AGAIN + 1
    await scene.vigil.look(within=30)
    assert scene.vigil.verified is found
    assert "could not be read" in scene.vigil.trouble
