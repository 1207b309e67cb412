"""Reviews that nobody decides: escalated when they are due, ended when they have expired, by whichever replica looks first."""

from __future__ import annotations

import asyncio
import logging

from meshwright.chore import Chore
from meshwright.errors import StoreUnavailable
from meshwright.reviews.store import ReviewStore

log = logging.getLogger(__name__)

#: Seconds between two looks at most: a review may be opened meanwhile, by any replica.
LONGEST = 60.0
#: Seconds before the next look when more is due than one look takes.
SHORTEST = 1.0


class Watch:
    """One per process. It looks at an index, and does nothing when nothing is due."""

    def __init__(self, reviews: ReviewStore) -> None:
        self._reviews = reviews
        self._watching = Chore("the watch for reviews", self._watch)

    def start(self) -> None:
        self._watching.start()

    async def aclose(self) -> None:
        await self._watching.stop()

    async def look(self) -> float:
        """Do what is due. Returns the seconds until the next look."""
        due, soon = await self._reviews.next_due()
        for key in due:
            await self._reviews.overdue(key)
        return SHORTEST if due else min(max(soon, SHORTEST), LONGEST)

    async def _watch(self) -> None:
        while True:
            pause = LONGEST
            try:
                pause = await self.look()
            except StoreUnavailable as error:
                log.warning("%s; reviews that are due wait", error)
            await asyncio.sleep(pause)
