"""Where a wish meets the shop's rows: it is looked up, the rules decide, the change is written.

All functions run inside a transaction that the caller holds, so what was checked is still true when it is
written.
"""

from __future__ import annotations

import sqlite3

from pydantic import ValidationError

from meshwright.errors import ToolRefused
from orderbook.rules import RULES, Change
from orderbook.wishes import WISHES, ChangeItems, ExchangeItems, Wish
from shop import records
from shop.effects import Outcome
from shop.models import Customer, Order, Payment, Preview, Product


def fulfil(db: sqlite3.Connection, action: str, wish: Wish) -> Outcome:
    """Make the change. Raises ToolRefused when a rule says no; then nothing was written."""
    order, customer, change = _decide(db, action, wish)
    request = change.request.model_dump_json() if change.request else None
    db.execute(
        "UPDATE orders SET status = ?, cancel_reason = ?, request = coalesce(?, request) WHERE order_id = ?",
        (change.status, change.cancel_reason, request, order.order_id),
    )
    if change.address is not None:
        db.execute(
            "UPDATE orders SET address = ? WHERE order_id = ?",
            (change.address.model_dump_json(), order.order_id),
        )
    if change.items is not None:
        records.put_items(db, order.order_id, change.items)
    records.add_payments(db, order.order_id, change.payments)
    for payment in change.payments:
        _move_balance(db, customer, payment)
    return Outcome(change.summary, change.status, change.amount_cents)


def foresee(db: sqlite3.Connection, action: str, arguments: dict[str, object]) -> Preview:
    """What `fulfil` would do now. A wrong wish raises nothing: it is not allowed, and `why` says so."""
    model = WISHES.get(action)
    if model is None:
        return Preview(
            allowed=False, why=f"the order book has no write '{action}': it has {', '.join(WISHES)}"
        )
    try:
        wish = model.model_validate(arguments)
        _, _, change = _decide(db, action, wish)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return Preview(allowed=False, why=f"{action}: {where}: {first['msg']}")
    except ToolRefused as refused:
        return Preview(allowed=False, why=str(refused))
    return Preview(
        allowed=True, amount_cents=change.amount_cents, summary=change.summary, state=change.status
    )


def order_or_refuse(db: sqlite3.Connection, order_id: str) -> Order:
    """The order; says what an id looks like when there is none."""
    order = records.order(db, order_id)
    if order is None:
        raise ToolRefused(f"there is no order {order_id[:40]}: ids look like #W1234567, with the #")
    return order


def _decide(db: sqlite3.Connection, action: str, wish: Wish) -> tuple[Order, Customer, Change]:
    order = order_or_refuse(db, wish.order_id)
    customer = records.customer(db, order.customer_id)
    assert customer is not None, "orders refer to customers by a foreign key"
    new_items = wish.new_item_ids if isinstance(wish, ChangeItems | ExchangeItems) else []
    catalogue: dict[str, Product] = {}
    for item_id in new_items:
        product = records.product_of_item(db, item_id)
        if product is not None:
            catalogue[item_id] = product
    return order, customer, RULES[action](order, customer, wish, catalogue)


def _move_balance(db: sqlite3.Connection, customer: Customer, payment: Payment) -> None:
    """A gift card's money is with the shop, so it moves now; cards and PayPal are other people's books."""
    sign = 1 if payment.kind == "refund" else -1
    db.execute(
        "UPDATE payment_methods SET balance_cents = balance_cents + ?"
        " WHERE customer_id = ? AND payment_method_id = ? AND kind = 'gift_card'",
        (sign * payment.amount_cents, customer.customer_id, payment.payment_method_id),
    )
