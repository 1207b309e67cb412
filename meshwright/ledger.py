"""The book of budgets in the database: what each account may spend, has spent, and holds for calls that are under way.

A reservation is one transaction over all its accounts, or nothing: each account's row is locked, in the order of their ids, and
what is granted is the least that any of them has left. A reservation that nobody settles in time is charged in full: whoever
held it is dead, and what it asked for may have been done and billed. Should the truth come in later it still counts.

These are operations (`tx` first), so that they can share a transaction with whatever else must be true at the same time; a
`Ledger` runs them alone. `spent + held <= limit` is also a CHECK of the table: a bug here is an error, never an overdraft.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from meshwright.budget import Amount
from meshwright.errors import BudgetExhausted, StoreUnavailable

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction

T = TypeVar("T")
#: Seconds.
DAY = 86_400.0
log = logging.getLogger(__name__)

_COLUMNS = "token_limit, tokens, tokens_held, micro_limit, micros, micros_held"
#: A limit that was lowered below what is gone already stands at what is gone: nothing more is granted, and the CHECK holds.
_LOCKED = (
    """INSERT INTO budget_accounts (id, kind, name, day, token_limit, tokens, tokens_held, micro_limit, micros, micros_held,
        doubts, updated) VALUES (?, ?, ?, ?, ?, 0, 0, ?, 0, 0, 0, EPOCH())
    ON CONFLICT (id) DO UPDATE SET updated = EPOCH(),
        token_limit = CASE WHEN excluded.token_limit < budget_accounts.tokens + budget_accounts.tokens_held
            THEN budget_accounts.tokens + budget_accounts.tokens_held ELSE excluded.token_limit END,
        micro_limit = CASE WHEN excluded.micro_limit < budget_accounts.micros + budget_accounts.micros_held
            THEN budget_accounts.micros + budget_accounts.micros_held ELSE excluded.micro_limit END
    RETURNING """
    + _COLUMNS
)


@dataclass(frozen=True, slots=True)
class Account:
    """Who may spend how much: `kind` is run, task, agent or tenant. `daily` begins anew with each UTC day of the database.

    A limit of None is no limit.
    """

    kind: str
    name: str
    tokens: int | None = None
    micros: int | None = None
    daily: bool = False

    def id_on(self, day: str) -> str:
        return f"{self.kind}:{self.name}:{day}" if self.daily else f"{self.kind}:{self.name}"


async def reserve(
    tx: Transaction,
    key: str,
    accounts: Sequence[Account],
    want: Amount,
    least: Amount,
    seconds: float,
    holder: str = "",
) -> Amount | None:
    """Hold between `least` and `want` in all accounts, for at most `seconds`; None if one of them has not that much left.

    A `key` that is known is not reserved again: the amount is what it was.
    """
    known = await tx.execute("SELECT tokens, micros FROM budget_holds WHERE id = ? LIMIT 1", key)
    if known:
        return Amount(known[0]["tokens"], known[0]["micros"])
    day = await _today(tx)
    placed = sorted(((account.id_on(day), account) for account in accounts), key=lambda pair: pair[0])
    granted = want
    for place, account in placed:
        await tx.execute(_LOCKED, *_opening(place, account, day))
        await _expire(tx, place)
        rows = await tx.execute(f"SELECT {_COLUMNS} FROM budget_accounts WHERE id = ?", place)
        granted = granted.at_most(_left(rows[0], want))
    if not granted.covers(least):
        return None
    for place, _ in placed:
        await tx.execute(
            "UPDATE budget_accounts SET tokens_held = tokens_held + ?, micros_held = micros_held + ? WHERE id = ?",
            *(granted.tokens, granted.micros, place),
        )
        await tx.execute(
            "INSERT INTO budget_holds (id, account, tokens, micros, holder, state, until)"
            " VALUES (?, ?, ?, ?, ?, 'held', EPOCH() + ?)",
            *(key, place, granted.tokens, granted.micros, holder, float(seconds)),
        )
    return granted


async def settle(tx: Transaction, key: str, used: Amount | None, doubt: bool = False) -> None:
    """Charge what was used of a reservation, at most all of it, and free the rest; None charges all of it. Once.

    Nothing used is a release. One that had expired, and was charged in full, is put right.
    """
    rows = await tx.execute(
        "SELECT account, tokens, micros FROM budget_holds WHERE id = ? ORDER BY account", key
    )
    for row in rows:
        place, held = row["account"], Amount(row["tokens"], row["micros"])
        await tx.execute("UPDATE budget_accounts SET updated = EPOCH() WHERE id = ?", place)  # locks it
        states = await tx.execute("SELECT state FROM budget_holds WHERE id = ? AND account = ?", key, place)
        state = states[0]["state"]
        if state == "settled":
            continue
        charge = held if used is None else used.at_most(held)
        lied = doubt or (used is not None and not held.covers(used))
        freed, spent = (held, charge) if state == "held" else (Amount(), charge - held)
        await _book(tx, place, freed, spent, int(lied))
        await tx.execute("UPDATE budget_holds SET state = 'settled' WHERE id = ? AND account = ?", key, place)


async def left(tx: Transaction, accounts: Sequence[Account]) -> tuple[int | None, int | None]:
    """Tokens and micro-dollars that all of the accounts have left now; None where none of them is limited."""
    day = await _today(tx)
    tokens: list[int] = []
    micros: list[int] = []
    for account in accounts:
        rows = await tx.execute(f"SELECT {_COLUMNS} FROM budget_accounts WHERE id = ?", account.id_on(day))
        gone = [rows[0][k] for k in ("tokens", "tokens_held", "micros", "micros_held")] if rows else [0] * 4
        tokens += [] if account.tokens is None else [max(0, account.tokens - gone[0] - gone[1])]
        micros += [] if account.micros is None else [max(0, account.micros - gone[2] - gone[3])]
    return min(tokens, default=None), min(micros, default=None)


async def used_of(tx: Transaction, account: Account) -> Row:
    """What is gone of an account: {tokens, tokens_held, micros, micros_held}, all 0 while nobody has charged it."""
    rows = await tx.execute(
        f"SELECT {_COLUMNS} FROM budget_accounts WHERE id = ?", account.id_on(await _today(tx))
    )
    return rows[0] if rows else dict.fromkeys(("tokens", "tokens_held", "micros", "micros_held"), 0)


async def sweep(tx: Transaction, older_than: float) -> int:
    """Charge what has expired; forget what ended more than `older_than` seconds ago. Returns how many accounts expired some."""
    overdue = await tx.execute(
        "SELECT DISTINCT account FROM budget_holds WHERE state = 'held' AND until < EPOCH() ORDER BY account LIMIT 200"
    )
    for row in overdue:
        await tx.execute("UPDATE budget_accounts SET updated = EPOCH() WHERE id = ?", row["account"])
        await _expire(tx, row["account"])
    await tx.execute(
        "DELETE FROM budget_holds WHERE state <> 'held' AND until < EPOCH() - ?", float(older_than)
    )
    await tx.execute(
        "DELETE FROM budget_accounts WHERE tokens_held = 0 AND micros_held = 0 AND updated < EPOCH() - ?"
        " AND NOT (kind = 'run' AND EXISTS (SELECT 1 FROM runs WHERE runs.id = name AND runs.ended IS NULL))",
        float(older_than),
    )
    return len(overdue)


async def standing(tx: Transaction) -> list[Row]:
    """All accounts, those that changed last first."""
    return await tx.execute("SELECT * FROM budget_accounts ORDER BY updated DESC, id LIMIT 500")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process has spent since midnight (UTC), in tokens and micro-dollars; a limit is None where there is none."""

    tokens: int
    token_limit: int | None
    micros: int
    micro_limit: int | None


