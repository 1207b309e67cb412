"""The ledger: all accounts or none, never above a limit, nothing left behind; on both stores, and under any order of events."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.budget import Amount
from meshwright.database import Database, Transaction, open_database
from meshwright.errors import BudgetExhausted, StoreUnavailable
from meshwright.ledger import Account, Ledger, left, reserve, settle, standing, sweep

A, B = Account("agent", "a", tokens=100, micros=1000), Account("tenant", "b", tokens=60)


async def rows(database: Database) -> dict[str, Any]:
    return {row["id"]: dict(row) for row in await database.read(standing)}


async def count(database: Database, state: str) -> int:
    async def op(tx: Transaction) -> int:
        return int(
            (await tx.execute("SELECT count(*) AS n FROM budget_holds WHERE state = ?", state))[0]["n"]
        )

    return await database.read(op)


@pytest.fixture
async def doors(url: str) -> AsyncIterator[list[Database]]:
    """Three replicas' doors to one store."""
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for _ in range(3):
            opened.append(await open_database(url))
            stack.push_async_callback(opened[-1].close)
        yield opened


# --- one store, one after the other


async def test_a_reservation_is_in_all_accounts_or_in_none(doors: Any) -> None:
    ledger = Ledger(doors[0], "me")
    assert await ledger.reserve("k1", [A, B], Amount(50, 10), Amount(50, 10), 60) == Amount(50, 10)
    with pytest.raises(BudgetExhausted, match="agent a and tenant b"):
        await ledger.reserve("k2", [A, B], Amount(20), Amount(20), 60)
    found = await rows(doors[1])
    assert (found["agent:a"]["tokens_held"], found["tenant:b"]["tokens_held"]) == (50, 50)
    assert (found["agent:a"]["micros_held"], found["tenant:b"]["micro_limit"]) == (10, None)


async def test_a_grant_is_what_the_poorest_account_can_give(doors: Any) -> None:
    ledger = Ledger(doors[0], "me")
    assert await ledger.reserve("k", [A, B], Amount(90), Amount(10), 60) == Amount(60)
    assert await doors[0].read(lambda tx: left(tx, [A, B])) == (0, 1000)
    assert await doors[0].read(lambda tx: left(tx, [A])) == (40, 1000)


async def test_what_was_used_is_charged_once_the_rest_is_free_and_a_claim_above_is_cut_and_counted(
    doors: Any,
) -> None:
    ledger = Ledger(doors[0], "me")
    await ledger.reserve("k", [A], Amount(40, 100), Amount(), 60)
    for _ in range(2):
        await ledger.settle("k", Amount(15, 30))
    found = (await rows(doors[0]))["agent:a"]
    assert (found["tokens"], found["tokens_held"], found["micros"], found["micros_held"]) == (15, 0, 30, 0)
    await ledger.reserve("lie", [A], Amount(40), Amount(), 60)
    await ledger.settle("lie", Amount(4_000))
    found = (await rows(doors[0]))["agent:a"]
    assert (found["tokens"], found["tokens_held"], found["doubts"]) == (55, 0, 1)


async def test_a_key_that_is_known_is_not_reserved_again_by_whoever_takes_over(doors: Any) -> None:
    for door in doors:
        assert await Ledger(door, "someone").reserve("letter", [A], Amount(70), Amount(), 60) == Amount(70)
    assert (await rows(doors[0]))["agent:a"]["tokens_held"] == 70


async def test_who_holds_a_reservation_and_dies_is_charged_in_full_and_the_truth_still_counts(
    doors: Any,
) -> None:
    dead, alive = Ledger(doors[0], "dead"), Ledger(doors[1], "alive")
    await dead.reserve("k", [A], Amount(80), Amount(), -1)  # its time is over
    with pytest.raises(BudgetExhausted):
        await alive.reserve("k2", [A], Amount(30), Amount(30), 60)
    found = (await rows(doors[1]))["agent:a"]
    assert (found["tokens"], found["tokens_held"]) == (80, 0)  # as soon as anybody else comes by
    await dead.settle("k", Amount(5))
    assert (await rows(doors[1]))["agent:a"]["tokens"] == 5


