"""What really happened to the shop: the tool servers' journal of effects, and where the money is, before and after."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

#: Of these a ticket gets one, whatever their arguments are; the other kind of end counts as the same.
ONCE_A_TICKET = {"reply": "reply", "escalate": "end", "close": "end"}


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One line of the journal. `arguments` is JSON with sorted keys; `order` is empty where there is none, `grant` is the one it used up."""

    key: str
    tool: str
    arguments: str
    ticket: str
    order: str = ""
    grant: str = ""


@dataclass(frozen=True, slots=True)
class Money:
    """The shop's books: (kind, cents, method) by order, in order; an order's status and customer; gift cards' balances."""

    payments: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    customer: dict[str, str] = field(default_factory=dict)
    balances: dict[tuple[str, str], int] = field(default_factory=dict)


def effects(shop: Path) -> list[EffectRow]:
    """The journal, oldest first."""
    sql = (
        "SELECT e.key, e.tool, e.arguments, e.ticket, coalesce(json_extract(e.arguments, '$.order_id'), ''), coalesce(g.jti, '')"
        " FROM effects AS e LEFT JOIN grants_used AS g ON g.key = e.key ORDER BY e.seq"
    )
    with closing(sqlite3.connect(shop)) as db:
        return [EffectRow(*row) for row in db.execute(sql)]


def effects_so_far(shop: Path) -> int:
    """How many lines the journal has now."""
    with closing(sqlite3.connect(shop, timeout=5)) as db:
        return int(db.execute("SELECT coalesce(max(seq), 0) FROM effects").fetchone()[0])


def money(shop: Path) -> Money:
    books = Money()
    with closing(sqlite3.connect(shop)) as db:
        for order, kind, amount, method in db.execute(
            "SELECT order_id, kind, amount_cents, payment_method_id FROM payments ORDER BY order_id, seq"
        ):
            books.payments.setdefault(order, []).append((kind, amount, method))
        for order, customer, status in db.execute("SELECT order_id, customer_id, status FROM orders"):
            books.customer[order], books.status[order] = customer, status
        for customer, method, balance in db.execute(
            "SELECT customer_id, payment_method_id, balance_cents FROM payment_methods WHERE kind = 'gift_card'"
        ):
            books.balances[customer, method] = balance
    return books


def applied_twice(journal: list[EffectRow]) -> list[str]:
    """Effects that happened more often than anybody wished.

    Each order is the matter of one ticket that wishes one thing, so two changes to it are one too many, under whatever keys, in
    whatever words and for whatever run. A ticket is answered once and ends once.
    """
    wishes: Counter[str] = Counter()
    for row in journal:
        if row.tool in ONCE_A_TICKET:
            wishes[f"ticket {row.ticket}: {ONCE_A_TICKET[row.tool]}"] += 1
        elif row.order:
            wishes[f"order {row.order}: {row.tool}"] += 1
        else:
            wishes[f"{row.tool} {row.arguments}"] += 1
    return [f"{wish}, {times} times" for wish, times in wishes.items() if times > 1]


def moved_twice(before: Money, after: Money) -> list[str]:
    """Orders and gift cards whose money does not add up."""
    found: list[str] = []
    cards: Counter[tuple[str, str]] = Counter()
    for order, rows in after.payments.items():
        paid = sum(amount for kind, amount, _ in rows if kind == "payment")
        back = sum(amount for kind, amount, _ in rows if kind == "refund")
        fresh = rows[len(before.payments.get(order, [])) :]
        if back > paid:
            found.append(f"order {order}: paid {paid}, given back {back} cents")
        if fresh and after.status[order] == "cancelled" and back != paid:
            found.append(f"order {order} is cancelled: paid {paid}, given back {back} cents")
        for kind, amount, method in fresh:
            cards[after.customer[order], method] += amount if kind == "refund" else -amount
    for card, balance in after.balances.items():
        moved = balance - before.balances.get(card, 0)
        if moved != cards[card]:
            found.append(
                f"gift card {card[1]} of {card[0]}: moved {moved} cents, by the orders {cards[card]}"
            )
    return found
