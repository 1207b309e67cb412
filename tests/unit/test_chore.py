"""A chore goes on for as long as its process does, whatever happens in it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from meshwright.chore import Chore


class Work:
    """Breaks at the first times, and goes on then."""

    def __init__(self, breaks: int) -> None:
        self.begun = 0
        self._breaks = breaks
        self.goes_on = asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        if self.begun <= self._breaks:
            raise LookupError("a bug")
        self.goes_on.set()
        await asyncio.Event().wait()


async def test_what_breaks_is_told_and_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(breaks=2)
    chore = Chore("the work", work, pause=0.0)
    chore.start()
    async with asyncio.timeout(10):
        await work.goes_on.wait()
    await chore.stop()
    told = [(each.levelno, each.message) for each in caplog.records]
    assert told == [(logging.CRITICAL, "the work stopped; it begins again")] * 2
    assert work.begun == 3


async def test_what_is_stopped_does_not_begin_again() -> None:
    work = Work(breaks=1)
    chore = Chore("the work", work, pause=0.0)
    chore.start()
    while not work.begun:
        await asyncio.sleep(0)
    await chore.stop()
    for _ in range(20):
        await asyncio.sleep(0)
    assert work.begun == 1


async def test_what_was_never_started_has_stopped() -> None:
    await Chore("the work", Work(breaks=0)).stop()
