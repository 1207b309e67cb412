"""A shop as large as the storm is long, and what its customers write: each order is the matter of one ticket, so that what
happens to it twice was done twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from random import Random

from shop.models import Customer, Order, OrderItem, Payment, Product
from shop.records import folded
from shop.seed import demo
from shop.stock import Contents, stock

#: One pending order in so many is so large that a person decides.
LARGE = 2
#: Pieces in a large order, and in every other of them: so many that two people decide.
PIECES, MANY = 8, 24
#: One ticket in so many changes nothing: it asks.
QUESTIONS = 4


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a customer writes. `order` is the one it would change; empty for a question."""

    text: str
    order: str = ""


def make_shop(path: Path, copies: int) -> Contents:
    """The demo shop with its customers and their orders `copies` times over, each time at another zip."""
    contents = _with_large_orders(_multiplied(demo(), copies))
    stock(path, contents)
    return contents


def _multiplied(first: Contents, copies: int) -> Contents:
    customers, orders = list(first.customers), list(first.orders)
    used = {order.order_id for order in orders}
    fresh = (name for n in range(1_000_000, 10_000_000) if (name := f"#W{n}") not in used)
    for copy in range(1, copies):
        renamed = {order.order_id: next(fresh) for order in first.orders}
        for customer in first.customers:
            zip_code = f"{(int(customer.address.zip) + 1009 * copy) % 100_000:05d}"
            customers.append(
                customer.model_copy(
                    update={
                        "customer_id": f"{customer.customer_id}_{copy}",
                        "email": f"n{copy}.{customer.email}",
                        "address": customer.address.model_copy(update={"zip": zip_code}),
                        "orders": [renamed[order] for order in customer.orders],
                    }
                )
            )
        orders += [
            order.model_copy(
                update={
                    "order_id": renamed[order.order_id],
                    "customer_id": f"{order.customer_id}_{copy}",
                }
            )
            for order in first.orders
        ]
    return replaced(first, customers=customers, orders=orders)


def _with_large_orders(contents: Contents) -> Contents:
    dearest = max(contents.products, key=lambda product: max(v.price_cents for v in product.variants))
    variant = max(dearest.variants, key=lambda v: v.price_cents)
    item = OrderItem(
        item_id=variant.item_id,
        product_id=dearest.product_id,
        name=dearest.name,
        options=variant.options,
        price_cents=variant.price_cents,
    )
    orders = list(contents.orders)
    pending = [place for place, order in enumerate(orders) if order.status == "pending"]
    for number, place in enumerate(pending[::LARGE]):
        pieces = MANY if number % 2 else PIECES
        total = pieces * variant.price_cents
        method = orders[place].payments[0].payment_method_id
        paid = Payment(kind="payment", amount_cents=total, payment_method_id=method)
        orders[place] = orders[place].model_copy(
            update={"items": [item] * pieces, "payments": [paid], "total_cents": total}
        )
    return replaced(contents, orders=orders)


def tickets(contents: Contents, dice: Random) -> Iterator[Ticket]:
    """Endless: changes while there are orders that nobody wrote about yet, and questions."""
    customers = {customer.customer_id: customer for customer in contents.customers}
    products = {product.product_id: product for product in contents.products}
    names: dict[tuple[str, str], int] = {}
    for customer in contents.customers:
        names[_named(customer)] = names.get(_named(customer), 0) + 1
    orders = [
        order
        for order in contents.orders
        if names[_named(customers[order.customer_id])] == 1
        and (len({item.name for item in order.items}) == len(order.items) or _is_large(order))
    ]
    dice.shuffle(orders)
    for house, order in enumerate(orders, 1):
        me = _who(customers[order.customer_id])
        if dice.randrange(QUESTIONS) == 0:
            yield Ticket(f"{me} {_question(order, dice)}")
        wish = _wish(order, products, dice, house)
        if wish:
            yield Ticket(f"{me} {wish}", order.order_id)
    while True:
        order = dice.choice(orders)
        yield Ticket(f"{_who(customers[order.customer_id])} {_question(order, dice)}")


def _wish(order: Order, products: dict[str, Product], dice: Random, house: int) -> str:
    """What somebody may want of an order in its state; empty for nothing."""
    name, first = order.order_id, order.items[0]
    if order.status == "pending":
        if _is_large(order):
            return f"Please cancel order {name} because it was ordered by mistake."
        if dice.random() < 0.5:
            return f"Please cancel order {name} because I no longer need it."
        return f"Please change the address of order {name} to {house} Harbour Street, Portland, OR 97205."
    if order.status == "delivered":
        colour = _other_colour(products[first.product_id], first)
        if colour and dice.random() < 0.5:
            return f"I want to exchange the {first.name} in order {name} for the same one in {colour}."
        return f"I want to return the {first.name} from order {name}."
    return ""


def _question(order: Order, dice: Random) -> str:
    return dice.choice((f"Where is my order {order.order_id}?", "When does the refund of a return arrive?"))


def _is_large(order: Order) -> bool:
    return order.status == "pending" and len(order.items) >= PIECES


def _named(customer: Customer) -> tuple[str, str]:
    return folded(f"{customer.first_name} {customer.last_name}"), customer.address.zip


def _who(customer: Customer) -> str:
    return f"I am {customer.first_name} {customer.last_name}, zip {customer.address.zip}."


def _other_colour(product: Product, item: OrderItem) -> str:
    for variant in product.variants:
        different = [key for key, value in variant.options.items() if item.options.get(key) != value]
        if variant.available and different == ["color"]:
            return variant.options["color"]
    return ""
