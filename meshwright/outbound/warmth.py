"""A start that has gone every way once before it says that it is ready: connections open, tools learnt, imports done.

For a while only. Readiness never fails because somebody else is down, so what cannot be warmed in time is left cold.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from meshwright.deadline import Deadline
from meshwright.errors import MeshError

if TYPE_CHECKING:
    from meshwright.inbound.health import Readiness

log = logging.getLogger(__name__)

#: What readiness waits for meanwhile.
NAME = "warm"
#: Seconds between two tries of a way: the first, and the longest.
PAUSE, LONGEST_PAUSE = 0.1, 1.0

Way = Callable[[Deadline], Awaitable[object]]


@asynccontextmanager
async def warming(readiness: Readiness, seconds: float, *ways: Way) -> AsyncIterator[None]:
    """Around the life of a server: it is not ready before each of `ways` was gone, or `seconds` have passed; 0 does nothing.

    A way changes nothing. It raises a MeshError where it cannot be gone yet, and is tried again.
    """
    if not seconds:
        yield
        return
    readiness.waits(NAME, "starting")
    work = asyncio.create_task(_warm(readiness, Deadline.after(seconds), ways))
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait({work})


async def _warm(readiness: Readiness, by: Deadline, ways: tuple[Way, ...]) -> None:
    await asyncio.gather(*(_gone(way, by) for way in ways))
    readiness.done(NAME)


async def _gone(way: Way, by: Deadline) -> None:
    pause, why = PAUSE, ""
    while not by.expired:
        try:
            async with asyncio.timeout(by.remaining):
                await way(by)
                return
        except (MeshError, TimeoutError) as error:
            why = str(error) or why
        await asyncio.sleep(min(pause, max(by.remaining, 0)))
        pause = min(2 * pause, LONGEST_PAUSE)
    log.warning("ready without being warm: %s", why)
