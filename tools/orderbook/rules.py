"""The rules of the house for orders: what a wish would change, or why it may not. Pure functions.

Every rule says no with a ToolRefused whose sentence may be shown to the customer. The source is the
handbook; a test per sentence of it lies in `tests/unit/test_tool_orderbook_rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meshwright.errors import ToolRefused
from orderbook.lines import Catalogue, lines, replaced, swaps, swaps_said
from orderbook.paying import (
    difference_said,
    held,
    method_of,
    must_be_refundable,
    must_cover,
    pay,
    settle,
    way_back,
)
from orderbook.wishes import (
    CancelOrder,
    ChangeAddress,
    ChangeItems,
    ChangePayment,
    ExchangeItems,
    Refund,
    ReturnItems,
)
from shop.models import Address, Customer, Order, OrderItem, OrderStatus, Payment, Request
from shop.money import said


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an order. None or empty means that this part of it stays.

    `payments` are appended; one from or to a gift card also moves that card's balance.
    """

    status: OrderStatus
    summary: str
    amount_cents: int = 0
    items: tuple[OrderItem, ...] | None = None
    payments: tuple[Payment, ...] = ()
    address: Address | None = None
    cancel_reason: str = ""
    request: Request | None = None


def cancel_order(order: Order, customer: Customer, wish: CancelOrder, catalogue: Catalogue) -> Change:
    """A pending order ends; what was paid goes back the way it came."""
    _require(order, "pending", "cancelled")
    refunds = tuple(pay("refund", amount, method) for method, amount in held(order).items())
    amount = sum(refund.amount_cents for refund in refunds)
    ways = " and ".join(way_back(customer, refund.payment_method_id) for refund in refunds)
    return Change(
        status="cancelled",
        summary=f"Order {order.order_id} is cancelled. {said(amount)} goes back {ways or 'to nobody'}.",
        amount_cents=amount,
        payments=refunds,
        cancel_reason=wish.reason,
    )


def change_items(order: Order, customer: Customer, wish: ChangeItems, catalogue: Catalogue) -> Change:
    """Items of a pending order become other variants of the same products. Once per order."""
    _require(order, "pending", "changed")
    pairs = swaps(order, wish.item_ids, wish.new_item_ids, catalogue)
    difference = sum(new.price_cents - old.price_cents for old, new in pairs)
    method = method_of(customer, wish.payment_method_id)
    must_cover(method, difference)
    return Change(
        status="pending (items modified)",
        summary=f"Order {order.order_id}: {swaps_said(pairs)}."
        f" {difference_said(customer, difference, method.id)}"
        " The order's items cannot be changed again and it cannot be cancelled.",
        amount_cents=abs(difference),
        items=replaced(order.items, pairs),
        payments=settle(difference, method.id),
    )


def change_address(order: Order, customer: Customer, wish: ChangeAddress, catalogue: Catalogue) -> Change:
    """A pending order goes to another address, also after its items were changed."""
    if order.status not in ("pending", "pending (items modified)"):
        raise ToolRefused(_not_in_state(order, "pending", "sent to another address"))
    address = Address(**wish.model_dump(exclude={"order_id"}))
    parts = (
        address.address1,
        address.address2,
        address.city,
        f"{address.state} {address.zip}",
        address.country,
    )
    return Change(
        status=order.status,
        summary=f"Order {order.order_id} goes to {', '.join(part for part in parts if part)}.",
        address=address,
    )


def change_payment(order: Order, customer: Customer, wish: ChangePayment, catalogue: Catalogue) -> Change:
    """A pending order is paid with another single method; the first one gets its money back."""
    _require(order, "pending", "paid another way")
    method = method_of(customer, wish.payment_method_id)
    paid = held(order)
    if method.id in paid:
        raise ToolRefused(
            f"order {order.order_id} is paid with {method.id} already: choose a different method"
        )
    total = sum(paid.values())
    must_cover(method, total)
    back = " and ".join(way_back(customer, old) for old in paid)
    return Change(
        status=order.status,
        summary=f"Order {order.order_id} ({said(total)}) is now paid with {method.id}."
        f" The earlier payment goes back {back or 'to nobody'}.",
        amount_cents=total,
        payments=(
            pay("payment", total, method.id),
            *(pay("refund", amount, old) for old, amount in paid.items()),
        ),
    )


