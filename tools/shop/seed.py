"""A made-up shop for trying things out: the same number always makes the same shop.

Nobody in it exists. What it sells is in `catalogue.toml`, what its handbook says in `articles.md`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import product as combinations
from pathlib import Path
from random import Random
from typing import Any

from shop.chapters import articles
from shop.models import (
    Address,
    Customer,
    Order,
    OrderItem,
    OrderStatus,
    Payment,
    PaymentMethod,
    Product,
    Request,
    Variant,
)
from shop.stock import Contents, stock

CUSTOMERS, ORDERS = 240, 720

#: Variants of one product at most.
VARIANTS = 12


def _listed(text: str, sep: str | None = None) -> list[str]:
    return text.split(sep)


_FIRST = _listed(
    "Ada Amir Anouk Bela Bruno Carmen Celia Dario Dina Edda Elif Emil Esra Felix Flora Goran Greta Hana"
    " Hugo Ida Ivo Jana Jonas Kaya Karim Lea Leon Lina Luca Maja Malik Marta Milo Nadia Nils Nora Omar"
    " Oskar Paula Petra Rafael Rosa Samir Selma Tariq Tessa Timo Uma Vera Viktor Yara Zeno"
)
_LAST = _listed(
    "Adler Albers Becker Bianchi Castell Corvin Dahl Demir Engel Ferrant Fontaine Gerber Grau Halvorsen"
    " Hartmann Ibsen Jansen Keller Kovac Larsen Lindqvist Marek Merz Novak Oberlin Okafor Pavel Petrov"
    " Quist Rahman Reuter Rinaldi Sandoval Seidel Soler Tanaka Thorn Ueda Vargas Vogel Weber Winter"
    " Yilmaz Zander"
)
_STREETS = _listed(
    "Alder Way,Birch Lane,Canal Street,Dover Road,Elm Terrace,Ferry Road,Garden Row,Harbour Street"
    ",Juniper Lane,King's Parade,Linden Avenue,Mill Road,North Walk,Orchard Close,Priory Street"
    ",Quarry Hill,Station Road",
    sep=",",
)
_CITIES = (
    ("Portland", "OR", "972"),
    ("Boise", "ID", "837"),
    ("Madison", "WI", "537"),
    ("Tucson", "AZ", "857"),
    ("Savannah", "GA", "314"),
    ("Providence", "RI", "029"),
    ("Omaha", "NE", "681"),
    ("Spokane", "WA", "992"),
    ("Buffalo", "NY", "142"),
    ("Durham", "NC", "277"),
)
_STATUSES: tuple[tuple[OrderStatus, int], ...] = (
    ("pending", 40),
    ("delivered", 38),
    ("processed", 10),
    ("cancelled", 8),
    ("return requested", 2),
    ("exchange requested", 2),
)


def seed(path: Path, number: int = 7, *, replace: bool = False) -> Contents:
    """Make the demo shop at `path`. Raises ShopError when one is there and `replace` is not said."""
    contents = demo(number)
    stock(path, contents, replace=replace)
    return contents


def demo(number: int = 7) -> Contents:
    """What the demo shop holds, the same for the same number."""
    dice = Random(number)
    numbers = iter(dice.sample(range(1_000_000, 10_000_000), 10_000))  # of which none comes twice
    catalogue = tomllib.loads(_shipped("catalogue.toml"))["product"]
    products = [_product(dice, numbers, entry) for entry in catalogue]
    customers = [_customer(dice, numbers) for _ in range(CUSTOMERS)]
    # everybody has placed one order; the rest fall as they fall
    buyers = customers + [dice.choice(customers) for _ in range(ORDERS - CUSTOMERS)]
    orders = [_order(dice, numbers, buyer, products) for buyer in buyers]
    placed: dict[str, list[str]] = {}
    for order in orders:
        placed.setdefault(order.customer_id, []).append(order.order_id)
    return Contents(
        customers=[c.model_copy(update={"orders": placed[c.customer_id]}) for c in customers],
        products=products,
        orders=orders,
        articles=articles(_shipped("articles.md")),
    )


def _shipped(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _product(dice: Random, numbers: Iterator[int], entry: dict[str, Any]) -> Product:
    options: dict[str, list[str]] = entry["options"]
    choices = [dict(zip(options, values, strict=True)) for values in combinations(*options.values())]
    variants = [
        Variant(
            item_id=f"{next(numbers)}{dice.randint(100, 999)}",
            options=choice,
            available=dice.random() < 0.8,
            price_cents=round(entry["price"] * dice.uniform(1.0, 1.25)) * 100 + dice.choice((0, 49, 90, 95)),
        )
        for choice in dice.sample(choices, min(VARIANTS, len(choices)))
    ]
    return Product(
        product_id=f"{next(numbers)}{dice.randint(100, 999)}", name=entry["name"], variants=variants
    )


def _customer(dice: Random, numbers: Iterator[int]) -> Customer:
    first, last, number = dice.choice(_FIRST), dice.choice(_LAST), next(numbers)
    kinds = dice.sample(("credit_card", "gift_card", "paypal"), dice.randint(1, 3))
    return Customer(
        customer_id=f"{first}_{last}_{number}".lower(),
        first_name=first,
        last_name=last,
        email=f"{first}.{last}{number % 10_000}@example.com".lower(),
        address=_address(dice),
        payment_methods=[_method(dice, numbers, kind) for kind in kinds],
        orders=[],
    )


def _address(dice: Random) -> Address:
    city, state, area = dice.choice(_CITIES)
    return Address(
        address1=f"{dice.randint(1, 990)} {dice.choice(_STREETS)}",
        address2=f"Apt {dice.randint(1, 80)}" if dice.random() < 0.4 else "",
        city=city,
        state=state,
        zip=f"{area}{dice.randint(0, 99):02d}",
        country="USA",
    )


def _method(dice: Random, numbers: Iterator[int], kind: str) -> PaymentMethod:
    name = f"{kind}_{next(numbers)}"
    if kind == "gift_card":
        return PaymentMethod(id=name, kind="gift_card", balance_cents=dice.randint(0, 250) * 100)
    if kind == "paypal":
        return PaymentMethod(id=name, kind="paypal")
    four = f"{dice.randint(0, 9999):04d}"
    return PaymentMethod(
        id=name, kind="credit_card", brand=dice.choice(("visa", "mastercard")), last_four=four
    )


def _order(dice: Random, numbers: Iterator[int], buyer: Customer, products: list[Product]) -> Order:
    bought = dice.sample(products, dice.choice((1, 1, 2, 2, 3, 4)))
    items = [_item(product, dice.choice(product.variants)) for product in bought]
    if dice.random() < 0.02:
        items.append(items[0])  # somebody wants two of a kind
    [status] = dice.choices([name for name, _ in _STATUSES], [weight for _, weight in _STATUSES])
    total = sum(item.price_cents for item in items)
    method = dice.choice(buyer.payment_methods)
    payments = [Payment(kind="payment", amount_cents=total, payment_method_id=method.id)]
    if status == "cancelled":
        payments.append(Payment(kind="refund", amount_cents=total, payment_method_id=method.id))
    shipped = status not in ("pending", "cancelled")
    return Order(
        order_id=f"#W{next(numbers)}",
        customer_id=buyer.customer_id,
        status=status,
        address=buyer.address if dice.random() < 0.9 else _address(dice),
        items=items,
        tracking=[f"{dice.randint(10**11, 10**12 - 1)}"] if shipped else [],
        payments=payments,
        total_cents=total,
        cancel_reason="no longer needed" if status == "cancelled" else "",
        request=_request(status, items[0], method, products),
    )


def _item(product: Product, variant: Variant) -> OrderItem:
    return OrderItem(
        item_id=variant.item_id,
        product_id=product.product_id,
        name=product.name,
        options=variant.options,
        price_cents=variant.price_cents,
    )


def _request(
    status: OrderStatus, item: OrderItem, method: PaymentMethod, products: list[Product]
) -> Request | None:
    """What was asked for, where the status says that something was: about the first item."""
    if status == "return requested":
        return Request(
            kind="return", item_ids=[item.item_id], payment_method_id=method.id, due_cents=item.price_cents
        )
    if status == "exchange requested":
        product = next(p for p in products if p.product_id == item.product_id)
        other = next(v for v in product.variants if v.item_id != item.item_id)
        return Request(
            kind="exchange",
            item_ids=[item.item_id],
            new_item_ids=[other.item_id],
            payment_method_id=method.id,
            due_cents=max(item.price_cents - other.price_cents, 0),
        )
    return None
