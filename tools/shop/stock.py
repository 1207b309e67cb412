"""Making a shop's file: all of it at once, or not at all.

The file is written beside its place and moved there whole, so that no server ever opens half a shop.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shop import records
from shop.database import ShopError, connect, create, transaction
from shop.models import Article, Customer, Order, Product


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a shop holds when it opens. `orders` stand in the order of placing."""

    customers: Sequence[Customer]
    products: Sequence[Product]
    orders: Sequence[Order]
    articles: Sequence[Article]

    @property
    def summary(self) -> str:
        return (
            f"{len(self.customers)} customers, {len(self.orders)} orders, {len(self.products)} products,"
            f" {len(self.articles)} handbook articles"
        )


def stock(path: Path, contents: Contents, *, replace: bool = False) -> None:
    """Make a new shop at `path`. Raises ShopError when one is there (unless `replace`) or in use."""
    if path.exists():
        if not replace:
            raise ShopError(f"{path} exists already: choose another place, or say that it is to be replaced")
        _must_be_unused(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _discard(draft)
        with closing(connect(draft)) as db:
            _fill(db, contents)
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    except (OSError, sqlite3.OperationalError) as error:
        raise ShopError(f"cannot write {path}: {error}") from error
    except sqlite3.IntegrityError as error:
        raise ShopError(f"the shop's records do not fit together: {error}") from error
    finally:
        _discard(draft)


def _fill(db: sqlite3.Connection, contents: Contents) -> None:
    create(db)
    with transaction(db):
        for customer in contents.customers:
            records.add_customer(db, customer)
        for product in contents.products:
            records.add_product(db, product)
        for order in contents.orders:
            records.add_order(db, order)
        for article in contents.articles:
            records.add_article(db, article)


def _must_be_unused(path: Path) -> None:
    """A server that has the old file open would go on writing into a file that nobody can find any more."""
    try:
        with closing(connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        raise ShopError(f"{path} is not a shop that could be replaced: {error}") from error
    if path.with_name(path.name + "-wal").exists():  # the last one to close it takes this away
        raise ShopError(f"{path} is in use: stop the tool servers first")


def _discard(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until the disk has it; a directory has its names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
