"""What customers call what is theirs: their orders, what is in them, and their ways to pay. For a gate that hears them, not for matching.

Every name is there in the ways in which it is written (`t shirt`, `tshirts`); which of them tells one thing from another is not said here.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field

from meshwright.toolserver import ToolRefused, ToolServer
from orderbook.ledger import order_or_refuse
from orderbook.matching import KIN
from orderbook.methods import BRANDS
from orderbook.wishes import OrderId
from orderbook.wording import CITIES, SIZE_WORDS, called, singular, spans, those
from shop import records
from shop.database import Shop
from shop.models import Names, Order, OrderItem, PaymentMethod

#: Words of names that stand for nothing by themselves.
_EMPTY = those("set kit")
#: Values of options that nobody says before a thing.
_DENIALS = those("no yes none not")
#: Not `gift` alone: many a thing that comes back was one. Nor `credit`: a store's is on no card.
_KINDS = {
    "gift_card": ("gift card", "giftcard", "gc", "card"),
    "credit_card": ("credit card", "creditcard", "card"),
    "paypal": ("paypal", "pay pal"),
}


def offer_names(server: ToolServer, shop: Shop) -> None:
    """Register the tool; it only reads."""

    @server.read
    async def names(
        customer_id: Annotated[str, Field(description="the customer's id", min_length=1, max_length=80)],
        order_id: OrderId,
    ) -> Names:
        """What a customer may call their orders that are in the state of this one, its items, and their ways to pay."""
        return await shop.read(lambda db: names_of(db, customer_id, order_id))


def names_of(db: sqlite3.Connection, customer_id: str, order_id: str) -> Names:
    """Raises ToolRefused when the order is not this customer's."""
    order, customer = order_or_refuse(db, order_id), records.customer(db, customer_id)
    if customer is None or order.customer_id != customer_id:
        raise ToolRefused(f"{order_id} is not an order of {customer_id}")
    alike = [o for o in records.orders_of(db, customer_id) if _state(o) == _state(order)]
    among = [item for each in alike for item in each.items]
    return Names(
        orders={each.order_id: sorted(_order(each, among)) for each in alike},
        items={item.item_id: sorted(_item(item, order.items)) for item in order.items},
        methods={method.id: sorted(_method(method)) for method in customer.payment_methods},
    )


def _state(order: Order) -> str:
    """`pending (items modified)` is pending for whoever waits for it."""
    return order.status.partition(" (")[0]


def _order(order: Order, among: Sequence[OrderItem]) -> set[str]:
    """An order is called by what is in it, and by where it goes: the town alone may be where it should go from now on."""
    city = order.address.city.lower()
    towns = {city, *(short for short, full in CITIES.items() if full == city)}
    found = {phrase for town in towns for phrase in (f"{town} order", f"order sent to {town}")}
    return found.union(*(_item(item, among) for item in order.items))


def _item(item: OrderItem, among: Sequence[OrderItem]) -> set[str]:
    """By its product's name; where there are several of it among these, also by what tells them apart: option and price."""
    found = _product(item.name)
    others = [other for other in among if other.product_id == item.product_id]
    if len({other.item_id for other in others}) > 1:
        noun = singular(" ".join(_words(item.name)[-1:]))
        options = _options(item.options.values())
        found |= {f"{option} {thing}" for option in options for thing in (noun, _plural(noun), "one")}
        prices = [other.price_cents for other in others]
        found |= {"the more expensive", "the pricier"} if item.price_cents == max(prices) else set()
        found |= {"the less expensive", "the cheaper"} if item.price_cents == min(prices) else set()
    return found


def _product(name: str) -> set[str]:
    """The words of a name and its runs of words, each as one and apart, in the singular and the plural."""
    words = _words(name)
    runs = [words[start:end] for start, end in spans(words)]
    found = {text for run in runs for text in (" ".join(run), "".join(run))}
    if len(words) == 1:
        # who has a wristwatch says watch
        found |= {words[0][at:] for at in range(len(words[0]) - 3)}
    found |= {kin for kin, word in KIN.items() if words and word == singular(words[-1])}
    found |= set(called(name))
    found = {text for text in found - _EMPTY if len(text) > 2 or text == " ".join(words)}
    return {form for text in found for form in (text, singular(text), _plural(text))}


def _options(values: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for value in values:
        words = _words(value)
        found |= {" ".join(words), "".join(words), *words, SIZE_WORDS.get(value.lower(), "")}
    return found - _DENIALS - {""}


def _method(method: PaymentMethod) -> set[str]:
    brand = method.brand.lower()
    brands = {brand, *(short for short, full in BRANDS.items() if full == brand)} - {""}
    return {*_KINDS[method.kind], *brands, *(f"{name} card" for name in brands), method.last_four} - {""}


def _plural(text: str) -> str:
    one = singular(text)
    if one.endswith(("s", "x", "sh", "ch")):
        return f"{one}es"
    if one.endswith("f"):
        return f"{one[:-1]}ves"
    return f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
