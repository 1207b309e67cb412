"""The demo shop: big enough, consistent, and the same for the same number."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from shop import records
from shop.database import Shop
from shop.seed import demo, seed
from shop.stock import Contents


@pytest.fixture(scope="module")
def contents() -> Contents:
    return demo(7)


def test_the_same_number_makes_the_same_shop(contents: Contents) -> None:
    assert demo(7) == contents
    assert demo(8) != contents


def test_the_demo_is_big_enough_to_look_real(contents: Contents) -> None:
    assert len(contents.customers) >= 200
    assert len(contents.orders) >= 600
    assert len(contents.products) >= 60
    assert len(contents.articles) >= 40


def test_every_order_fits_its_customer_and_the_catalogue(contents: Contents) -> None:
    customers = {c.customer_id: c for c in contents.customers}
    prices = {v.item_id: v.price_cents for p in contents.products for v in p.variants}
    for order in contents.orders:
        buyer = customers[order.customer_id]
        assert order.order_id in buyer.orders
        assert {p.payment_method_id for p in order.payments} <= {m.id for m in buyer.payment_methods}
        assert order.payments[0].amount_cents == order.total_cents
        assert sum(prices[i.item_id] for i in order.items) == order.total_cents


def test_every_state_and_kind_of_payment_occurs(contents: Contents) -> None:
    assert len({order.status for order in contents.orders}) == 6
    assert len({m.kind for c in contents.customers for m in c.payment_methods}) == 3


def test_articles_are_short_enough_to_quote(contents: Contents) -> None:
    assert all(100 < len(article.text) < 800 for article in contents.articles)


async def test_the_seeded_file_opens_as_a_shop(tmp_path: Path, contents: Contents) -> None:
    seed(tmp_path / "home" / "shop.db", 7)
    with closing(Shop(tmp_path / "home" / "shop.db")) as shop:
        first = await shop.read(lambda db: records.order(db, contents.orders[0].order_id))
    assert first == contents.orders[0]
