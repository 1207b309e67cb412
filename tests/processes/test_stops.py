"""A process that is asked to stop stops, and has nothing to complain about."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from meshwright.database.migrations import LOCK

ROOT = Path(__file__).parents[2]


def started(home: Path, **settings: str) -> subprocess.Popen[str]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'agents'}",
        "MESHWRIGHT_HOME": str(home),
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "advisor"], env=environment, cwd=home, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_asked_to_stop_leaves_no_traceback(tmp_path: Path, asked: signal.Signals) -> None:
    process = started(tmp_path)
    assert process.stderr is not None
    said = ""
    while "startup complete" not in said:
        said = process.stderr.readline()
        assert said, "it has ended"
    process.send_signal(asked)
    _, words = process.communicate(timeout=60)
    assert "Finished server process" in words
    assert "Traceback" not in words


async def test_a_process_that_waits_for_the_upgrade_of_another_stops_when_it_is_asked_to(
    tmp_path: Path, postgres: Callable[[], str]
) -> None:
    other = await asyncpg.connect(url := postgres())
    await other.execute(f"SELECT pg_advisory_lock({LOCK})")
    process = started(tmp_path, MESHWRIGHT_DATABASE=url)
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not await other.fetchval(waits):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, words = await asyncio.to_thread(process.communicate, timeout=30)
    await other.close()
    assert "Finished server process" in words
    assert "Traceback" not in words