async def spent_today(tx: Transaction, agent: str, *, runs: bool = False) -> Spent:
    """From the account of its day, where it has limits by the day; else all that its tasks, or with `runs` the runs, have spent."""
    now = float((await tx.execute("SELECT EPOCH() AS now"))[0]["now"])
    own = Account("agent", agent, daily=True).id_on(await _today(tx))
    rows = await tx.execute(
        "SELECT token_limit, tokens, micro_limit, micros FROM budget_accounts WHERE id = ?", own
    )
    if rows:
        row = rows[0]
        return Spent(row["tokens"], row["token_limit"], row["micros"], row["micro_limit"])
    prefix = f"{agent}/"
    sums = await tx.execute(
        "SELECT coalesce(sum(tokens), 0) AS tokens, coalesce(sum(micros), 0) AS micros FROM budget_accounts"
        " WHERE updated >= ? AND (kind = 'task' AND substr(name, 1, ?) = ? OR kind = 'run' AND ? = 1)",
        *(now - now % DAY, len(prefix), prefix, int(runs)),
    )
    return Spent(int(sums[0]["tokens"]), None, int(sums[0]["micros"]), None)


async def _today(tx: Transaction) -> str:
    now = (await tx.execute("SELECT EPOCH() AS now"))[0]["now"]
    return datetime.fromtimestamp(float(now), UTC).strftime("%Y-%m-%d")