async def test_what_expired_is_charged_by_the_sweeper_where_nobody_comes_by(doors: Any) -> None:
    await Ledger(doors[0], "dead").reserve("k", [A, B], Amount(30), Amount(), -1)
    await Ledger(doors[0], "alive").reserve("k2", [A], Amount(10), Amount(), 60)
    assert await doors[1].write(lambda tx: sweep(tx, 3600)) == 1  # the other account was seen to already
    found = await rows(doors[1])
    assert (found["agent:a"]["tokens"], found["agent:a"]["tokens_held"]) == (30, 10)
    assert (found["tenant:b"]["tokens"], found["tenant:b"]["tokens_held"]) == (30, 0)


async def test_a_limit_that_is_lowered_below_what_is_gone_grants_nothing_more_and_breaks_nothing(
    doors: Any,
) -> None:
    ledger = Ledger(doors[0], "me")
    await ledger.reserve("k", [A], Amount(80), Amount(), 60)
    with pytest.raises(BudgetExhausted):
        await ledger.reserve("k2", [Account("agent", "a", tokens=10)], Amount(1), Amount(1), 60)
    await ledger.settle("k", Amount(80))
    assert (await rows(doors[0]))["agent:a"]["tokens"] == 80


async def test_a_day_begins_anew_and_what_was_held_yesterday_is_settled_yesterday(doors: Any) -> None:
    daily = Account("agent", "d", tokens=10, daily=True)
    await Ledger(doors[0], "me").reserve("k", [daily], Amount(10), Amount(10), 60)
    await doors[0].execute("UPDATE budget_accounts SET id = 'agent:d:2001-01-01', day = '2001-01-01'")
    await doors[0].execute("UPDATE budget_holds SET account = 'agent:d:2001-01-01'")
    await Ledger(doors[0], "me").reserve("k2", [daily], Amount(10), Amount(10), 60)
    await Ledger(doors[0], "me").settle("k", Amount(3))
    found = await rows(doors[0])
    assert (found["agent:d:2001-01-01"]["tokens"], found["agent:d:2001-01-01"]["tokens_held"]) == (3, 0)


async def test_the_table_itself_refuses_an_overdraft(doors: Any) -> None:
    await Ledger(doors[0], "me").reserve("k", [A], Amount(80), Amount(), 60)
    with pytest.raises(Exception, match=r"(?i)check"):
        await doors[0].execute("UPDATE budget_accounts SET tokens = tokens + 21")


async def test_what_ended_long_ago_is_forgotten_but_not_the_account_of_a_run_that_waits(doors: Any) -> None:
    ledger, run = Ledger(doors[0], "me"), Account("run", "r1", tokens=10)
    await doors[0].execute(
        "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started) VALUES ('r1', 't', '', '', 'waiting', '1', 0.0)"
    )
    for key, account in (("k1", A), ("k2", run)):
        await ledger.reserve(key, [account], Amount(5), Amount(), -1)
        await ledger.settle(key, Amount(5))
    await doors[0].execute("UPDATE budget_accounts SET updated = 0.0")
    await doors[0].execute("UPDATE budget_holds SET until = 0.0")
    await doors[0].write(lambda tx: sweep(tx, 3600))
    assert set(await rows(doors[0])) == {"run:r1"}
    assert await count(doors[0], "settled") == 0


async def test_who_is_cancelled_while_it_reserves_holds_nothing(doors: Any) -> None:
    ledger = Ledger(doors[0], "me")
    asked = asyncio.ensure_future(ledger.reserve("k", [A], Amount(80), Amount(), 60))
    await asyncio.sleep(0)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    await ledger.aclose()
    found = (await rows(doors[0]))["agent:a"]
    assert (found["tokens"], found["tokens_held"]) == (0, 0)


async def test_without_its_database_nothing_is_granted_and_a_settlement_does_no_harm(tmp_path: Any) -> None:
    door = await open_database(f"sqlite:///{tmp_path}/x.db")
    ledger = Ledger(door, "me")
    await door.close()
    with pytest.raises(StoreUnavailable):
        await ledger.reserve("k", [A], Amount(1), Amount(), 60)
    await ledger.settle("k", Amount(1))


# --- many at once


