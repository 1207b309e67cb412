"""What a run may spend, in the ledger: each delegation is reserved with the letter that carries it, and settled with the answer.

The reservation shares the letter's transaction and its id. So who takes a run over finds both or neither: nothing is reserved
twice, and nothing that was spent is forgotten.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshwright.budget import Amount, used_in
from meshwright.errors import (
    BreakerOpen,
    CallerError,
    DeadlineExceeded,
    MeshError,
    PeerCold,
    PeerOverloaded,
    PeerRefused,
)
from meshwright.ledger import Account, left, reserve, settle
from meshwright.outbound.lost import never_sent
from meshwright.wallet import SLACK

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction
    from meshwright.tasks.outbox import Along

log = logging.getLogger(__name__)


class Purse:
    """The accounts that one run's delegations are charged to: the run's own, and those by the day where there are limits."""

    def __init__(
        self, database: Database, run: Account, daily: Sequence[Account] = (), holder: str = ""
    ) -> None:
        self._database, self._run, self._holder = database, run, holder
        self._accounts = [run, *daily]
        #: Whether money is limited anywhere; then callees are told how much they may spend.
        self.money = any(account.micros is not None for account in self._accounts)

    async def portion(self, share: float) -> Amount:
        """A share of what is left now. What others reserve meanwhile makes a grant smaller, never too large."""
        tokens, micros = await self._database.read(lambda tx: left(tx, self._accounts))
        return Amount(int((tokens or 0) * share), int((micros or 0) * share))

    def reserving(self, key: str, want: Amount, seconds: float) -> Along:
        """Reserve up to `want` for a letter: less where less is left, nothing where nothing is. Who can work without does."""

        async def along(tx: Transaction) -> object:
            until = max(seconds, 0.0) + SLACK
            return await reserve(tx, key, self._accounts, want, Amount(), until, self._holder)

        return along

    def settling(self, key: str, used: Amount | None) -> Along:
        """Charge what a letter cost; None charges all that was reserved for it."""
        if used is not None and not self.money:
            used = Amount(used.tokens)  # what nobody limits is not reserved either

        async def along(tx: Transaction) -> None:
            await settle(tx, key, used)

        return along

    async def granted(self, key: str) -> Amount:
        """What was reserved for a letter; nothing for one that is older than the ledger."""

        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute("SELECT tokens, micros FROM budget_holds WHERE id = ? LIMIT 1", key)

        rows = await self._database.read(op)
        return Amount(rows[0]["tokens"], rows[0]["micros"]) if rows else Amount()

    async def spent(self) -> Amount:
        """What the run has spent so far."""

        async def op(tx: Transaction) -> list[Row]:
            place = self._run.id_on("")
            return await tx.execute("SELECT tokens, micros FROM budget_accounts WHERE id = ?", place)

        rows = await self._database.read(op)
        return Amount(rows[0]["tokens"], rows[0]["micros"]) if rows else Amount()


def cost_of(error: MeshError, begun: bool) -> Amount | None:
    """What a call that failed has cost: nothing where nobody can have begun with it, else what the peer says, else unknown.

    `begun` says that the peer has a task for it.
    """
    unheard = isinstance(error, PeerRefused | PeerOverloaded | PeerCold | CallerError) or never_sent(error)
    if isinstance(error, BreakerOpen | DeadlineExceeded) or (unheard and not begun):
        return Amount() if not begun else None
    return used_in(error.notes)
