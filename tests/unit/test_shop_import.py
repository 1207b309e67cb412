"""The shop's file: how it is made from files, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shop import records
from shop.database import Shop, ShopError
from shop.importer import import_shop
from shop.models import Order
from shop.testing import BLUE, RED, document, folder, small_shop

RETAIL = Path(os.environ.get("MESHWRIGHT_TEST_RETAIL") or Path(__file__).parents[3] / "shared/data/retail")


async def test_dollars_become_cents_and_every_line_of_an_order_is_kept(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        order = await shop.read(lambda db: records.order(db, "#W1"))
    assert isinstance(order, Order)
    assert [item.item_id for item in order.items].count(BLUE) == 2
    assert order.total_cents == 6000
    assert [p.amount_cents for p in order.payments] == [6000]


async def test_a_customer_lists_orders_as_they_were_placed(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        ada = await shop.read(lambda db: records.customer(db, "ada"))
    assert ada is not None
    assert ada.orders == ["#W1", "#W2", "#W3", "#W4", "#W5"]


async def test_a_subheading_carries_its_parents_title(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        titles = await shop.read(
            lambda db: [row["title"] for row in db.execute("SELECT title FROM articles")]
        )
    assert titles == [
        "Cancel pending order",
        "Modify pending order: Modify payment",
        "Modify pending order: Modify items",
        "Return delivered order",
    ]


def _spoil(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(shop: dict[str, Any]) -> None:
        *steps, last = path.split("/")
        for step in steps:
            shop = shop[int(step)] if isinstance(shop, list) else shop[step]
        shop[last] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_spoil("orders/#W1/items/0/price", "ten"), "orders '#W1': items.0.price: .*amount of money"),
        (_spoil("orders/#W1/items/0/price", 1.005), "orders '#W1': items.0.price: .*finer than a cent"),
        (_spoil("orders/#W1/items/0/price", -1), "orders '#W1': items.0.price"),
        (_spoil("orders/#W1/status", "lost"), "orders '#W1': status"),
        (_spoil("orders/#W1/user_id", "ben"), "users 'ada': order '#W1' is not theirs"),
        (_spoil("users/ada/orders", ["#W1", "#W1"]), "'#W1' is listed twice"),
        (_spoil("users/ada/orders", ["#W1"]), "orders '#W2': user 'ada' does not list it"),
        (_spoil("users/ada/user_id", "eve"), "users 'ada': its user_id is 'eve'"),
        (_spoil("users/ada/address", {}), "users 'ada': address"),
        (
            _spoil(f"products/lamp/variants/{RED}", document()["products"]["mug"]["variants"][RED]),
            "as well",
        ),
        (_spoil("products", []), "products must be an object"),
        (_spoil("orders/#W1/items/0/price", float("nan")), "NaN is no number"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_record(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    shop = document()
    spoil(shop)
    with pytest.raises(ShopError, match=complaint):
        import_shop(folder(tmp_path / "files", shop), tmp_path / "shop.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"products": {}, "products": {}}', "[" * 100_000])
def test_a_file_that_is_no_shop_is_refused(tmp_path: Path, text: str) -> None:
    source = folder(tmp_path / "files")
    (source / "shop.json").write_text(text)
    with pytest.raises(ShopError, match=r"shop\.json: "):
        import_shop(source, tmp_path / "shop.db")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match=r"cannot read .*shop\.json"):
        import_shop(tmp_path, tmp_path / "shop.db")


def test_a_shop_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match=r"no shop at .*meshwright shop seed"):
        Shop(tmp_path / "shop.db")


def test_another_file_is_not_taken_for_a_shop(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("not a database, but quite long enough to look at " * 20)
    with pytest.raises(ShopError, match="is not a shop"):
        Shop(tmp_path / "shop.db")


def test_a_shop_is_replaced_only_when_that_is_said(tmp_path: Path) -> None:
    small_shop(tmp_path).close()
    with pytest.raises(ShopError, match="exists already"):
        import_shop(tmp_path / "files", tmp_path / "shop.db")
    import_shop(tmp_path / "files", tmp_path / "shop.db", replace=True)
    assert not list(tmp_path.glob(".*draft*"))


async def test_a_shop_in_use_is_not_replaced(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        await shop.read(lambda db: records.order(db, "#W1"))
        with pytest.raises(ShopError, match="in use"):
            import_shop(tmp_path / "files", tmp_path / "shop.db", replace=True)


@pytest.mark.skipif(not RETAIL.is_dir(), reason="the public retail shop is not here")
async def test_the_public_retail_shop_imports_whole(tmp_path: Path) -> None:
    contents = import_shop(RETAIL, tmp_path / "shop.db")
    assert (len(contents.customers), len(contents.orders), len(contents.products)) == (500, 1000, 50)
    with closing(Shop(tmp_path / "shop.db")) as shop:
        kept = await shop.read(
            lambda db: [o for c in contents.customers for o in records.orders_of(db, c.customer_id)]
        )
    assert kept == list(contents.orders)
    assert all(order.payments[0].amount_cents == order.total_cents for order in kept)
