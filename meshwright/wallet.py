"""An agent's side of the ledger: what stands behind the budget of one task.

The task's own budget is one reservation for its whole life, made before its first call of a model: who takes the task up after
a crash finds it, and spends nothing twice. A write per call is paid only where limits are shared: the agent's or the tenant's day.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from meshwright.budget import Amount
from meshwright.ledger import Account, Ledger

if TYPE_CHECKING:
    from meshwright.settings import Settings

#: Seconds beyond the deadline that a reservation stands, for whoever settles it late.
SLACK = 60.0


def daily(settings: Settings, agent: str, tenant: str) -> list[Account]:
    """The accounts that a process charges by the day: its own, and its caller's, where there are limits.

    The tenant is the caller that the process has authenticated; who comes without a name shares one account with the others.
    """
    accounts = [
        _by_day("agent", agent, settings.budget_day_tokens, settings.budget_day_micros),
        _by_day("tenant", tenant or "stranger", settings.budget_tenant_tokens, settings.budget_tenant_micros),
    ]
    return [account for account in accounts if account.tokens is not None or account.micros is not None]


def _by_day(kind: str, name: str, tokens: int, micros: int) -> Account:
    return Account(kind, name, tokens or None, micros or None, daily=True)


class Wallet:
    """The backing of one task's budget. `seconds` is what the task has left of its deadline."""

    def __init__(self, ledger: Ledger, task: str, accounts: list[Account], seconds: float) -> None:
        self._ledger, self._task, self._accounts = ledger, task, accounts
        self._seconds = seconds + SLACK
        self._key = uuid.uuid4().hex

    async def open(self, limit: Amount) -> Amount:
        account = Account("task", self._task, limit.tokens, limit.micros)
        return await self._ledger.reserve(self._key, [account], limit, Amount(), self._seconds)

    async def reserve(self, want: Amount, least: Amount, seconds: float) -> tuple[str, Amount]:
        if not self._accounts:
            return "", want
        key = uuid.uuid4().hex
        return key, await self._ledger.reserve(key, self._accounts, want, least, seconds + SLACK)

    async def settle(self, key: str, used: Amount, doubt: bool) -> None:
        await self._ledger.settle(key, used, doubt)

    async def close(self, used: Amount) -> None:
        await self._ledger.settle(self._key, used)
