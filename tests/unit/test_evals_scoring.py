"""Scoring a handling, and reading the tickets it is scored against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.scoring import score
from evals.tickets import TicketsUnreadable, load

CANCEL = ("cancel_order", {"order_id": "#W1", "reason": "no longer needed"})
CANCEL_GOLD = {"name": "cancel_pending_order", "arguments": {"order_id": "#W1", "reason": "no longer needed"}}
RETURN = ("return_items", {"order_id": "#W2", "item_ids": ["1", "2"], "payment_method_id": "card"})
RETURN_GOLD = {
    "name": "return_delivered_order_items",
    "arguments": {"order_id": "#W2", "item_ids": ["2", "1"], "payment_method_id": "card"},
}


def swap(old: list[str], new: list[str]) -> tuple[str, dict[str, Any]]:
    return "exchange_items", {
        "order_id": "#W3", "item_ids": old, "new_item_ids": new, "payment_method_id": "card",
    }  # fmt: skip


def swap_gold(old: list[str], new: list[str]) -> dict[str, Any]:
    return {"name": "exchange_delivered_order_items", "arguments": swap(old, new)[1]}


def test_the_right_writes_in_any_order_are_exact() -> None:
    assert score([RETURN, CANCEL], [CANCEL_GOLD, RETURN_GOLD]) == "exact"


def test_some_of_the_right_writes_are_partial() -> None:
    assert score([CANCEL], [CANCEL_GOLD, RETURN_GOLD]) == "partial"


def test_no_write_where_there_should_be_one_is_escalated() -> None:
    assert score([], [CANCEL_GOLD]) == "escalated"


def test_no_write_where_none_is_right_is_exact() -> None:
    assert score([], []) == "exact"


def test_a_write_that_nobody_wanted_is_wrong_whatever_else_is_right() -> None:
    assert score([CANCEL, RETURN], [CANCEL_GOLD]) == "wrong"
    assert score([CANCEL], []) == "wrong"


def test_the_same_write_twice_is_wrong() -> None:
    assert score([CANCEL, CANCEL], [CANCEL_GOLD]) == "wrong"


def test_one_wrong_argument_makes_the_write_wrong() -> None:
    other = {**CANCEL[1], "reason": "ordered by mistake"}
    assert score([("cancel_order", other)], [CANCEL_GOLD]) == "wrong"


def test_the_order_of_the_pairs_of_an_exchange_does_not_matter_but_who_is_paired_does() -> None:
    gold = [swap_gold(["1", "2"], ["8", "9"])]
    assert score([swap(["2", "1"], ["9", "8"])], gold) == "exact"
    assert score([swap(["1", "2"], ["9", "8"])], gold) == "wrong"


def test_the_same_item_twice_is_counted_twice() -> None:
    assert score([swap(["1"], ["8"])], [swap_gold(["1", "1"], ["8", "8"])]) == "wrong"


def test_an_exchange_whose_lists_differ_in_length_never_equals_one_that_fits() -> None:
    assert score([swap(["1", "2"], ["8"])], [swap_gold(["1"], ["8"])]) == "wrong"


def test_a_profile_is_named_by_its_user_in_the_data_set() -> None:
    ours = ("change_profile_address", {"customer_id": "ada", "zip": "1"})
    assert (
        score([ours], [{"name": "modify_user_address", "arguments": {"user_id": "ada", "zip": "1"}}])
        == "exact"
    )


def test_a_reply_is_no_write() -> None:
    assert score([("reply", {"text": "hello"})], []) == "exact"


def ticket(**other: Any) -> dict[str, Any]:
    return {"id": "t", "who": "I am Ada.", "text": "Hello.", "manner": "", "gold_writes": [], **other}


def test_a_ticket_is_sent_as_who_text_and_manner(tmp_path: Path) -> None:
    path = tmp_path / "tickets.jsonl"
    path.write_text(
        json.dumps(ticket(manner="Be brief.")) + "\n\n" + json.dumps(ticket(gold_writes=[CANCEL_GOLD]))
    )
    first, second = load(path)
    assert first.message == "I am Ada. Hello. Be brief."
    assert second.gold == (CANCEL_GOLD,)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        (json.dumps({**ticket(), "who": 1}), "'who' must be a text"),
        (json.dumps(ticket(gold_writes={})), "'gold_writes' must be a list"),
        (json.dumps(ticket(gold_writes=[{"name": "x"}])), "every gold write"),
        ("", "holds no tickets"),
    ],
)
def test_a_line_that_is_no_ticket_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "tickets.jsonl"
    path.write_text(line)
    with pytest.raises(TicketsUnreadable, match=said):
        load(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(TicketsUnreadable, match="cannot read tickets"):
        load(tmp_path / "none.jsonl")
