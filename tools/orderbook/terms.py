"""What a gate needs to know before it decides: facts about a change that is proposed, and what came before. No opinions.

The rules of the house are asked elsewhere (`ledger.foresee`). Here is what they are about, so that a policy can have rules of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import Annotated

from pydantic import Field

from meshwright.toolserver import ToolRefused, ToolServer
from orderbook.ledger import order_or_refuse
from orderbook.lines import lines
from orderbook.paying import held
from orderbook.wishes import OrderId
from shop import records
from shop.database import Shop
from shop.models import History, Order, OrderItem, Terms, Variant

CustomerId = Annotated[str, Field(description="the customer's id", min_length=1, max_length=80)]
SomeItems = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=50)]


def offer_terms(server: ToolServer, shop: Shop) -> None:
    """Register the two tools; both only read."""

    @server.read
    async def terms(
        order_id: OrderId,
        item_ids: Annotated[SomeItems | None, Field(description="items of the order")] = None,
        new_item_ids: Annotated[SomeItems | None, Field(description="what each of them would become")] = None,
        payment_method_id: Annotated[str, Field(description="who would pay or be paid", max_length=60)] = "",
    ) -> Terms:
        """What a change of this order would meet: facts about its items, the new ones, and the payment method."""
        return await shop.read(
            lambda db: terms_of(db, order_id, item_ids or [], new_item_ids or [], payment_method_id)
        )

    @server.read
    async def history(customer_id: CustomerId) -> History:
        """What has become of a customer's orders: cancelled, returned, exchanged; money given as goodwill."""
        return await shop.read(lambda db: history_of(db, customer_id))


def terms_of(
    db: sqlite3.Connection, order_id: str, item_ids: list[str], new_item_ids: list[str], method_id: str
) -> Terms:
    order = order_or_refuse(db, order_id)
    customer = records.customer(db, order.customer_id)
    assert customer is not None, "orders refer to customers by a foreign key"
    meant = _lines(order, item_ids)
    fresh = [_variant(db, item_id) for item_id in new_item_ids]
    paired = bool(meant) and len(meant) == len(fresh)
    pairs = list(zip(meant, fresh, strict=False))
    method = next((m for m in customer.payment_methods if m.id == method_id), None)
    paying = held(order)
    due = order.request.due_cents if order.request else 0
    return Terms(
        customer_id=order.customer_id,
        holds_items=len(meant) == len(item_ids),
        paired=paired,
        same_product=paired and all(new is not None and new[0] == old.product_id for old, new in pairs),
        other_option=paired and all(new is not None and new[1].item_id != old.item_id for old, new in pairs),
        available=paired and all(new is not None and new[1].available for _, new in pairs),
        value_cents=sum(line.price_cents for line in meant),
        difference_cents=sum(new[1].price_cents - old.price_cents for old, new in pairs if new is not None),
        method_known=method is not None,
        method_kind=method.kind if method else "",
        method_balance_cents=method.balance_cents if method else 0,
        method_paid=method is not None
        and any(p.payment_method_id == method.id and p.kind == "payment" for p in order.payments),
        method_pays_now=method is not None and method.id in paying,
        held_cents=sum(paying.values()),
        refundable_cents=max(sum(paying.values()) - due, 0),
    )


def _lines(order: Order, item_ids: list[str]) -> list[OrderItem]:
    """The order's lines that are meant, in the order in which they are named; none when it does not hold them all."""
    try:
        return lines(order, item_ids)
    except ToolRefused:
        return []


def _variant(db: sqlite3.Connection, item_id: str) -> tuple[str, Variant] | None:
    product = records.product_of_item(db, item_id)
    if product is None:
        return None
    return product.product_id, next(v for v in product.variants if v.item_id == item_id)


def history_of(db: sqlite3.Connection, customer_id: str) -> History:
    orders = records.orders_of(db, customer_id)
    states = Counter(order.status for order in orders)
    mine = {order.order_id for order in orders}
    refunds = [
        arguments
        for row in db.execute("SELECT arguments FROM effects WHERE tool = 'refund'")
        if (arguments := json.loads(row["arguments"]))["order_id"] in mine
    ]
    return History(
        orders=len(orders),
        cancelled=states["cancelled"],
        returned=states["return requested"],
        exchanged=states["exchange requested"],
        goodwill_refunds=len(refunds),
        goodwill_cents=sum(int(refund["amount_cents"]) for refund in refunds),
    )
