"""The playbooks over a shop file in one process, without servers or gate: for work on reading.

    python -m evals.offline SHOP.json TICKETS.jsonl [even|odd|all] [-v]

It applies nothing; it compares what would be proposed with what is right. The real evaluation runs against
the mesh.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounts.agent import playbook as accounts
from advisor.agent import playbook as advisor
from evals.scoring import Score, score
from evals.tickets import TicketCase, load
from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.errors import ToolRefused
from meshwright.findings import Finding, Gap, Split, Subtask
from orderbook.matching import match_items
from orderbook.methods import match_address, match_method
from orderbook.variants import match_variant
from orders.agent import playbook as orders
from returns.agent import playbook as returns
from shop.models import Address, Customer, Order, OrderItem, Payment, PaymentMethod, Product, Variant
from triage.agent import split

PLAYBOOKS: dict[str, Callable[[Subtask, Job], Awaitable[Any]]] = {
    "identify-customer": accounts,
    "address-change": accounts,
    "profile-read": accounts,
    "order-status": orders,
    "order-cancel": orders,
    "order-change": orders,
    "order-return": returns,
    "order-exchange": returns,
    "policy-answer": advisor,
    "product-answer": advisor,
}
#: Skills that only tell; what they leave open holds no write back.
TELLING = {"order-status", "profile-read", "policy-answer", "product-answer"}


@dataclass
class ShopFile:
    """A shop in memory, with the read tools of the mesh (`call`). Nothing can be written."""

    customers: dict[str, Customer]
    orders: dict[str, Order]
    products: dict[str, Product]
    by_item: dict[str, Product] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> ShopFile:
        found = json.loads(path.read_text())
        products = {
            key: Product(
                product_id=key,
                name=p["name"],
                variants=[
                    Variant(
                        item_id=v["item_id"],
                        options=v["options"],
                        available=v["available"],
                        price_cents=round(v["price"] * 100),
                    )
                    for v in p["variants"].values()
                ],
            )
            for key, p in found["products"].items()
        }
        shop = cls(
            {key: _customer(key, u) for key, u in found["users"].items()},
            {key: _order(key, o) for key, o in found["orders"].items()},
            products,
        )
        shop.by_item = {v.item_id: p for p in products.values() for v in p.variants}
        return shop

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer: Any = getattr(self, f"_{tool}")(**arguments)
        plain: dict[str, Any] = answer if isinstance(answer, dict) else answer.model_dump()
        return plain

    def _of(self, customer_id: str) -> list[Order]:
        return [self.orders[key] for key in self.customers[customer_id].orders]

    def _find_customer(self, name: str = "", zip: str = "", customer_id: str = "", **emails: str) -> Any:
        said = {email.lower() for email in emails.values() if email}
        found = {c.customer_id for c in self.customers.values() if c.email in said}
        everybody = self.customers.values()
        if name and zip:
            found |= {c.customer_id for c in everybody if _name(c) == name and c.address.zip == zip}
        elif customer_id and zip and not said:
            found |= {
                c.customer_id for c in everybody if c.customer_id == customer_id and c.address.zip == zip
            }
        one = next(iter(found)) if len(found) == 1 else ""
        fits = (
            one and customer_id in ("", one) and set(name.split()) <= set(_name(self.customers[one]).split())
        )
        return {
            "customer_id": one if fits else "",
            "verified": bool(fits),
            "why": "found" if fits else "nobody",
        }

    def _get_profile(self, customer_id: str) -> Customer:
        return self.customers[customer_id]

    def _list_orders(self, customer_id: str) -> dict[str, Any]:
        return {"orders": [order.model_dump() for order in self._of(customer_id)]}

    def _match_items(
        self, customer_id: str, phrase: str, order_id: str = "", statuses: tuple[str, ...] = ()
    ) -> Any:
        return match_items(self._of(customer_id), phrase, order_id, statuses)

    def _match_variant(self, item_id: str, wish: str) -> Any:
        if item_id not in self.by_item:
            raise ToolRefused(f"there is no item {item_id}")
        return match_variant(self.by_item[item_id], item_id, wish)

    def _match_method(
        self, customer_id: str, phrase: str, order_id: str, refund_only: bool = False, need_cents: int = 0
    ) -> Any:
        customer, order = self.customers[customer_id], self.orders[order_id]
        return match_method(customer, order, phrase, refund_only=refund_only, need_cents=need_cents)

    def _match_address(self, customer_id: str, place: str) -> Any:
        return match_address(self.customers[customer_id], self._of(customer_id), place)

    def _find_products(self, words: str) -> dict[str, Any]:
        from orderbook.wording import joined

        return {
            "products": [p.model_dump() for p in self.products.values() if joined(p.name) == joined(words)]
        }

    def _search_handbook(self, query: str, limit: int = 3) -> dict[str, Any]:
        return {"passages": []}


def _name(customer: Customer) -> str:
    return f"{customer.first_name} {customer.last_name}"


def _customer(key: str, user: dict[str, Any]) -> Customer:
    methods = [
        PaymentMethod(
            id=m["id"],
            kind=m["source"],
            brand=m.get("brand", ""),
            last_four=m.get("last_four", ""),
            balance_cents=round(m.get("balance", 0) * 100),
        )
        for m in user["payment_methods"].values()
    ]
    return Customer(
        customer_id=key,
        first_name=user["name"]["first_name"],
        last_name=user["name"]["last_name"],
        email=user["email"],
        address=Address(**user["address"]),
        payment_methods=methods,
        orders=user["orders"],
    )


def _order(key: str, order: dict[str, Any]) -> Order:
    items = [
        OrderItem(
            item_id=i["item_id"],
            product_id=i["product_id"],
            name=i["name"],
            options=i["options"],
            price_cents=round(i["price"] * 100),
        )
        for i in order["items"]
    ]
    return Order(
        order_id=key,
        customer_id=order["user_id"],
        status=order["status"],
        address=Address(**order["address"]),
        items=items,
        tracking=[t for f in order["fulfillments"] for t in f["tracking_id"]],
        payments=[
            Payment(
                kind=p["transaction_type"],
                amount_cents=round(p["amount"] * 100),
                payment_method_id=p["payment_method_id"],
            )
            for p in order["payment_history"]
        ],
        total_cents=sum(i.price_cents for i in items),
    )


async def handle(message: str, shop: ShopFile) -> tuple[Split, dict[str, Finding]]:
    """The split and a finding for each of its subtasks, the facts of `identify` handed on as the orchestrator
    does.
    """
    read = split(message)
    findings: dict[str, Finding] = {}
    for part in read.subtasks:
        context = {need: findings[need].facts for need in part.needs if need in findings}
        job = Job(by=Deadline.after(30), tools=shop, text=message)
        subtask = part.model_copy(update={"context": context})
        findings[part.id] = await PLAYBOOKS[part.skill](subtask, job)
    return read, findings


def applied(read: Split, findings: dict[str, Finding], *, hold: bool) -> list[tuple[str, dict[str, Any]]]:
    """What would be applied. With `hold`, one open request holds back all of the ticket's writes."""
    telling = {part.id for part in read.subtasks if part.skill in TELLING}
    open_points: list[Gap] = [g for key, f in findings.items() if key not in telling for g in f.gaps]
    if read.unread or (hold and open_points):
        return []
    return [(p.action, p.arguments) for f in findings.values() for p in f.proposals]


