"""Coroutines that are begun at once, and errands that outlive whoever sent for them."""

from __future__ import annotations

import asyncio

import pytest

from meshwright.begun import Begun
from meshwright.tasks.errand import Errands


async def test_what_need_not_wait_is_done_at_once() -> None:
    async def quick() -> int:
        return 7

    begun = Begun(quick())
    assert not begun.waits
    assert begun.result == 7
    assert await begun == 7


async def test_what_has_to_wait_goes_on_where_it_is_awaited() -> None:
    gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    seen: list[asyncio.Task[object] | None] = []

    async def slow() -> int:
        first = await gate
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        return first + 1

    async def rest(begun: Begun[int]) -> int:
        return await begun

    begun = Begun(slow())
    assert begun.waits
    other = asyncio.create_task(rest(begun))
    gate.set_result(1)
    assert await other == 2
    assert seen == [other]


async def test_an_error_comes_out_at_once_or_later_as_it_happens() -> None:
    async def wrong(after: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        Begun(wrong(0))
    begun = Begun(wrong(2))
    with pytest.raises(LookupError, match="lost"):
        await begun


async def test_a_cancellation_reaches_what_was_begun() -> None:
    told: list[str] = []

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise
        return "never"

    async def rest(begun: Begun[str]) -> str:
        return await begun

    waiting = asyncio.create_task(rest(Begun(stubborn())))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert told == ["cancelled"]


async def test_an_errand_is_finished_though_whoever_sent_for_it_goes_away() -> None:
    errands, gate = Errands(), asyncio.Event()
    done: list[str] = []

    async def errand() -> None:
        await gate.wait()
        done.append("stored")

    waiting = asyncio.create_task(errands.run(errand()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    async with asyncio.timeout(10):
        await errands.all_done()
    assert done == ["stored"]
