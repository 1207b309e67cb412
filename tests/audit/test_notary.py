"""What is new gets a signature outside the database, soon; two who sign do no harm; and what rests costs nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshwright.audit import Entry, append
from meshwright.audit.anchor import Anchor
from meshwright.audit.inspection import inspect
from meshwright.audit.notary import Notary, notarized
from meshwright.audit.note import NOTE, Notesigner
from meshwright.audit.privacy import hold, keyed
from meshwright.cli.home import Home
from meshwright.cli.keys import ensure
from meshwright.database import Database, open_database
from meshwright.inbound.identity import load_identity, new_key
from meshwright.records.metrics import exposition
from meshwright.settings import Settings, SettingsError
from meshwright.testing.inprocess import lifespan_of
from orchestrator.server import orchestrator_app

SIGNER = Notesigner.from_jwk("meshwright/orchestrator/audit", new_key("orchestrator")[0])
KEYS = [SIGNER.verifier]


class Page(io.StringIO):
    """Standard output on which one can wait for a line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def write(self, text: str) -> int:
        if text.strip():
            self.lines.put_nowait(text)
        return len(text)

    async def size(self) -> int:
        async with asyncio.timeout(20):
            return int(json.loads(await self.lines.get())["size"])


class Counted:
    """A database that counts what it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def read(self, op: Any) -> Any:
        self.reads += 1
        return await self._database.read(op)


async def log(database: Database, count: int = 1) -> None:
    for number in range(count):
        await database.write(lambda tx, n=number: append(tx, Entry("gate.verdict", "orchestrator", {"n": n})))  # type: ignore[misc]


async def test_what_is_appended_is_signed_soon_and_also_what_was_there_before(
    database: Database, tmp_path: Path
) -> None:
    await log(database, 3)
    page, anchor = Page(), Anchor(tmp_path / "a")
    notary = Notary(database, SIGNER, anchor, 0.01, out=page)
    notary.start()
    assert await page.size() == 3
    await log(database)
    assert await page.size() == 4
    await notary.aclose()
    assert [each.size for each in anchor.read(KEYS).checkpoints] == [3, 4]
    assert (await inspect(database, anchor.read(KEYS), anchor)).clean


async def test_entries_of_another_process_are_signed_too(
    url: str, database: Database, tmp_path: Path
) -> None:
    page = Page()
    notary = Notary(database, SIGNER, Anchor(tmp_path / "a"), 0.01, out=page)
    notary.start()
    other = await open_database(url)
    await log(other)
    assert await page.size() == 1
    await notary.aclose()
    await other.close()


async def test_many_commits_do_not_wait_for_the_time(database: Database, tmp_path: Path) -> None:
    page = Page()
    notary = Notary(database, SIGNER, Anchor(tmp_path / "a"), 3600.0, many=5, out=page)
    notary.start()
    await log(database, 5)
    assert await page.size() == 5
    await notary.aclose()


async def test_commits_without_entries_are_not_looked_at(postgres: Callable[[], str], tmp_path: Path) -> None:
    """On PostgreSQL. On SQLite a commit does not say what it was, and there is one look at the head, `every` seconds later."""
    database = await open_database(postgres())
    page, counted = Page(), Counted(database)
    notary = Notary(counted, SIGNER, Anchor(tmp_path / "a"), 0.001, out=page)  # type: ignore[arg-type]
    notary.start()
    await log(database)
    await page.size()
    before = counted.reads
    for number in range(50):
        await database.execute(
            "INSERT INTO push_configs (task_id, id, body) VALUES (?, 'p', ?)", str(number), b""
        )
    assert counted.reads <= before + 1  # what it was woken for before the signature
    await notary.aclose()
    assert page.lines.empty()
    await database.close()


async def test_what_is_new_is_signed_when_the_process_stops(database: Database, tmp_path: Path) -> None:
    anchor = Anchor(tmp_path / "a")
    notary = Notary(database, SIGNER, anchor, 3600.0, out=Page())
    notary.start()
    await log(database, 7)
    await notary.aclose()
    assert [each.size for each in anchor.read(KEYS).checkpoints] == [7]


async def test_two_replicas_that_sign_into_one_file_contradict_each_other_in_nothing(
    url: str, tmp_path: Path
) -> None:
    doors = [await open_database(url) for _ in range(2)]
    anchor = Anchor(tmp_path / "a")
    notaries = [Notary(door, SIGNER, Anchor(tmp_path / "a"), 3600.0, out=Page()) for door in doors]

    async def work(door: Database, notary: Notary) -> None:
        for _ in range(10):
            await log(door, 3)
            await notary.sign()

    await asyncio.gather(*(work(*each) for each in zip(doors, notaries, strict=True)))
    first = NOTE.search(text := anchor.path.read_text())
    assert first is not None
    anchor.path.write_text(f"{text}{first[0]}\n")  # a tree that is smaller, and came later
    found = await inspect(doors[0], anchor.read(KEYS), anchor)
    assert found.clean
    assert found.signed == 60
    for door in doors:
        await door.close()


@pytest.mark.parametrize("cut", [1, 3, 20, 60, 100, 150])
async def test_a_note_that_a_crash_has_cut_off_breaks_nothing(cut: int, tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/log.db")
    anchor = Anchor(tmp_path / "a")
    await log(database, 2)
    await Notary(database, SIGNER, anchor, 3600.0, out=Page()).sign()
    await log(database, 2)
    await Notary(database, SIGNER, anchor, 3600.0, out=Page()).sign()
    text = anchor.path.read_bytes()
    anchor.path.write_bytes(text[:-cut])
    anchor.leaves.write_bytes(anchor.leaves.read_bytes()[:-7])
    await log(database, 2)
    await Notary(database, SIGNER, anchor, 3600.0, out=Page()).sign()
    kept = anchor.read(KEYS)
    found = await inspect(database, kept, anchor)
    assert found.clean, found.wrong
    assert (found.signed, kept.torn > 0) == (6, cut > 1)
    await database.close()


async def test_a_disk_that_takes_nothing_is_tried_again(database: Database, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    page, anchor = Page(), Anchor(tmp_path / "folder" / "a")
    notary = Notary(database, SIGNER, anchor, 0.01, out=page)
    await log(database)
    with pytest.raises(OSError, match="folder"):
        await notary.sign()
    notary.start()
    (tmp_path / "folder").unlink()
    assert await page.size() == 1
    await notary.aclose()


async def test_what_waits_for_its_checkpoint_is_seen_to_wait(database: Database, tmp_path: Path) -> None:
    notary = Notary(database, SIGNER, Anchor(tmp_path / "a"), 3600.0, out=Page())

    def lag() -> float:
        return next(s.value for s in notary.samples() if s.name == "meshwright_audit_lag_seconds")

    notary.start()
    assert lag() == 0
    await log(database)
    assert lag() > 0
    await notary.aclose()
    assert lag() == 0


async def test_a_log_that_was_changed_is_signed_no_more_and_the_metrics_say_so(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    anchor = Anchor(tmp_path / "a")
    await log(database, 2)
    await Notary(database, SIGNER, anchor, 3600.0, out=Page()).sign()
    kept = anchor.read(KEYS).checkpoints[0]
    anchor.path.write_text(SIGNER.note(kept.size, b"\7" * 32) + "\n")
    anchor.leaves.unlink()
    await log(database)
    notary = Notary(database, SIGNER, anchor, 3600.0, out=(page := Page()))
    notary.start()
    await notary.aclose()
    assert "NOT signed any more" in caplog.text
    assert page.lines.empty()
    assert "meshwright_audit_broken 1\n" in exposition([notary.samples])


async def test_the_orchestrator_signs_its_log_and_measures_it(url: str, tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    ensure(home, ["orchestrator"])
    settings = Settings(
        home=tmp_path,
        database=url,
        key=home.key("orchestrator"),
        trust=home.trust,
        audit_anchor=tmp_path / "anchor",
    )
    app = orchestrator_app(settings, load_identity("orchestrator", settings))
    async with lifespan_of(app):
        other = await open_database(url)
        await log(other, 3)
        await other.close()
    assert "\n3\n" in (tmp_path / "anchor").read_text()
    # what replicas have in common on PostgreSQL is their key; a SQLite file has a file beside it
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".secret")] or url.startswith("sqlite")


async def test_without_a_key_nothing_is_signed_and_this_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path)
    database = await open_database(settings.database_of("orchestrator"))
    async with notarized(database, "orchestrator", settings) as notary:
        assert notary is None
    assert "set MESHWRIGHT_AUDIT_KEY" in caplog.text
    assert sorted(name for name in os.listdir(tmp_path) if "audit" in name) == ["audit-orchestrator.secret"]
    await database.close()


@pytest.mark.parametrize(
    ("variable", "field"),
    [("MESHWRIGHT_AUDIT_KEY", "audit_key"), ("MESHWRIGHT_AUDIT_SECRET", "audit_secret")],
)
async def test_a_key_that_is_none_keeps_the_process_from_starting(
    variable: str, field: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("zz\n")
    settings = Settings.model_validate({"home": tmp_path, field: tmp_path / "wrong"})
    database = await open_database("memory:")
    with pytest.raises(SettingsError, match=variable):
        async with notarized(database, "orchestrator", settings):
            pass
    await database.close()


async def test_a_log_in_memory_leaves_no_files(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database="memory:")
    database = await open_database("memory:")
    async with notarized(database, "orchestrator", settings) as notary:
        await log(database)
        assert notary is None
    assert os.listdir(tmp_path) == []
    await database.close()


async def test_replicas_that_share_no_file_hash_the_same_value_alike(
    postgres: Callable[[], str], tmp_path: Path
) -> None:
    url = postgres()
    ensure(Home.at(tmp_path), ["orchestrator"])
    hashes = []
    for pod in ("one", "two"):
        settings = Settings(home=tmp_path / pod, database=url, key=Home.at(tmp_path).key("orchestrator"))
        database = await open_database(url)
        async with notarized(database, "orchestrator", settings):
            hashes.append(keyed("jana@example.com"))
        await database.close()
        hold(tmp_path / f"{pod}.secret")  # what is held here is no more what the other used
    assert hashes[0] == hashes[1] != keyed("jana@example.com")
