"""Nobody outlives whom they belong to: workers their nursery, the nursery its server, however each goes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from benchmarks.runaway.household import Household, gone_within, household, parents, title

#: Seconds until all must be gone; how fast they are is measured by `make runaway`.
SOON = 5.0


async def family(ask, wild: Household) -> tuple[int, list[int]]:
    """The nursery of a server that is busy with a runaway, and all workers."""
    busy = await ask(wild, "swallow", seconds=100, now=True)
    nursery = wild.nursery
    workers = [pid for pid, parent in parents().items() if parent == nursery]
    assert busy.pid in workers
    return nursery, workers


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_that_goes_leaves_nobody(ask, tmp_path: Path, how: signal.Signals) -> None:
    with household(tmp_path / "here", tools=False, GRACE="0.5") as wild:
        nursery, workers = await family(ask, wild)
        wild.process.send_signal(how)
        assert gone_within(SOON, wild.process.pid, nursery, *workers) == []


async def test_without_its_nursery_a_server_stops(ask, tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, GRACE="0.5") as wild:
        nursery, workers = await family(ask, wild)
        os.kill(nursery, signal.SIGKILL)
        assert gone_within(SOON, *workers) == []
        assert wild.process.wait(SOON) is not None
        assert "the nursery is gone" in wild.log.read_text()


async def test_a_server_that_is_refused_leaves_nobody(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="MESHWRIGHT_DATABASE"):
        with household(tmp_path / "here", tools=False, DATABASE="mysql://x"):
            pass
    orphans = [pid for pid in parents() if title(pid) == "meshwright nursery of wild"]
    assert gone_within(SOON, *(pid for pid in orphans if parents().get(pid) == 1)) == []
