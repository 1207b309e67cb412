"""A shop of a handful of records for tests, made through the importer: small enough to know by heart.

Ada Novak has everything: pending, modified, processed, delivered and cancelled orders, a card, PayPal and a
gift card of $30.00. Ben Ibsen has one pending order that is paid with his gift card. A mug costs $10.00
blue, $15.00 red, $8.00 green and $9.00 in a black that is sold out; a lamp costs $40.00 small and $100.00
big.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from meshwright.deadline import Deadline
from meshwright.grants.grant import Grant
from meshwright.toolserver import Call
from shop.database import Shop
from shop.importer import HANDBOOK_FILE, SHOP_FILE, import_shop

CARD, PAYPAL, GIFT = "credit_card_1", "paypal_1", "gift_card_1"
BLUE, RED, GREEN, BLACK, SMALL, BIG = (
    "mug-blue",
    "mug-red",
    "mug-green",
    "mug-black",
    "lamp-small",
    "lamp-big",
)

_PRICES = {BLUE: 10.0, RED: 15.0, GREEN: 8.0, BLACK: 9.0, SMALL: 40.0, BIG: 100.0}

HANDBOOK = """
# Handbook

## Cancel pending order
A pending order can be cancelled, with the reason no longer needed or ordered by mistake.

## Modify pending order

### Modify payment
Another single payment method can be chosen. A gift card must cover the total.

### Modify items
Items change to another option of the same product, once.

## Return delivered order
The refund goes to the original payment method or to an existing gift card.
"""


def address(street: str = "1 Mill Road", zip: str = "97201") -> dict[str, str]:
    """An address as the files and the tools have it."""
    return {
        "address1": street,
        "address2": "",
        "city": "Portland",
        "state": "OR",
        "zip": zip,
        "country": "USA",
    }


def document() -> dict[str, Any]:
    """The shop as retail JSON, fresh for each caller, who may spoil it."""
    orders = [
        _order("#W1", "ada", "pending", [BLUE, BLUE, SMALL], CARD),
        _order("#W2", "ada", "delivered", [BLUE, BLUE, SMALL], CARD),
        _order("#W3", "ada", "processed", [RED], PAYPAL),
        _order("#W4", "ada", "cancelled", [RED], CARD),
        _order("#W5", "ada", "pending (item modified)", [RED], CARD),
        _order("#W6", "ben", "pending", [GREEN], "gift_card_2"),
    ]
    return {
        "products": {
            "mug": _product("mug", "Mug", "color", [BLUE, RED, GREEN, BLACK]),
            "lamp": _product("lamp", "Desk Light", "size", [SMALL, BIG]),
        },
        "users": {
            "ada": _user("ada", "Ada", "Novak", "97201", orders, {CARD: "", PAYPAL: "", GIFT: 30.0}),
            "ben": _user("ben", "Ben", "Ibsen", "97201", orders, {"gift_card_2": 5.5}),
        },
        "orders": {order["order_id"]: order for order in orders},
    }


def folder(path: Path, shop: dict[str, Any] | None = None, handbook: str = HANDBOOK) -> Path:
    """The files to import, written into `path`."""
    path.mkdir(parents=True, exist_ok=True)
    (path / SHOP_FILE).write_text(json.dumps(shop or document()))
    (path / HANDBOOK_FILE).write_text(handbook)
    return path


def small_shop(path: Path) -> Shop:
    """The shop, made at `path`/shop.db and open; the caller closes it."""
    import_shop(folder(path / "files"), path / "shop.db")
    return Shop(path / "shop.db")


def call(key: str, tool: str, arguments: dict[str, Any], *, by: Deadline | None = None) -> Call:
    """A call as a tool server admits it from the apply step, with its grant."""
    unsigned = Grant.of(tool, arguments, key=key, ticket="ticket-1", policy="test")
    now = int(time.time())
    grant = unsigned.model_copy(
        update={"iss": "orchestrator", "aud": "orderbook", "iat": now, "exp": now + 60}
    )
    return Call("orchestrator", by or Deadline.after(30), key, "ticket-1", grant=grant)


def _product(name: str, title: str, option: str, items: list[str]) -> dict[str, Any]:
    return {
        "product_id": name,
        "name": title,
        "variants": {
            item: {
                "item_id": item,
                "options": {option: item.split("-")[1]},
                "available": item != BLACK,
                "price": _PRICES[item],
            }
            for item in items
        },
    }


def _order(name: str, user: str, status: str, items: list[str], method: str) -> dict[str, Any]:
    total = sum(_PRICES[item] for item in items)
    kinds = ["payment", "refund"] if status == "cancelled" else ["payment"]
    return {
        "order_id": name,
        "user_id": user,
        "address": address(),
        "status": status,
        "items": [
            {
                "item_id": item,
                "product_id": item.split("-")[0],
                "name": "Mug" if item.startswith("mug") else "Desk Light",
                "options": {},
                "price": _PRICES[item],
            }
            for item in items
        ],
        "fulfillments": [],
        "payment_history": [
            {"transaction_type": kind, "amount": total, "payment_method_id": method} for kind in kinds
        ],
    }


def _user(
    name: str, first: str, last: str, zip: str, orders: list[dict[str, Any]], methods: dict[str, Any]
) -> dict[str, Any]:
    return {
        "user_id": name,
        "name": {"first_name": first, "last_name": last},
        "address": address(zip=zip),
        "email": f"{first}.{last}@Example.com",
        "payment_methods": {
            method: {
                "id": method,
                "source": method.rsplit("_", 1)[0],
                **({"balance": held} if held != "" else {}),
            }
            for method, held in methods.items()
        },
        "orders": [order["order_id"] for order in orders if order["user_id"] == name],
    }
