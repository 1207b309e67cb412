"""The money side of an order: who may pay or be paid, with what, and how that is said."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from meshwright.errors import ToolRefused
from shop.models import Customer, Order, Payment, PaymentMethod
from shop.money import said


def method_of(customer: Customer, payment_method_id: str) -> PaymentMethod:
    for method in customer.payment_methods:
        if method.id == payment_method_id:
            return method
    raise ToolRefused(
        f"{payment_method_id} is not among the customer's payment methods: choose one of the profile"
    )


def must_cover(method: PaymentMethod, amount_cents: int) -> None:
    if method.kind == "gift_card" and amount_cents > method.balance_cents:
        raise ToolRefused(
            f"gift card {method.id} holds {said(method.balance_cents)},"
            f" which does not cover {said(amount_cents)}"
        )


def must_be_refundable(order: Order, method: PaymentMethod) -> None:
    if method.kind != "gift_card" and _balances(order)[method.id] <= 0:
        raise ToolRefused(
            f"{method.id} did not pay for order {order.order_id}: a refund goes to the original payment"
            " method or to a gift card on the profile"
        )


def held(order: Order) -> dict[str, int]:
    """What the shop still holds for the order, in cents by payment method.

    What went back to a method that had not paid, as a refund to a gift card does, is no more with those that had: the first first.
    """
    balances = _balances(order)
    gone = -sum(amount for amount in balances.values() if amount < 0)
    left: dict[str, int] = {}
    for method, amount in balances.items():
        taken = min(max(amount, 0), gone)
        gone -= taken
        if amount > taken:
            left[method] = amount - taken
    return left


def _balances(order: Order) -> Counter[str]:
    """What each method has paid for the order, less what it got back, in cents."""
    sums: Counter[str] = Counter()
    for payment in order.payments:
        sums[payment.payment_method_id] += payment.amount_cents * (1 if payment.kind == "payment" else -1)
    return sums


def pay(kind: Literal["payment", "refund"], amount_cents: int, method: str) -> Payment:
    return Payment(kind=kind, amount_cents=amount_cents, payment_method_id=method)


def settle(difference: int, method: str) -> tuple[Payment, ...]:
    """The customer pays a positive difference and is paid a negative one."""
    if not difference:
        return ()
    return (pay("payment" if difference > 0 else "refund", abs(difference), method),)


def difference_said(customer: Customer, difference: int, method: str, later: str = "") -> str:
    if difference > 0:
        return f"{said(difference)} more is paid with {method}."
    if difference < 0:
        way = f"to {method}{later}" if later else way_back(customer, method)
        return f"{said(-difference)} goes back {way}."
    return "The price stays the same."


def way_back(customer: Customer, method_id: str) -> str:
    """Where money goes and when it is there."""
    kind = next((m.kind for m in customer.payment_methods if m.id == method_id), None)
    return f"to {method_id} " + ("at once" if kind == "gift_card" else "within 5 to 7 business days")
