"""From the shop's rows to its models and back: the only file that knows which column is which field."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from shop.models import (
    Address,
    Article,
    Customer,
    Order,
    OrderItem,
    Payment,
    PaymentMethod,
    Product,
    Request,
    Variant,
)


def folded(text: str) -> str:
    """Text as it is compared when somebody is looked up: case and stray spaces do not count."""
    return " ".join(text.split()).casefold()


def order(db: sqlite3.Connection, order_id: str) -> Order | None:
    """The order, or None if there is no such."""
    row = db.execute("SELECT * FROM orders WHERE order_id = ?", (order_id,)).fetchone()
    return _order(db, row) if row else None


def orders_of(db: sqlite3.Connection, customer_id: str) -> list[Order]:
    """The customer's orders as they were placed."""
    rows = db.execute("SELECT * FROM orders WHERE customer_id = ? ORDER BY rowid", (customer_id,)).fetchall()
    return [_order(db, row) for row in rows]


def customer(db: sqlite3.Connection, customer_id: str) -> Customer | None:
    """The customer, or None if there is no such."""
    row = db.execute("SELECT * FROM customers WHERE customer_id = ?", (customer_id,)).fetchone()
    if row is None:
        return None
    methods = db.execute("SELECT * FROM payment_methods WHERE customer_id = ? ORDER BY rowid", (customer_id,))
    orders = db.execute("SELECT order_id FROM orders WHERE customer_id = ? ORDER BY rowid", (customer_id,))
    return Customer(
        customer_id=row["customer_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        email=row["email"],
        address=Address.model_validate_json(row["address"]),
        payment_methods=[
            PaymentMethod(
                id=m["payment_method_id"],
                kind=m["kind"],
                brand=m["brand"],
                last_four=m["last_four"],
                balance_cents=m["balance_cents"],
            )
            for m in methods
        ],
        orders=[o["order_id"] for o in orders],
    )


def product(db: sqlite3.Connection, product_id: str) -> Product | None:
    """The product with its variants, or None if there is no such."""
    row = db.execute("SELECT * FROM products WHERE product_id = ?", (product_id,)).fetchone()
    if row is None:
        return None
    variants = db.execute("SELECT * FROM variants WHERE product_id = ? ORDER BY rowid", (product_id,))
    return Product(
        product_id=row["product_id"],
        name=row["name"],
        variants=[
            Variant(
                item_id=v["item_id"],
                options=json.loads(v["options"]),
                available=bool(v["available"]),
                price_cents=v["price_cents"],
            )
            for v in variants
        ],
    )


def product_of_item(db: sqlite3.Connection, item_id: str) -> Product | None:
    """The product that this item is a variant of, or None."""
    row = db.execute("SELECT product_id FROM variants WHERE item_id = ?", (item_id,)).fetchone()
    return product(db, row["product_id"]) if row else None


def product_names(db: sqlite3.Connection) -> dict[str, str]:
    """Every product's name by its id."""
    return {row["product_id"]: row["name"] for row in db.execute("SELECT * FROM products ORDER BY rowid")}


def add_customer(db: sqlite3.Connection, who: Customer) -> None:
    """Insert the customer and their payment methods; their orders are inserted by themselves."""
    db.execute(
        "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            who.customer_id,
            who.first_name,
            who.last_name,
            who.email,
            who.address.model_dump_json(),
            folded(who.email),
            folded(f"{who.first_name} {who.last_name}"),
        ),
    )
    db.executemany(
        "INSERT INTO payment_methods VALUES (?, ?, ?, ?, ?, ?)",
        [(who.customer_id, m.id, m.kind, m.brand, m.last_four, m.balance_cents) for m in who.payment_methods],
    )


def add_product(db: sqlite3.Connection, what: Product) -> None:
    db.execute("INSERT INTO products VALUES (?, ?)", (what.product_id, what.name))
    db.executemany(
        "INSERT INTO variants VALUES (?, ?, ?, ?, ?)",
        [
            (v.item_id, what.product_id, json.dumps(v.options), v.available, v.price_cents)
            for v in what.variants
        ],
    )


def add_order(db: sqlite3.Connection, what: Order) -> None:
    request = what.request.model_dump_json() if what.request else None
    db.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            what.order_id,
            what.customer_id,
            what.status,
            what.address.model_dump_json(),
            json.dumps(what.tracking),
            what.cancel_reason,
            request,
        ),
    )
    put_items(db, what.order_id, what.items)
    add_payments(db, what.order_id, what.payments)


def put_items(db: sqlite3.Connection, order_id: str, items: Iterable[OrderItem]) -> None:
    """Make these the items of the order, line by line."""
    db.execute("DELETE FROM order_items WHERE order_id = ?", (order_id,))
    db.executemany(
        "INSERT INTO order_items VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (order_id, line, i.item_id, i.product_id, i.name, json.dumps(i.options), i.price_cents)
            for line, i in enumerate(items, 1)
        ],
    )


def add_payments(db: sqlite3.Connection, order_id: str, payments: Iterable[Payment]) -> None:
    """Append to the order's payments."""
    seq = db.execute("SELECT count(*) FROM payments WHERE order_id = ?", (order_id,)).fetchone()[0]
    db.executemany(
        "INSERT INTO payments VALUES (?, ?, ?, ?, ?)",
        [
            (order_id, number, p.kind, p.amount_cents, p.payment_method_id)
            for number, p in enumerate(payments, seq + 1)
        ],
    )


def add_article(db: sqlite3.Connection, what: Article) -> None:
    db.execute("INSERT INTO articles VALUES (?, ?, ?)", (what.article, what.title, what.text))


def _order(db: sqlite3.Connection, row: sqlite3.Row) -> Order:
    key = (row["order_id"],)
    items = [
        OrderItem(
            item_id=i["item_id"],
            product_id=i["product_id"],
            name=i["name"],
            options=json.loads(i["options"]),
            price_cents=i["price_cents"],
        )
        for i in db.execute("SELECT * FROM order_items WHERE order_id = ? ORDER BY line", key)
    ]
    payments = [
        Payment(kind=p["kind"], amount_cents=p["amount_cents"], payment_method_id=p["payment_method_id"])
        for p in db.execute("SELECT * FROM payments WHERE order_id = ? ORDER BY seq", key)
    ]
    return Order(
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        status=row["status"],
        address=Address.model_validate_json(row["address"]),
        items=items,
        tracking=json.loads(row["tracking"]),
        payments=payments,
        total_cents=sum(i.price_cents for i in items),
        cancel_reason=row["cancel_reason"],
        request=Request.model_validate_json(row["request"]) if row["request"] else None,
    )