async def test_three_replicas_that_reserve_at_once_never_hold_more_than_there_is(doors: Any) -> None:
    dice = random.Random(4)
    accounts = [Account("tenant", name, tokens=1000) for name in "xyz"]
    peak: list[int] = []

    async def one(number: int) -> None:
        ledger, chosen = Ledger(doors[number % 3], "r"), dice.sample(accounts, 2)
        amount = Amount(dice.randint(1, 90))
        with contextlib.suppress(BudgetExhausted):
            await ledger.reserve(f"k{number}", chosen, amount, amount, 60)
            await ledger.settle(f"k{number}", dice.choice([None, Amount(), Amount(amount.tokens // 2)]))

    async def watch() -> None:
        while True:
            peak.extend(r["tokens"] + r["tokens_held"] for r in (await rows(doors[0])).values())
            await asyncio.sleep(0.01)

    watching = asyncio.ensure_future(watch())
    await asyncio.gather(*(one(number) for number in range(150)))
    watching.cancel()
    found = await rows(doors[0])
    assert all(row["tokens_held"] == 0 for row in found.values())
    assert max([*peak, *(row["tokens"] for row in found.values())]) <= 1000
    assert await count(doors[0], "held") == 0


# --- any order of events

KEYS = st.integers(0, 6)
AMOUNTS = st.builds(Amount, st.integers(0, 80), st.integers(0, 700))
EVENTS = st.one_of(
    st.tuples(
        *(st.just("reserve"), KEYS, AMOUNTS, st.sampled_from([(A,), (B,), (A, B)])),
        *(st.sampled_from([-1.0, 600.0]), st.booleans()),
    ),
    st.tuples(st.just("settle"), KEYS, st.none() | AMOUNTS),
    st.tuples(st.just("sweep")),
)


class Book:
    """What the ledger should say, in the plainest words: every hold that was granted, and what became of it."""

    def __init__(self) -> None:
        self.holds: dict[int, tuple[Amount, Any, bool]] = {}
        self.charged: dict[tuple[int, str], Amount | None] = {}
        self.over: set[tuple[int, str]] = set()

    def gone(self, account: Account) -> Amount:
        """Spent and held together: a hold counts whole until it is settled, expired or not."""
        total = Amount()
        for key, (amount, accounts, _) in self.holds.items():
            if account in accounts:
                charged = self.charged.get((key, account.kind))
                total += amount if charged is None else charged
        return total

    def reserve(self, key: int, want: Amount, accounts: Any, seconds: float, whole: bool) -> Amount | None:
        if key in self.holds:
            return self.holds[key][0]
        granted = want
        for account in accounts:
            gone = self.gone(account)
            tokens = want.tokens if account.tokens is None else account.tokens - gone.tokens
            micros = want.micros if account.micros is None else account.micros - gone.micros
            granted = granted.at_most(Amount(tokens, micros))
        if whole and not granted.covers(want):
            return None
        self.holds[key] = (granted, accounts, seconds < 0)
        return granted

    def settle(self, key: int, used: Amount | None) -> None:
        if key in self.holds:
            amount, accounts, _ = self.holds[key]
            for account in accounts:
                self.charged.setdefault((key, account.kind), amount if used is None else used.at_most(amount))


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=25))
def test_whatever_happens_in_whatever_order_the_ledger_says_what_the_book_says(events: list[Any]) -> None:
    async def play() -> None:
        database, book = await open_database("memory:"), Book()
        for event in events:
            if event[0] == "reserve":
                _, key, want, accounts, seconds, whole = event
                least = want if whole else Amount()
                granted = await database.write(
                    lambda tx, e=event, least=least: reserve(tx, str(e[1]), e[3], e[2], least, e[4])  # type: ignore[misc]
                )
                assert granted == book.reserve(key, want, accounts, seconds, whole)
            elif event[0] == "settle":
                await database.write(lambda tx, e=event: settle(tx, str(e[1]), e[2]))  # type: ignore[misc]
                book.settle(event[1], event[2])
            else:
                await database.write(lambda tx: sweep(tx, 3600))
            for account in (A, B):
                row = (await rows(database)).get(f"{account.kind}:{account.name}")
                gone = book.gone(account)
                both = (
                    Amount(row["tokens"] + row["tokens_held"], row["micros"] + row["micros_held"])
                    if row
                    else Amount()
                )
                assert both == gone
                assert gone.tokens <= (account.tokens or 0)
        for key in book.holds:
            await database.write(lambda tx, key=key: settle(tx, str(key), None))  # type: ignore[misc]
        for row in (await rows(database)).values():
            assert (row["tokens_held"], row["micros_held"]) == (0, 0)
        await database.close()

    asyncio.run(play())
