"""What somebody may want of an order: one model per write tool, its fields being the tool's arguments.

A wish is well formed by itself; whether it may be fulfilled is decided in `rules`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shop.models import CancelReason, Record

OrderId = Annotated[
    str, Field(description="the order's id with its #, such as #W1234567", min_length=1, max_length=40)
]
MethodId = Annotated[
    str,
    Field(
        description="id of one of the customer's payment methods, from their profile",
        min_length=1,
        max_length=60,
    ),
]
ItemIds = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=40)]],
    Field(
        description="item ids of the order's lines; an item that is meant twice is listed twice",
        min_length=1,
        max_length=50,
    ),
]
NewItemIds = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=40)]],
    Field(
        description="what each item becomes, in the same order as item_ids: another available variant of the"
        " same product",
        min_length=1,
        max_length=50,
    ),
]
AddressLine = Annotated[str, Field(min_length=1, max_length=120)]
SecondLine = Annotated[str, Field(max_length=120, description="suite, flat or floor; may be empty")]


class Wish(Record):
    """What every wish names: the order that it is about."""

    order_id: OrderId


class CancelOrder(Wish):
    reason: CancelReason


class ChangeItems(Wish):
    item_ids: ItemIds
    new_item_ids: NewItemIds
    payment_method_id: MethodId


class ChangeAddress(Wish):
    address1: AddressLine
    address2: SecondLine = ""
    city: AddressLine
    state: AddressLine
    zip: AddressLine
    country: AddressLine


class ChangePayment(Wish):
    payment_method_id: MethodId


class ReturnItems(Wish):
    item_ids: ItemIds
    payment_method_id: MethodId


class ExchangeItems(Wish):
    item_ids: ItemIds
    new_item_ids: NewItemIds
    payment_method_id: MethodId


class Refund(Wish):
    amount_cents: Annotated[int, Field(gt=0, description="how much to give back, in cents")]
    payment_method_id: MethodId
    reason: Annotated[str, Field(min_length=1, max_length=400)]


#: The wish behind each write tool.
WISHES: dict[str, type[Wish]] = {
    "cancel_order": CancelOrder,
    "change_items": ChangeItems,
    "change_address": ChangeAddress,
    "change_payment": ChangePayment,
    "return_items": ReturnItems,
    "exchange_items": ExchangeItems,
    "refund": Refund,
}
