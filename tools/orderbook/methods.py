"""Which payment method, and which of their own addresses, a customer's words mean.

What the words do not decide stays empty, with a `why`. Pure functions over the shop's records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orderbook.wording import CITIES, joined, those, words
from shop.models import Address, Customer, Order, PaymentMethod, Record


class MethodMatch(Record):
    """The payment method a phrase means; empty with a `why` when it is none or not one."""

    payment_method_id: str = ""
    why: str = ""


class AddressMatch(Record):
    """The one address of a customer that a place names; None with a `why` when it is none or several."""

    address: Address | None = None
    why: str = ""


def place_of(phrase: str) -> str:
    """A city's full name for its usual short one, as part of a phrase."""
    full = " ".join(CITIES.get(word, word) for word in phrase.lower().split())
    return re.sub(r"\b(\w+) \1\b", r"\1", full)  # `Washington DC` is one place


_METHOD_WORDS = {"gift": "gift_card", "gc": "gift_card", "giftcard": "gift_card", "credit": "credit_card",
                 "paypal": "paypal"}  # fmt: skip
_METHOD_EMPTY = those(
    "the a an your my card account method payment original on file same one to existing used use "
    "order for of form it was paid with back credit gift saved balance default you i"
)
BRANDS = {"amex": "american express", "mc": "mastercard", "master": "mastercard"}


def match_address(customer: Customer, orders: Iterable[Order], place: str) -> AddressMatch:
    """The address in `place` (a city, a state, a street) among those of the profile and the orders."""
    wanted = words(place_of(place))
    known = {a.model_dump_json(): a for a in (customer.address, *(o.address for o in orders))}
    fitting = [a for a in known.values() if wanted in (words(a.city), words(a.state), words(a.address1))]
    if len(fitting) == 1:
        return AddressMatch(address=fitting[0])
    number = "none" if not fitting else "more than one"
    return AddressMatch(why=f"{number} of the customer's addresses is '{place}'")


def match_method(
    customer: Customer, order: Order | None, phrase: str, *, refund_only: bool = False, need_cents: int = 0
) -> MethodMatch:
    """The payment method that `phrase` means; the original one of the order when it says nothing.

    With `refund_only` (returns) the handbook allows the original method or a gift card, nothing else. A gift
    card must hold `need_cents`, what there is to pay.

    """
    found = _meant(customer, order, phrase, refund_only)
    method = next((m for m in customer.payment_methods if m.id == found.payment_method_id), None)
    if method and method.kind == "gift_card" and method.balance_cents < need_cents:
        return MethodMatch(why="the gift card does not hold enough for the price difference")
    return found


def _meant(customer: Customer, order: Order | None, phrase: str, refund_only: bool) -> MethodMatch:
    original = order.payments[0].payment_method_id if order and order.payments else ""
    tokens = words(phrase)
    if not tokens or ("original" in tokens and all(t in _METHOD_EMPTY for t in tokens)):
        if original and any(m.id == original for m in customer.payment_methods):
            return MethodMatch(payment_method_id=original)
        return MethodMatch(why="the order's original payment method is not on the profile any more")
    if ids := re.findall(r"\b[a-z]+(?:_[a-z]+)*_\d+\b", phrase):
        fitting = [m for m in customer.payment_methods if ids == [m.id]]
        left: list[str] = []
    else:
        fitting, left = _methods(customer, tokens)
    if left:
        return MethodMatch(why=f"cannot tell which payment method '{phrase}' is")
    if refund_only:
        allowed = [m for m in fitting if m.id == original or m.kind == "gift_card"]
        if fitting and not allowed:
            return MethodMatch(why="a refund can only go to the original payment method or to a gift card")
        fitting = allowed
    if len(fitting) != 1:
        number = "no" if not fitting else "more than one"
        return MethodMatch(why=f"{number} payment method on the profile fits '{phrase}'")
    return MethodMatch(payment_method_id=fitting[0].id)


def _methods(customer: Customer, tokens: list[str]) -> tuple[list[PaymentMethod], list[str]]:
    fitting, left = list(customer.payment_methods), []
    if "card" in tokens:
        fitting = [m for m in fitting if m.kind.endswith("card")]
    for token in tokens:
        brand = joined(BRANDS.get(token, token))
        if token in _METHOD_WORDS:
            fitting = [m for m in fitting if m.kind == _METHOD_WORDS[token]]
        elif kept := [m for m in fitting if (m.brand and joined(m.brand) == brand) or m.last_four == token]:
            fitting = kept
        elif token not in _METHOD_EMPTY:
            left.append(token)
    return fitting, left
