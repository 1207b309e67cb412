"""Changes of a customer's profile, inside a transaction that the caller holds."""

from __future__ import annotations

import sqlite3

from meshwright.errors import ToolRefused
from shop.effects import Outcome
from shop.models import Address


def move(db: sqlite3.Connection, customer_id: str, address: Address) -> Outcome:
    """Make `address` the customer's default. Raises ToolRefused when there is no such customer."""
    changed = db.execute(
        "UPDATE customers SET address = ? WHERE customer_id = ?", (address.model_dump_json(), customer_id)
    )
    if changed.rowcount == 0:
        raise ToolRefused(f"there is no customer {customer_id}: find_customer gives the id")
    parts = (
        address.address1,
        address.address2,
        address.city,
        f"{address.state} {address.zip}",
        address.country,
    )
    return Outcome(
        f"The default address is now {', '.join(part for part in parts if part)}.", "address changed"
    )