async def _run(cases: list[TicketCase], shop: ShopFile, *, aloud: bool, hold: bool) -> Counter[Score]:
    totals: Counter[Score] = Counter()
    for case in cases:
        read, findings = await handle(case.message, shop)
        done = applied(read, findings, hold=hold)
        result = score(done, case.gold)
        totals[result] += 1
        if aloud:
            print(f"== {case.id}: {result}{'' if case.gold else ' (nothing to write)'}")
            for unread in read.unread:
                print(f"     unread: {unread}")
            for gap in (g for f in findings.values() for g in f.gaps):
                print(f"     open: {gap.why} <- {gap.what[:140]}")
            if result in ("wrong", "partial"):
                print(f"     did: {done}\n     gold: {list(case.gold)}")
    return totals


def main(arguments: list[str]) -> None:
    """Print the scores of one half of the tickets, or of all."""
    shop = ShopFile.read(Path(arguments[0]))
    cases = load(Path(arguments[1]))
    half = next((word for word in arguments[2:] if word in ("even", "odd")), "all")
    chosen = {"even": cases[::2], "odd": cases[1::2], "all": cases}[half]
    for hold in (True, False):
        totals = asyncio.run(_run(chosen, shop, aloud="-v" in arguments and hold, hold=hold))
        print(
            f"{half}, {'an open point holds all' if hold else 'open points hold their own'}: {dict(totals)}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
