"""The handbook's search: it finds what answers, and nothing when nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.search import article, search
from shop.database import Shop
from shop.seed import seed


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    path = tmp_path_factory.mktemp("home") / "shop.db"
    seed(path)
    with closing(Shop(path)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("How do I cancel my order?", "cancelling-an-order"),
        ("my lamp arrived broken", "damaged-or-faulty-goods"),
        ("Can I swap the jacket for a bigger size after delivery?", "exchanging-delivered-items"),
        ("when will my refund for the return arrive", "when-a-return-s-refund-arrives"),
        ("How long does a refund take?", "when-a-return-s-refund-arrives"),
        ("How do I return something?", "returning-a-delivered-order"),
        ("How long does shipping take?", "shipping-time"),
        ("I want to update the shipping address", "changing-the-shipping-address-of-an-order"),
        ("Do you have LOYALTY points?", "loyalty-points"),
        (
            "can I pay half with one card and half with another, splitting the payment",
            "splitting-a-payment",
        ),
        ("is there a warranty", "warranty"),
        ("where is my tracking number", "tracking-a-parcel"),
        ("do you store my personal data", "personal-data"),
        ("I have a discount code, a voucher", "discounts-and-vouchers"),
    ],
)
async def test_a_question_finds_its_article(shop: Shop, question: str, name: str) -> None:
    found = await shop.read(lambda db: search(db, question, 3))
    assert name in [passage.article for passage in found]
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)


@pytest.mark.parametrize(
    "question",
    [
        "xyzzy blorp",
        "",
        "?!",
        "the and of",
        "what is the capital of France",
        "Who won the world cup?",
        "please help me",
    ],
)
async def test_what_the_handbook_does_not_speak_of_finds_nothing(shop: Shop, question: str) -> None:
    assert await shop.read(lambda db: search(db, question, 3)) == []


async def test_no_more_than_the_limit_are_found(shop: Shop) -> None:
    assert len(await shop.read(lambda db: search(db, "refund", 1))) == 1


async def test_an_article_is_found_by_its_name(shop: Shop) -> None:
    found = await shop.read(lambda db: article(db, "warranty"))
    assert found is not None
    assert found.title == "Warranty"
    assert await shop.read(lambda db: article(db, "nothing")) is None


@given(
    query=st.text(max_size=80)
    | st.sampled_from(['"', "NEAR(", "title:", "a* OR b", "AND NOT", "')--", "{x y}: z"])
)
def test_no_query_breaks_the_index(query: str) -> None:
    import sqlite3

    from shop.database import create

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        create(db)
        db.execute("INSERT INTO articles VALUES ('a', 'Near and not', 'or title body')")
        search(db, query, 3)