def _opening(place: str, account: Account, day: str) -> tuple[Any, ...]:
    period = day if account.daily else ""
    return (place, account.kind, account.name, period, account.tokens, account.micros)


def _left(row: Row, want: Amount) -> Amount:
    """What an account can give of `want`."""
    tokens, micros = row["token_limit"], row["micro_limit"]
    return Amount(
        want.tokens if tokens is None else tokens - row["tokens"] - row["tokens_held"],
        want.micros if micros is None else micros - row["micros"] - row["micros_held"],
    )


async def _expire(tx: Transaction, place: str) -> None:
    """Charge in full what is overdue in one account, whose row is locked."""
    rows = await tx.execute(
        "UPDATE budget_holds SET state = 'expired' WHERE account = ? AND state = 'held' AND until < EPOCH()"
        " RETURNING tokens, micros",
        place,
    )
    gone = sum((Amount(row["tokens"], row["micros"]) for row in rows), Amount())
    if rows:
        log.warning(
            "%s: %d reservations were never settled and are charged in full: %s", place, len(rows), gone
        )
        await _book(tx, place, gone, gone, 0)


async def _book(tx: Transaction, place: str, freed: Amount, spent: Amount, doubts: int) -> None:
    await tx.execute(
        "UPDATE budget_accounts SET tokens_held = tokens_held - ?, tokens = tokens + ?,"
        " micros_held = micros_held - ?, micros = micros + ?, doubts = doubts + ?, updated = EPOCH() WHERE id = ?",
        *(freed.tokens, spent.tokens, freed.micros, spent.micros, doubts, place),
    )


class Ledger:
    """Runs the operations for one process. What was begun is finished, also if whoever waits for it is cancelled."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database, self._holder = database, holder
        self._running: set[asyncio.Future[Any]] = set()

    async def reserve(
        self, key: str, accounts: Sequence[Account], want: Amount, least: Amount, seconds: float
    ) -> Amount:
        """Raises BudgetExhausted, or StoreUnavailable. Who is cancelled meanwhile holds nothing."""

        async def op(tx: Transaction) -> Amount | None:
            return await reserve(tx, key, accounts, want, least, seconds, self._holder)

        running = self._spawn(lambda: self._database.write(op))
        try:
            granted = await asyncio.shield(running)
        except asyncio.CancelledError:
            self._spawn(lambda: self._undone(key, running))
            raise
        if granted is None:
            names = " and ".join(f"{account.kind} {account.name}" for account in accounts)
            raise BudgetExhausted(f"{least.tokens} tokens are needed, and {names} has not that much left")
        return granted

    async def settle(self, key: str, used: Amount | None, doubt: bool = False) -> None:
        """Where the database cannot be reached the reservation expires, and is charged in full."""
        await asyncio.shield(self._spawn(lambda: self._settled(key, used, doubt)))

    async def aclose(self) -> None:
        """Wait for what is under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def _undone(self, key: str, running: asyncio.Future[Amount | None]) -> None:
        await asyncio.wait({running})
        await self._settled(key, Amount(), False)

    async def _settled(self, key: str, used: Amount | None, doubt: bool) -> None:
        try:
            await self._database.write(lambda tx: settle(tx, key, used, doubt))
        except StoreUnavailable as error:
            log.warning("reservation %s was not settled and will be charged in full: %s", key, error)

    def _spawn(self, work: Callable[[], Awaitable[T]]) -> asyncio.Future[T]:
        task = asyncio.ensure_future(work())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task
