"""What the gate is told of a change and of a customer: facts, whatever it is asked with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest

from meshwright.errors import ToolRefused
from orderbook.ledger import fulfil
from orderbook.terms import history_of, terms_of
from orderbook.wishes import CancelOrder, ChangeItems, Refund, ReturnItems
from shop.database import connect
from shop.testing import BIG, BLACK, BLUE, CARD, GIFT, GREEN, PAYPAL, RED, SMALL, small_shop


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Connection]:
    small_shop(tmp_path).close()
    with closing(connect(tmp_path / "shop.db")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("old", "new", "facts"),
    [
        ([BLUE], [RED], {"paired", "same_product", "other_option", "available"}),
        ([BLUE, BLUE], [RED, GREEN], {"paired", "same_product", "other_option", "available"}),
        ([BLUE, SMALL], [RED, BIG], {"paired", "same_product", "other_option", "available"}),
        ([SMALL, BLUE], [RED, BIG], {"paired", "other_option", "available"}),
        ([BLUE], [BLUE], {"paired", "same_product", "available"}),
        ([BLUE], [BLACK], {"paired", "same_product", "other_option"}),
        ([BLUE], [BIG], {"paired", "other_option", "available"}),
        ([BLUE], ["nothing"], {"paired"}),
        ([BLUE], [RED, RED], set()),
        ([BLUE] * 3, [RED] * 3, set()),
        ([RED], [BLUE], set()),
        ([], [], set()),
        ([], [RED], set()),
    ],
)
def test_new_items_are_held_against_the_old_pair_by_pair(
    db: Connection, old: list[str], new: list[str], facts: set[str]
) -> None:
    found = terms_of(db, "#W1", old, new, CARD).model_dump()
    assert {name for name in ("paired", "same_product", "other_option", "available") if found[name]} == facts


def test_prices_and_differences_are_of_the_pieces_that_are_meant(db: Connection) -> None:
    found = terms_of(db, "#W1", [BLUE, SMALL], [RED, BIG], CARD)
    assert (found.value_cents, found.difference_cents, found.held_cents) == (5000, 500 + 6000, 6000)
    assert terms_of(db, "#W1", [RED], [], CARD).holds_items is False


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        (
            CARD,
            {
                "method_known": True,
                "method_kind": "credit_card",
                "method_paid": True,
                "method_pays_now": True,
            },
        ),
        (
            PAYPAL,
            {"method_known": True, "method_kind": "paypal", "method_paid": False, "method_pays_now": False},
        ),
        (GIFT, {"method_known": True, "method_kind": "gift_card", "method_balance_cents": 3000}),
        ("gift_card_2", {"method_known": False, "method_kind": "", "method_balance_cents": 0}),
        ("", {"method_known": False, "method_paid": False, "method_pays_now": False}),
    ],
)
def test_a_method_is_known_only_on_the_profile_of_the_order(
    db: Connection, method: str, facts: dict[str, Any]
) -> None:
    assert facts.items() <= terms_of(db, "#W1", [], [], method).model_dump().items()


def test_what_is_promised_to_somebody_is_not_there_to_refund(db: Connection) -> None:
    wish = ReturnItems(order_id="#W2", item_ids=[BLUE], payment_method_id=CARD)
    assert terms_of(db, "#W2", [], [], CARD).refundable_cents == 6000
    fulfil(db, "return_items", wish)
    found = terms_of(db, "#W2", [], [], CARD)
    assert (found.held_cents, found.refundable_cents) == (6000, 5000)


def test_a_method_that_was_only_paid_has_not_paid(db: Connection) -> None:
    """Else money could go back to it as the one that the order was paid with."""
    fulfil(
        db,
        "change_items",
        ChangeItems(order_id="#W1", item_ids=[BLUE], new_item_ids=[GREEN], payment_method_id=PAYPAL),
    )
    assert not terms_of(db, "#W1", [], [], PAYPAL).method_paid
    assert terms_of(db, "#W1", [], [], CARD).method_paid


def test_what_went_to_a_gift_card_is_held_no_more(db: Connection) -> None:
    fulfil(db, "refund", Refund(order_id="#W2", amount_cents=4000, payment_method_id=GIFT, reason="sorry"))
    found = terms_of(db, "#W2", [], [], CARD)
    assert (found.held_cents, found.refundable_cents, found.method_pays_now) == (2000, 2000, True)


def test_an_order_that_is_not_there_has_no_terms(db: Connection) -> None:
    with pytest.raises(ToolRefused, match="there is no order"):
        terms_of(db, "#W9", [], [], CARD)


def test_a_history_counts_what_has_become_of_a_customers_orders(db: Connection) -> None:
    assert history_of(db, "ada").model_dump() == {
        "orders": 5,
        "cancelled": 1,
        "returned": 0,
        "exchanged": 0,
        "goodwill_refunds": 0,
        "goodwill_cents": 0,
    }
    refund = Refund(order_id="#W2", amount_cents=700, payment_method_id=CARD, reason="sorry")
    fulfil(db, "refund", refund)
    db.execute(
        "INSERT INTO effects (key, tool, arguments, ticket, caller, at, result) VALUES ('k', 'refund', ?, 't', 'c', 'now', '{}')",
        (refund.model_dump_json(),),
    )
    fulfil(db, "cancel_order", CancelOrder(order_id="#W1", reason="no longer needed"))
    fulfil(db, "return_items", ReturnItems(order_id="#W2", item_ids=[BLUE], payment_method_id=CARD))
    assert history_of(db, "ada").model_dump() == {
        "orders": 5,
        "cancelled": 2,
        "returned": 1,
        "exchanged": 0,
        "goodwill_refunds": 1,
        "goodwill_cents": 700,
    }
    assert history_of(db, "ben").goodwill_refunds == history_of(db, "nobody").orders == 0
