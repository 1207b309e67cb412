"""What only the database knows, counted now and then for `/metrics`: what waits, whose leases ran out, what of the day is spent.

A look is a few reads by index, off any request's path; between two looks the numbers are those of the last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from meshwright.chore import Chore
from meshwright.errors import StoreUnavailable
from meshwright.ledger import used_of
from meshwright.records.metrics import Sample

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction
    from meshwright.ledger import Account

log = logging.getLogger(__name__)

#: Seconds between two looks.
EVERY = 15.0

_QUEUE = (
    "SELECT count(*) AS waiting, coalesce(EPOCH() - min(due), 0) AS oldest FROM tasks"
    " WHERE work = 'queued' AND agent = ?"
)
_LEASES = (
    "SELECT count(*) AS held, coalesce(sum(CASE WHEN lease_until < EPOCH() THEN 1 ELSE 0 END), 0) AS lapsed FROM tasks"
    " WHERE work = 'running' AND agent = ?"
)
#: What the courier carries.
_KINDS = ("cancel", "push")
_OUTBOX = "SELECT count(*) AS waiting FROM outbox WHERE state = 'open' AND agent = ? AND kind = ?"


class Census:
    """Counts for one `agent`; `accounts` are those of its own that have a limit. All replicas that share a database tell the same."""

    def __init__(
        self, database: Database, agent: str, accounts: Sequence[Account] = (), every: float = EVERY
    ) -> None:
        self._database, self._agent, self._every = database, agent, every
        self._accounts = [account for account in accounts if account.kind == "agent"]
        self._known: list[Sample] = []
        self._looking = Chore("the census", self._look_on)

    def start(self) -> None:
        self._looking.start()

    async def aclose(self) -> None:
        await self._looking.stop()

    def samples(self) -> Iterator[Sample]:
        """As it was at the last look; nothing before the first."""
        return iter(self._known)

    async def look(self) -> None:
        """Count. Raises StoreUnavailable."""
        self._known = await self._database.read(self._counted)

    async def _look_on(self) -> None:
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.info("nothing was counted for /metrics: %s", error)
            await asyncio.sleep(self._every)

    async def _counted(self, tx: Transaction) -> list[Sample]:
        (queue,) = await tx.execute(_QUEUE, self._agent)
        (leases,) = await tx.execute(_LEASES, self._agent)
        found = [
            Sample("meshwright_queue_waiting", queue["waiting"]),
            Sample("meshwright_queue_oldest_seconds", max(0.0, float(queue["oldest"]))),
            Sample("meshwright_leases", leases["held"] - leases["lapsed"], (("state", "held"),)),
            Sample("meshwright_leases", leases["lapsed"], (("state", "lapsed"),)),
        ]
        for kind in _KINDS:
            (outbox,) = await tx.execute(_OUTBOX, self._agent, kind)
            found.append(Sample("meshwright_outbox_waiting", outbox["waiting"], (("kind", kind),)))
        for account in self._accounts:
            found += _of_account(account, await used_of(tx, account))
        return found


def _of_account(account: Account, row: Row) -> Iterator[Sample]:
    """How far a limit of the day is used up; what is held for calls under way counts."""
    for unit, limit in (("tokens", account.tokens), ("micros", account.micros)):
        if limit is not None:
            label = (("unit", unit),)
            yield Sample("meshwright_budget_day_limit", limit, label)
            yield Sample("meshwright_budget_day_used", row[unit] + row[f"{unit}_held"], label)
