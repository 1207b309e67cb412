"""A loop that stands still ends its process, and only such a loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from benchmarks.runaway.household import household


async def test_a_blocked_loop_ends_its_process_and_says_where(ask, tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, ISOLATION="task", WATCHDOG="1.5") as wild:
        with pytest.raises(httpx.HTTPError):
            await ask(wild, "block", seconds=30)
        assert wild.process.wait(10) == 1
        said = wild.log.read_text()
    assert "Timeout (0:00:01.500000)!" in said
    assert "wild.py" in said
    assert "in block" in said


async def test_one_that_holds_the_interpreter_is_noticed_too(ask, tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, ISOLATION="task", WATCHDOG="1.5") as wild:
        with pytest.raises(httpx.HTTPError):
            await ask(wild, "regex", seconds=30)
        assert wild.process.wait(10) == 1


async def test_a_loop_that_turns_is_left_alone_however_long_its_work_takes(ask, tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, ISOLATION="task", WATCHDOG="1.5") as wild:
        slow = await asyncio.gather(*(ask(wild, "swallow", seconds=5) for _ in range(3)))
        assert {told.code for told in slow} == {"DEADLINE_EXCEEDED"}
        assert (await ask(wild, "well")).state == "COMPLETED"
        wild.process.terminate()
        assert wild.process.wait(10) != 1


async def test_nobody_watches_where_the_setting_is_zero(ask, tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, ISOLATION="task", WATCHDOG="0") as wild:
        with pytest.raises(httpx.ReadTimeout):
            await ask(wild, "block", patience=2)
        assert wild.process.poll() is None
        wild.process.kill()
