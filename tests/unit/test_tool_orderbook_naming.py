"""What customers may call what is theirs, in the ways in which they write it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest

from meshwright.errors import ToolRefused
from orderbook.naming import names_of
from shop.database import connect
from shop.importer import import_shop
from shop.testing import BLUE, CARD, GIFT, PAYPAL, RED, SMALL, document, folder


@pytest.fixture
def shop() -> dict[str, Any]:
    found = document()
    held = found["orders"]["#W2"]["items"]
    held[1] = {
        **held[1],
        "item_id": RED,
        "options": {"color": "dark red", "dishwasher": "yes"},
        "price": 99.0,
    }
    return found


@pytest.fixture
def db(tmp_path: Path, shop: dict[str, Any]) -> Iterator[Connection]:
    import_shop(folder(tmp_path / "files", shop), tmp_path / "shop.db")
    with closing(connect(tmp_path / "shop.db")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "said", "not_said"),
    [
        ("Desk Light", {"desk light", "desklights", "light", "desk"}, {"desk l", "set"}),
        ("T-Shirt", {"t shirt", "tshirt", "tshirts", "shirt", "shirts"}, {"t"}),
        ("Wristwatch", {"wristwatch", "watch", "watches"}, {"tch"}),
        ("Hiking Boots", {"hiking boots", "boot", "boots", "hiking"}, set()),
        ("Luggage Set", {"luggage", "luggage set"}, {"set", "sets"}),
        ("Bookshelf", {"bookshelf", "bookshelves", "shelf", "bookcase"}, set()),
        ("Dictionary", {"dictionaries"}, set()),
        ("Espresso Machine", {"coffee machine", "espresso machine", "machine"}, {"coffee"}),
        ("TV", {"tv", "tvs"}, {"t", "v"}),
        ("Größe", {"grösse"}, set()),
        ("!?", set(), {""}),
    ],
)
def test_a_product_is_called_by_the_words_of_its_name(
    tmp_path: Path, name: str, said: set[str], not_said: set[str]
) -> None:
    shop = document()
    shop["orders"]["#W3"]["items"][0]["name"] = name
    import_shop(folder(tmp_path / "files", shop), tmp_path / "shop.db")
    with closing(connect(tmp_path / "shop.db")) as db:
        found = set(names_of(db, "ada", "#W3").items[RED])
    assert said <= found
    assert not not_said & found


def test_where_there_are_several_of_one_product_they_are_called_by_what_tells_them_apart(
    db: Connection,
) -> None:
    items = names_of(db, "ada", "#W2").items
    assert {"mug", "dark red mug", "red mugs", "red one", "the more expensive"} <= set(items[RED])
    assert "yes mug" not in items[RED]
    assert {"mug", "the cheaper"} <= set(items[BLUE])
    assert not {"the cheaper", "the more expensive"} & set(items[SMALL])


def test_an_order_is_called_by_what_is_in_it_among_those_in_its_state(db: Connection) -> None:
    orders = names_of(db, "ada", "#W1").orders
    assert set(orders) == {"#W1", "#W5"}
    assert "desk light" in orders["#W1"]
    assert "desk light" not in orders["#W5"]


def test_a_way_to_pay_is_called_by_its_kind(db: Connection) -> None:
    methods = names_of(db, "ada", "#W1").methods
    assert set(methods) == {CARD, PAYPAL, GIFT}
    assert "gift card" in methods[GIFT]
    assert "card" in set(methods[GIFT]) & set(methods[CARD])
    assert "card" not in methods[PAYPAL]
    assert "gift" not in methods[GIFT]


@pytest.mark.parametrize(("customer", "order"), [("ben", "#W1"), ("nobody", "#W1"), ("ada", "#W9")])
def test_of_somebody_elses_order_nothing_is_told(db: Connection, customer: str, order: str) -> None:
    with pytest.raises(ToolRefused):
        names_of(db, customer, order)
