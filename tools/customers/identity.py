"""Whether what somebody says about themselves names exactly one customer.

Enough is: the e-mail address on the account; or the full name with the zip code; or a customer id with one
of the two. What is given beyond that must not contradict it: of several e-mails all that are known must be
one customer's. A refusal never says which part was wrong, so
that it teaches nothing to somebody who tries names.
"""

from __future__ import annotations

import sqlite3
from typing import Literal

from shop.models import Address, Identity
from shop.records import folded

ASK = "give the e-mail address of the account, or the full name together with the zip code"
TOO_LITTLE = Identity(verified=False, why=f"this is not enough to identify a customer: {ASK}")
NO_MATCH = Identity(verified=False, why=f"these details do not identify one customer: {ASK}")


def identify(
    db: sqlite3.Connection,
    *,
    email: str = "",
    name: str = "",
    zip: str = "",
    customer_id: str = "",
    email2: str = "",
    email3: str = "",
) -> Identity:
    """The customer whom these details name, or why they do not. Case and stray spaces do not count."""
    name, zip, customer_id = folded(name), zip.strip(), customer_id.strip()
    emails = [said for said in (folded(email), folded(email2), folded(email3)) if said]
    by_email, by_name = bool(emails), bool(name and zip)
    if not (by_email or by_name or (customer_id and zip)):
        return TOO_LITTLE
    found: set[str] = set()
    how: list[Literal["e-mail", "full name and zip code", "customer id and zip code"]] = []
    if by_email:
        for said in emails:
            found |= _ids(db.execute("SELECT * FROM customers WHERE email_key = ?", (said,)))
        how += ["e-mail"] if found else []
    if by_name:
        # a lost mailbox is no reason to turn somebody away who has name and zip right
        matches = _ids(db.execute("SELECT * FROM customers WHERE name_key = ?", (name,)), zip)
        found |= matches
        how += ["full name and zip code"] if matches else []
    if customer_id and not (by_email or by_name):
        found |= _ids(db.execute("SELECT * FROM customers WHERE customer_id = ?", (customer_id,)), zip)
        how += ["customer id and zip code"]
    if len(found) != 1:
        return NO_MATCH
    (who,) = found
    if customer_id and customer_id != who:
        return NO_MATCH
    if name and not _fits(db, who, name):
        return NO_MATCH
    return Identity(customer_id=who, verified=True, why=f"identified by {' and by '.join(how)}", by=how)


def _ids(rows: sqlite3.Cursor, zip: str = "") -> set[str]:
    """The customers among the rows, those at this zip code where one is given."""
    return {
        row["customer_id"]
        for row in rows
        if not zip or Address.model_validate_json(row["address"]).zip == zip
    }


def _fits(db: sqlite3.Connection, customer_id: str, name: str) -> bool:
    """Whether every word of the name is part of theirs: `Ada` fits Ada Novak, `Eve Novak` does not."""
    row = db.execute("SELECT name_key FROM customers WHERE customer_id = ?", (customer_id,)).fetchone()
    return set(name.split()) <= set(row["name_key"].split())
