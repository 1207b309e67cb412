"""Giving up on a peer: it is told to stop, and nobody waits for that.

Who gives up in the first milliseconds does not know yet which task to cancel. So the call goes on behind its caller's back until
the first event tells, and ends then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from meshwright.errors import MeshError

if TYPE_CHECKING:
    from meshwright.outbound.seen import Seen

log = logging.getLogger(__name__)

#: Seconds to learn which task it is, and seconds a CancelTask may take.
LEARN_SECONDS, CANCEL_SECONDS = 2.0, 1.0


class Farewells:
    """Those that one peer is being told. `cancel` sends CancelTask for a task's id."""

    def __init__(self, peer: str, cancel: Callable[[str], Awaitable[None]]) -> None:
        self._peer = peer
        self._cancel = cancel
        self._saying: set[asyncio.Task[None]] = set()

    def say(self, seen: Seen, call: asyncio.Task[None]) -> None:
        """End a call that its caller gave up, and the peer's task with it."""
        seen.began = None  # whom that would tell has gone
        saying = asyncio.ensure_future(self._say(seen, call))
        self._saying.add(saying)
        saying.add_done_callback(self._saying.discard)

    async def _say(self, seen: Seen, call: asyncio.Task[None]) -> None:
        learning = asyncio.ensure_future(seen.known.wait())
        await asyncio.wait({call, learning}, timeout=LEARN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for over in (learning, call):
            over.cancel()
        await asyncio.wait({learning, call})
        if not call.cancelled() and (error := call.exception()):
            log.info("%s: given up, and then: %s", self._peer, error)
        if not seen.remote or (seen.settled and not seen.asks_back):
            return
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._cancel(seen.remote)
        except (TimeoutError, MeshError) as error:
            why = error or type(error).__name__
            log.info("%s: task %s was not cancelled: %s", self._peer, seen.remote, why)
