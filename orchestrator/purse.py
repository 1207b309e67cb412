"""What a run may spend, in the ledger: each delegation is reserved with the letter that carries it, and settled with the answer.

The reservation shares the letter's transaction and its id. So who takes a run over finds both or neither: nothing is reserved
twice, and nothing that was spent is forgotten.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshwright.budget import Amount, Budget
from meshwright.ledger import Account, left, reserve, settle, used_of
from meshwright.tasks.accept import first_headers
from meshwright.wallet import SLACK

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction
    from meshwright.settings import Settings
    from meshwright.tasks.outbox import Along

log = logging.getLogger(__name__)


async def account_of(tx: Transaction, run: str, task_id: str, given: Budget, settings: Settings) -> Account:
    """The account of a run: what its first message allowed, and the one that it goes on with (`given`) can only allow less."""
    headers = await first_headers(tx, task_id)
    first = Budget.from_headers(headers, default=settings.budget_tokens, micros=settings.budget_micros)
    money = [each.micros for each in (first, given) if each.micros is not None]
    return Account("run", run, min(first.limit, given.limit), min(money, default=None))


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

    async def used(self) -> Amount:
        """What the run has used so far: what is reserved for a call that was cut off may have been spent, and counts in full."""
        gone = await self._database.read(lambda tx: used_of(tx, self._run))
        return Amount(gone["tokens"] + gone["tokens_held"], gone["micros"] + gone["micros_held"])
