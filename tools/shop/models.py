"""What the shop's records look like to whoever reads them: the results of the tools, as pydantic models.

Money is whole cents everywhere. Ids are opaque strings as the shop gives them out; an order's starts with
`#`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

OrderStatus = Literal[
    "pending",
    "pending (items modified)",
    "processed",
    "delivered",
    "cancelled",
    "return requested",
    "exchange requested",
]
CancelReason = Literal["no longer needed", "ordered by mistake"]
MethodKind = Literal["credit_card", "gift_card", "paypal"]
TicketState = Literal["open", "answered", "escalated", "closed"]


class Record(BaseModel):
    """Base of the shop's records: unknown fields are refused, and nothing is changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Address(Record):
    """A postal address. `address2` (suite, flat) may be empty, nothing else."""

    address1: str
    address2: str = ""
    city: str
    state: str
    zip: str
    country: str


class OrderItem(Record):
    """One line of an order. The same `item_id` may stand on several lines: one line is one piece."""

    item_id: str
    product_id: str
    name: str
    options: dict[str, str]
    price_cents: int


class Payment(Record):
    """Money that moved for an order: taken (`payment`) or given back (`refund`); never negative."""

    kind: Literal["payment", "refund"]
    amount_cents: int = Field(ge=0)
    payment_method_id: str


class Request(Record):
    """A return or exchange that was asked for. `due_cents` goes out once the items are back."""

    kind: Literal["return", "exchange"]
    item_ids: list[str]
    new_item_ids: list[str] = Field(default_factory=list)
    payment_method_id: str
    due_cents: int = 0


class Order(Record):
    """One order. `payments[0]` is the original payment; `total_cents` sums the items as they are now."""

    order_id: str
    customer_id: str
    status: OrderStatus
    address: Address
    items: list[OrderItem]
    tracking: list[str] = Field(default_factory=list)
    payments: list[Payment] = Field(default_factory=list)
    total_cents: int
    cancel_reason: str = ""
    request: Request | None = None


class Orders(Record):
    """Orders of one customer, in the order in which they were placed."""

    orders: list[Order]


class Variant(Record):
    """One thing that can be bought: a product with every option chosen. `available` means in stock now."""

    item_id: str
    options: dict[str, str]
    available: bool
    price_cents: int


class Product(Record):
    """A product and all its variants, the unavailable ones too."""

    product_id: str
    name: str
    variants: list[Variant]


class Products(Record):
    products: list[Product]


class PaymentMethod(Record):
    """A way to pay that a customer has on file. Cards have `brand` and `last_four`, gift cards a balance."""

    id: str
    kind: MethodKind
    brand: str = ""
    last_four: str = ""
    balance_cents: int = 0


class Customer(Record):
    """A customer's profile. `orders` holds ids, in the order in which they were placed."""

    customer_id: str
    first_name: str
    last_name: str
    email: str
    address: Address
    payment_methods: list[PaymentMethod]
    orders: list[str]


class Identity(Record):
    """Whether what somebody says of themselves names exactly one customer; if not, `customer_id` is empty. `by` says by what."""

    customer_id: str = ""
    verified: bool
    why: str
    by: list[Literal["e-mail", "full name and zip code", "customer id and zip code"]] = Field(
        default_factory=list
    )


class Receipt(Record):
    """What a write did. `replayed` is true when this key had been applied before and nothing happened now.

    `amount_cents` is how much money the effect moves, in either direction (`summary` says which).
    `state` is what the order, profile or ticket is in afterwards, `grant` the id of the grant it was done under.
    """

    action: str
    key: str
    grant: str = ""
    replayed: bool = False
    amount_cents: int = Field(default=0, ge=0)
    summary: str
    state: str


class Preview(Record):
    """What a write would do now: whether the rules allow it, why not, and the money it would move."""

    allowed: bool
    why: str = ""
    amount_cents: int = Field(default=0, ge=0)
    summary: str = ""
    state: str = ""


class Terms(Record):
    """What a change of an order would meet, as plain facts without an opinion; money in cents.

    Of the items: whether the order holds them all, each is paired with a new one, and each new one is of the same product, another
    option, and available. Of the payment method: whether it is on the profile, what it is and holds, whether it paid for the order
    and pays for it now. `value_cents` is the price of the items, `difference_cents` what the new ones cost more, `held_cents` what
    the shop holds for the order and `refundable_cents` what of that is not promised to anybody.
    """

    customer_id: str
    holds_items: bool
    paired: bool
    same_product: bool
    other_option: bool
    available: bool
    value_cents: int
    difference_cents: int
    method_known: bool
    method_kind: str = ""
    method_balance_cents: int = 0
    method_paid: bool
    method_pays_now: bool
    held_cents: int
    refundable_cents: int


class Names(Record):
    """What customers call what is theirs, by its id, in lower case; a phrase may name several.

    The customer's orders that are in the state of the one that was asked about, the items of that one, and all ways to pay.
    """

    orders: dict[str, list[str]]
    items: dict[str, list[str]]
    methods: dict[str, list[str]]


class History(Record):
    """What has become of a customer's orders so far. Money in cents."""

    orders: int
    cancelled: int
    returned: int
    exchanged: int
    goodwill_refunds: int
    goodwill_cents: int


class Passage(Record):
    """A handbook article that a search found; a higher `score` fits better."""

    article: str
    title: str
    text: str
    score: float


class Passages(Record):
    """What a search found, best first; empty when nothing in the handbook fits."""

    passages: list[Passage]


class Article(Record):
    article: str
    title: str
    text: str


class TicketNote(Record):
    """One entry in a ticket's history; `at` is UTC, ISO 8601."""

    kind: Literal["reply", "escalation", "closing"]
    text: str
    at: str


class Ticket(Record):
    ticket_id: str
    state: TicketState
    notes: list[TicketNote]
