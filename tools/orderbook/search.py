"""Products by words of their name, in the spelling of whoever asks."""

from __future__ import annotations

import sqlite3

from orderbook.wording import joined, words
from shop import records
from shop.models import Product

#: More than this is a list to browse, not an answer.
LIMIT = 5


def products_like(db: sqlite3.Connection, asked: str) -> list[Product]:
    """The products whose names share the most words with `asked`, best first; none when none shares any.

    A name that occurs whole, however it is spaced (`tshirt`, `T-Shirt`), comes before one that shares a word.
    """
    tokens = set(words(asked))
    whole = joined(asked)
    scored = []
    for product_id, name in records.product_names(db).items():
        parts = words(name)
        if not parts:
            continue
        shared = sum(part in tokens for part in parts) / len(parts)
        score = 1 + len(joined(name)) / 100 if joined(name) in whole else shared
        if score:
            scored.append((-score, name, product_id))
    best = [records.product(db, product_id) for _, _, product_id in sorted(scored)[:LIMIT]]
    return [product for product in best if product is not None]
