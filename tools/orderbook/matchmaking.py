"""The matching as tools: a customer's words in, the one record that they mean out, or why there is none."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Literal

from pydantic import Field

from meshwright.toolserver import ToolRefused, ToolServer
from orderbook import matching, methods, variants
from orderbook.matching import ItemMatch
from orderbook.methods import AddressMatch, MethodMatch
from orderbook.variants import VariantMatch
from shop import records
from shop.database import Shop
from shop.models import Customer

CustomerId = Annotated[str, Field(description="the customer's id", min_length=1, max_length=80)]
Phrase = Annotated[str, Field(description="the customer's own words for it", max_length=400)]
OrderId = Annotated[
    str, Field(description="an order's id with its #, where the customer names one", max_length=40)
]
Status = Literal["pending", "processed", "delivered", "cancelled"]


def offer_matching(server: ToolServer, shop: Shop) -> None:
    """Register the four matching tools; all of them only read."""

    @server.read
    async def match_items(
        customer_id: CustomerId,
        phrase: Phrase,
        order_id: OrderId = "",
        statuses: Annotated[
            list[Status] | None, Field(description="only orders in one of these states")
        ] = None,
    ) -> ItemMatch:
        """Which lines of the orders a phrase means ('the blue headphones'); empty with `why` if unsure."""
        orders = await shop.read(lambda db: records.orders_of(db, customer_id))
        return matching.match_items(orders, phrase, order_id, statuses or ())

    @server.read
    async def match_variant(
        item_id: Annotated[str, Field(description="the item the customer has", min_length=1, max_length=40)],
        wish: Phrase,
    ) -> VariantMatch:
        """Which available variant of the same product a wish means ('same but large', 'the cheapest')."""
        product = await shop.read(lambda db: records.product_of_item(db, item_id))
        if product is None:
            raise ToolRefused(f"there is no item {item_id}")
        return variants.match_variant(product, item_id, wish)

    @server.read
    async def match_method(
        customer_id: CustomerId,
        phrase: Phrase = "",
        order_id: OrderId = "",
        refund_only: Annotated[
            bool, Field(description="a return: original method or gift card only")
        ] = False,
        need_cents: Annotated[int, Field(ge=0, description="what a gift card must hold")] = 0,
    ) -> MethodMatch:
        """Which payment method of the customer a phrase means; the order's original one when it is empty."""
        customer, order = await shop.read(
            lambda db: (_customer(db, customer_id), records.order(db, order_id) if order_id else None)
        )
        if order is not None and order.customer_id != customer_id:
            raise ToolRefused(f"order {order_id} is not this customer's")
        return methods.match_method(customer, order, phrase, refund_only=refund_only, need_cents=need_cents)

    @server.read
    async def match_address(customer_id: CustomerId, place: Phrase) -> AddressMatch:
        """The customer's one address, of their profile or orders, in a place ('NYC', 'Chicago')."""
        customer, orders = await shop.read(
            lambda db: (_customer(db, customer_id), records.orders_of(db, customer_id))
        )
        return methods.match_address(customer, orders, place)


def _customer(db: sqlite3.Connection, customer_id: str) -> Customer:
    found = records.customer(db, customer_id)
    if found is None:
        raise ToolRefused(f"there is no customer {customer_id}")
    return found