def return_items(order: Order, customer: Customer, wish: ReturnItems, catalogue: Catalogue) -> Change:
    """Items of a delivered order come back; their price is paid when they have arrived. Once per order."""
    _require(order, "delivered", "returned")
    items = lines(order, wish.item_ids)
    method = method_of(customer, wish.payment_method_id)
    must_be_refundable(order, method)
    amount = sum(item.price_cents for item in items)
    _require_left(order, amount)
    return Change(
        status="return requested",
        summary=f"Order {order.order_id}: return of {', '.join(item.name for item in items)} is requested."
        f" {said(amount)} goes to {method.id} when the items are back; how to send them comes by e-mail.",
        amount_cents=amount,
        request=Request(kind="return", item_ids=wish.item_ids, payment_method_id=method.id, due_cents=amount),
    )


def exchange_items(order: Order, customer: Customer, wish: ExchangeItems, catalogue: Catalogue) -> Change:
    """Items of a delivered order become other variants of the same products. Once per order.

    What the new items cost more is taken now, so that a gift card's balance is not promised twice; what
    they cost less is paid out when the old ones are back.
    """
    _require(order, "delivered", "exchanged")
    pairs = swaps(order, wish.item_ids, wish.new_item_ids, catalogue)
    difference = sum(new.price_cents - old.price_cents for old, new in pairs)
    method = method_of(customer, wish.payment_method_id)
    must_cover(method, difference)
    _require_left(order, -difference)
    later = " when the items are back" if difference < 0 else ""
    return Change(
        status="exchange requested",
        summary=f"Order {order.order_id}: exchange is requested: {swaps_said(pairs)}."
        f" {difference_said(customer, difference, method.id, later)} How to send the items comes by e-mail.",
        amount_cents=abs(difference),
        payments=settle(max(difference, 0), method.id),
        request=Request(
            kind="exchange",
            item_ids=wish.item_ids,
            new_item_ids=wish.new_item_ids,
            payment_method_id=method.id,
            due_cents=max(-difference, 0),
        ),
    )


def refund(order: Order, customer: Customer, wish: Refund, catalogue: Catalogue) -> Change:
    """Money back on a delivered order without goods coming back; never more than the order still holds."""
    if order.status not in ("delivered", "return requested", "exchange requested"):
        raise ToolRefused(_not_in_state(order, "delivered", "refunded"))
    method = method_of(customer, wish.payment_method_id)
    must_be_refundable(order, method)
    _require_left(order, wish.amount_cents)
    return Change(
        status=order.status,
        summary=f"{said(wish.amount_cents)} of order {order.order_id} goes back"
        f" {way_back(customer, method.id)}.",
        amount_cents=wish.amount_cents,
        payments=(pay("refund", wish.amount_cents, method.id),),
    )


#: The rule behind each write tool.
RULES: dict[str, Callable[[Order, Customer, Any, Catalogue], Change]] = {
    rule.__name__: rule
    for rule in (
        cancel_order,
        change_items,
        change_address,
        change_payment,
        return_items,
        exchange_items,
        refund,
    )
}


def _require(order: Order, status: OrderStatus, done: str) -> None:
    if order.status != status:
        raise ToolRefused(_not_in_state(order, status, done))


def _require_left(order: Order, amount_cents: int) -> None:
    """Never more goes back than the order holds and has not promised."""
    left = sum(held(order).values()) - (order.request.due_cents if order.request else 0)
    if amount_cents > max(left, 0):
        raise ToolRefused(
            f"order {order.order_id} has {said(max(left, 0))} left to refund, {said(amount_cents)} is more"
        )


def _not_in_state(order: Order, status: str, done: str) -> str:
    once = {
        "pending (items modified)": "its items were changed once already, after which it is final",
        "return requested": "a return was requested already, which is possible once",
        "exchange requested": "an exchange was requested already, which is possible once",
    }.get(order.status, f"it is {order.status}")
    return f"order {order.order_id} cannot be {done}: {once}; only a {status} order can"
