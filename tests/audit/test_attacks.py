"""Everything that the owner of the database can do to the log is found, and the first entry that is wrong is named.

The owner takes the triggers away first. What chain alone cannot show (the end cut off, all hashed anew) the signed checkpoints do.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meshwright.audit import Entry, append
from meshwright.audit.anchor import Anchor, Kept, line_of
from meshwright.audit.inspection import Inspection, inspect
from meshwright.audit.log import COLUMNS, GENESIS, entry_hash
from meshwright.audit.notary import Notary
from meshwright.audit.note import NOTE, Notesigner, Verifier, verifier_of
from meshwright.database import Database, open_database
from meshwright.inbound.identity import new_key

Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

NAMES = COLUMNS.split(", ")
#: After how many entries there is a checkpoint, and how many entries there are.
SIGNED, ALL = (8, 16, 24), 28


class Owner:
    """Who owns the database: no trigger, no constraint, plain SQL."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Owner:
        if self.url.startswith("sqlite"):
            self._file = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
            self._triggers = await self.run("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            for name, _ in self._triggers:
                await self.run(f"DROP TRIGGER {name}")
        else:
            import asyncpg

            self._session: Any = await asyncpg.connect(self.url)
            await self._alter("DISABLE TRIGGER ALL")
        return self

    async def __aexit__(self, *_: object) -> None:
        """As if nobody had been here."""
        if self.url.startswith("sqlite"):
            for _, sql in self._triggers:
                with contextlib.suppress(sqlite3.OperationalError):  # a table is gone
                    await self.run(sql)
            self._file.close()
        else:
            await self._alter("ENABLE TRIGGER ALL")
            await self._session.close()

    async def _alter(self, how: str) -> None:
        for table in ("audit_log", "audit_head"):
            await self._session.execute(f"ALTER TABLE IF EXISTS {table} {how}")

    async def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        if self.url.startswith("sqlite"):
            return self._file.execute(sql, values).fetchall()
        for number in range(len(values)):
            sql = sql.replace("?", f"${number + 1}", 1)
        return [tuple(row) for row in await self._session.fetch(sql, *values)]

    async def rows(self) -> list[dict[str, Any]]:
        found = await self.run(f"SELECT {COLUMNS} FROM audit_log ORDER BY seq")
        return [dict(zip(NAMES, row, strict=True)) for row in found]

    async def put(self, rows: list[dict[str, Any]], *, head: bool = True) -> None:
        """Make the log exactly these rows, and the head point to the last of them."""
        await self.run("BEGIN")
        await self.run("DELETE FROM audit_log")
        for row in rows:
            marks = ", ".join("?" * len(NAMES))
            await self.run(
                f"INSERT INTO audit_log ({COLUMNS}) VALUES ({marks})", *(row[name] for name in NAMES)
            )
        if head:
            last = rows[-1]
            await self.run("UPDATE audit_head SET seq = ?, hash = ?", last["seq"], last["hash"])
        await self.run("COMMIT")


def chained(rows: list[dict[str, Any]], start: int = 0) -> list[dict[str, Any]]:
    """Number and hash the rows from `start` on anew, as the log itself would have."""
    for at in range(start, len(rows)):
        row = rows[at] = dict(rows[at])
        row["seq"], row["prev"] = at + 1, rows[at - 1]["hash"] if at else GENESIS
        rehash(row)
    return rows


def rehash(row: dict[str, Any]) -> None:
    texts = [row[name] for name in NAMES[2:8]]
    row["hash"] = entry_hash(row["prev"], row["seq"], row["at"], *texts)


@dataclass
class Scene:
    """A log of 28 entries with checkpoints after 8, 16 and 24 of them, and what `verify` says of it."""

    url: str
    database: Database
    anchor: Anchor
    private: dict[str, Any]
    keys: list[Verifier] = field(default_factory=list)

    async def log(self, start: int, end: int) -> None:
        for number in range(start, end):
            await self.database.write(lambda tx, n=number: append(tx, entry(n)))  # type: ignore[misc]

    def notary(self, private: dict[str, Any] | None = None, anchor: Anchor | None = None) -> Notary:
        signer = Notesigner.from_jwk("meshwright/orchestrator/audit", private or self.private)
        return Notary(self.database, signer, anchor or self.anchor, 3600.0)

    async def verify(self) -> Inspection:
        try:
            kept = self.anchor.read(self.keys)
        except FileNotFoundError:
            kept = Kept()
        return await inspect(self.database, kept, self.anchor)

    async def after(self, attack: Change, *, chain_only: bool = False) -> tuple[str, int] | None:
        """The kind and the entry that are named after an attack, which is then undone."""
        async with Owner(self.url) as owner:
            before = await owner.rows()
            await owner.put(attack(list(before)))
            found = await (inspect(self.database, None) if chain_only else self.verify())
            await owner.put(before)
        assert found.clean == (found.fault is None)
        return (found.fault.kind, found.fault.seq) if found.fault else None


def entry(number: int) -> Entry:
    return Entry(
        "gate.verdict", "orchestrator", {"amount": number * 100}, run=f"r{number % 3}", action=f"a{number}"
    )


@pytest.fixture
async def scene(url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    database = await open_database(url)
    private, public = new_key("orchestrator")
    keys = [verifier_of("orchestrator", json.dumps(public))]
    scene = Scene(url, database, Anchor(tmp_path / "anchor" / "log.checkpoints"), private, keys)
    notary = scene.notary()
    for start, end in zip((0, *SIGNED), SIGNED, strict=False):
        await scene.log(start, end)
        assert await notary.sign() == end
    await scene.log(SIGNED[-1], ALL)
    assert (await scene.verify()).clean
    yield scene
    await database.close()


def edit(rows: list[dict[str, Any]], at: int) -> dict[str, Any]:
    rows[at - 1] = {**rows[at - 1], "payload": '{"amount":1}'}
    return rows[at - 1]


def edited(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    edit(rows, 11)
    return rows


def edited_in_its_hash(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[10] = {**rows[10], "hash": b"\1" * 32}
    return rows


def edited_in_its_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[10] = {**rows[10], "at": rows[10]["at"] + 1e-6}
    return rows


def edited_and_hashed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rehash(edit(rows, 11))
    return rows


def edited_and_some_chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chained anew up to entry 14, where it stops fitting."""
    edit(rows, 11)
    return chained(rows[:14], 10) + rows[14:]


def edited_and_all_chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    edit(rows, 11)
    return chained(rows, 10)


def written_anew(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    edit(rows, 1)
    return chained(rows)


def deleted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[:10] + rows[12:]


def deleted_and_numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[:10] + [{**row, "seq": row["seq"] - 2} for row in rows[12:]]


def deleted_and_chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return chained(rows[:10] + rows[12:], 10)


def first_deleted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[1:]


def inserted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    forged = {**rows[10], "payload": '{"amount":1}'}
    return [*rows[:10], forged, *({**row, "seq": row["seq"] + 1} for row in rows[10:])]


def inserted_and_hashed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = inserted(rows)
    rehash(rows[10])
    return rows


def inserted_and_chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return chained(inserted(rows), 10)


def inserted_before_all(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**rows[0], "seq": 0}, *rows]


def swapped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[10], rows[11] = {**rows[11], "seq": 11}, {**rows[10], "seq": 12}
    return rows


def swapped_far(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[10], rows[25] = {**rows[25], "seq": 11}, {**rows[10], "seq": 26}
    return rows


def swapped_and_chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[10], rows[11] = rows[11], rows[10]
    return chained(rows, 10)


def cut(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[:20]


def cut_and_grown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return chained(rows[:20] + [{**row, "action": "other"} for row in rows[20:]], 20)


def emptied_but_one(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[:1]


ATTACKS: list[tuple[Change, str, int]] = [
    (edited, "edited", 11),
    (edited_in_its_hash, "edited", 11),
    (edited_in_its_time, "edited", 11),
    (edited_and_hashed, "edited", 11),
    (edited_and_some_chained, "rewritten", 11),
    (edited_and_all_chained, "rewritten", 11),
    (written_anew, "rewritten", 1),
    (deleted, "deleted", 11),
    (deleted_and_numbered, "deleted", 11),
    (deleted_and_chained, "rewritten", 11),
    (first_deleted, "deleted", 1),
    (inserted, "inserted", 11),
    (inserted_and_hashed, "inserted", 11),
    (inserted_and_chained, "rewritten", 11),
    (inserted_before_all, "inserted", 0),
    (swapped, "reordered", 11),
    (swapped_far, "reordered", 11),
    (swapped_and_chained, "rewritten", 11),
    (cut, "truncated", 21),
    (cut_and_grown, "rewritten", 21),
    (emptied_but_one, "truncated", 2),
]


async def test_what_the_owner_does_is_found_at_its_first_entry(scene: Scene) -> None:
    found = {attack.__name__: await scene.after(attack) for attack, _, _ in ATTACKS}
    assert found == {attack.__name__: (kind, seq) for attack, kind, seq in ATTACKS}


async def test_without_the_hashes_beside_the_anchor_it_is_found_all_the_same(scene: Scene) -> None:
    """A root alone says between which two checkpoints; what broke the chain is named as exactly as before."""
    scene.anchor.leaves.unlink()
    expected = {attack.__name__: (kind, seq) for attack, kind, seq in ATTACKS}
    for attack in (edited_and_all_chained, deleted_and_chained, inserted_and_chained, swapped_and_chained):
        expected[attack.__name__] = ("rewritten", 9)
    expected["cut_and_grown"] = ("rewritten", 17)
    expected["edited_and_some_chained"] = (
        "edited",
        14,
    )  # here the chain breaks, before the checkpoint after 16
    assert {attack.__name__: await scene.after(attack) for attack, _, _ in ATTACKS} == expected


async def test_the_chain_alone_does_not_show_what_was_chained_anew(scene: Scene) -> None:
    """Why there are checkpoints."""
    for attack in (edited_and_all_chained, written_anew, cut, cut_and_grown, swapped_and_chained):
        assert await scene.after(attack, chain_only=True) is None
        assert await scene.after(attack) is not None


async def test_an_end_that_is_missing_and_was_not_signed_yet_shows_at_the_head(scene: Scene) -> None:
    async with Owner(scene.url) as owner:
        await owner.put((await owner.rows())[:26], head=False)
    found = await scene.verify()
    assert found.fault is not None
    assert (found.fault.kind, found.fault.seq) == ("truncated", 27)


async def test_an_end_that_was_not_signed_yet_can_be_taken_with_the_head_and_this_is_said(
    scene: Scene,
) -> None:
    before = await scene.verify()
    assert "4 entries are newer than the last checkpoint" in " ".join(before.notes)
    async with Owner(scene.url) as owner:
        await owner.put((await owner.rows())[:26])
    assert (await scene.verify()).clean


async def test_a_head_that_was_moved_is_found(scene: Scene) -> None:
    async with Owner(scene.url) as owner:
        await owner.run("UPDATE audit_head SET seq = 20")
    assert not (await scene.verify()).clean


async def test_a_row_beyond_the_end_is_found(scene: Scene) -> None:
    async with Owner(scene.url) as owner:
        rows = await owner.rows()
        await owner.put(chained([*rows, rows[0]], ALL), head=False)
    found = await scene.verify()
    assert found.fault is not None
    assert (found.fault.kind, found.fault.seq) == ("inserted", ALL + 1)


async def test_a_log_that_was_dropped_is_found(scene: Scene) -> None:
    async with Owner(scene.url) as owner:
        await owner.run("DROP TABLE audit_log")
    assert not (await scene.verify()).clean


async def test_what_is_not_even_of_the_right_type_is_an_edit(scene: Scene) -> None:
    if not scene.url.startswith("sqlite"):
        pytest.skip("PostgreSQL keeps types")
    async with Owner(scene.url) as owner:
        await owner.run("UPDATE audit_log SET payload = x'00ff', at = 'soon' WHERE seq = 5")
    found = await scene.verify()
    assert found.fault is not None
    assert (found.fault.kind, found.fault.seq) == ("edited", 5)


async def test_an_older_copy_of_the_file_is_found_also_when_it_has_grown_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    private, public = new_key("orchestrator")
    keys = [verifier_of("orchestrator", json.dumps(public))]
    database = await open_database(url)
    scene = Scene(url, database, Anchor(tmp_path / "log.checkpoints"), private, keys)
    await scene.log(0, 10)
    await database.close()
    shutil.copy(tmp_path / "log.db", tmp_path / "older.db")
    scene.database = await open_database(url)
    await scene.log(10, 20)
    await scene.notary().sign()
    await scene.database.close()
    shutil.copy(tmp_path / "older.db", tmp_path / "log.db")
    scene.database = await open_database(url)
    found = await scene.verify()
    assert found.fault is not None
    assert (found.fault.kind, found.fault.seq) == ("truncated", 11)
    await scene.log(30, 50)
    found = await scene.verify()
    assert found.fault is not None
    assert (found.fault.kind, found.fault.seq) == ("rewritten", 11)
    await scene.database.close()


async def test_without_an_anchor_nothing_is_proved_and_this_is_said(scene: Scene) -> None:
    scene.anchor.path.unlink()
    found = await scene.verify()
    assert found.fault is None
    assert not found.clean
    assert "the chain alone proves nothing about its end" in found.wrong[0]


async def test_an_edited_note_is_not_believed(scene: Scene) -> None:
    text = scene.anchor.path.read_text()
    scene.anchor.path.write_text(text.replace("\n24\n", "\n20\n"))
    async with Owner(scene.url) as owner:
        await owner.put((await owner.rows())[:20])
    found = await scene.verify()
    assert not found.clean
    assert "note 3 of log.checkpoints is not to be believed: its signature is wrong" in found.wrong[0]


async def test_what_is_added_to_an_anchor_takes_nothing_out_of_it(scene: Scene) -> None:
    """An anchor that can only be appended to, and somebody who does: the first checkpoint again, in the other form that is read."""
    [first, *_] = NOTE.finditer(scene.anchor.path.read_text())
    with scene.anchor.path.open("a") as file:
        file.write(line_of(first[0], SIGNED[0]) + "\n")
    async with Owner(scene.url) as owner:
        await owner.put((await owner.rows())[: SIGNED[0]])
    found = await scene.verify()
    assert found.fault is not None
    assert found.fault.kind == "truncated"
    with pytest.raises(Exception, match="24 were signed"):
        await scene.notary().sign()


async def test_a_checkpoint_by_another_key_is_not_believed(scene: Scene) -> None:
    """The owner writes all anew and signs it, with a key of their own, under our name."""
    async with Owner(scene.url) as owner:
        await owner.put(written_anew(await owner.rows()))
    forged, _ = new_key("orchestrator")
    scene.anchor.path.unlink()
    scene.anchor.leaves.unlink()
    await scene.notary(forged).sign()
    found = await scene.verify()
    assert found.signed == 0
    assert not found.clean
    assert "it is signed by no key that is known" in found.wrong[0]


async def test_whoever_signs_stops_when_the_log_no_longer_continues_what_was_signed(scene: Scene) -> None:
    running = scene.notary()
    await running.sign()
    async with Owner(scene.url) as owner:
        await owner.put(cut_and_grown(await owner.rows()))
    await scene.log(50, 52)
    for notary in (running, scene.notary()):
        with pytest.raises(Exception, match=r"does not continue|not those that were signed"):
            await notary.sign()
    scene.anchor.leaves.unlink()
    with pytest.raises(Exception, match="not those that were signed"):
        await scene.notary().sign()
    async with Owner(scene.url) as owner:
        await owner.put((await owner.rows())[:5])
    with pytest.raises(Exception, match=r"5 entries, and .* were signed"):
        await scene.notary().sign()
