"""Of what people and tools say nothing is written down that is about a person; of all else enough to see why."""

from __future__ import annotations

import json
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest

from meshwright.records.redact import PERSONAL, WHOLE, field_name, keyed, reason, shown

PEOPLE: list[Any] = [
    {"customer_name": "Ada Lovelace"},
    {"address": {"street": "5 Main St", "zip": "19122"}},
    {"note": "write to ada@example.org"},
    {"note": "write to ａda＠example.org"},
    {"note": "call +49 30 901820"},
    {"phone_number": 4930901820},
    {"contact": 15551234567},
    {"list": [15551234567.0, "4111 1111 1111 1111"]},
    {"note": "GB82WEST12345698765432"},
    {"gb82west12345698765432": "GB82WEST12345698765432"},
    {"ada@example.org": 1},
    {"note": "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhZGEifQ.c2lnbmF0dXJl"},
    {"note": "x" * 190 + " ada@example.org"},
    {"note": "words " * 65 + "ada@example.org"},
    {"note": ("ada@example.org " * 25) + "lovelace@example.org"},
]
SECRETS = (
    "Lovelace", "lovelace", "Main St", "19122", "ada@", "ada＠", "901820", "4930901820", "15551234567", "4111", "WEST", "eyJ",
)  # fmt: skip


@pytest.mark.parametrize("value", PEOPLE, ids=range(len(PEOPLE)))
def test_nothing_about_a_person_is_shown(value: Any) -> None:
    seen = json.dumps(shown(value), ensure_ascii=False)
    assert not [secret for secret in SECRETS if secret in seen], seen


@pytest.mark.parametrize("value", PEOPLE[2:5] + PEOPLE[11:], ids=str)
def test_nor_is_it_in_a_reason(value: Any) -> None:
    assert not [secret for secret in SECRETS if secret in reason(value["note"])]


def test_no_half_of_an_address_is_left_where_a_reason_is_cut() -> None:
    for size in range(2_030, 2_050):
        assert "ada" not in reason("x " * (size // 2) + "y" * (size % 2) + "ada@example.org and more " * 9)


def test_ids_amounts_and_states_can_be_read() -> None:
    order = {
        "order_id": "#W2378156",
        "item_ids": ["1151293680", "4983901480"],
        "product_id": 1656367028,
        "status": "delivered",
        "amount": 1043.03,
        "is_gift": False,
        "user_id": None,
        "options": {"switch type": "linear"},
        "1151293680": {"price": 10},
    }
    assert shown(order) == order


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


def test_what_a_playbook_may_pass_as_json_is_shown_as_json() -> None:
    odd = {
        "colour": Colour.RED,
        "size": Size.LARGE,
        "both": MappingProxyType({"a": (1, None)}),
        "what": object(),
    }
    assert shown(odd) == {"colour": "red", "size": 3, "both": {"a": [1, None]}, "what": "[object]"}


def test_what_is_personal_is_known_to_be_there() -> None:
    assert shown({"email": "x", "last_name": None, "zip": True}) == {
        "email": PERSONAL,
        "last_name": None,
        "zip": True,
    }


def test_two_fields_that_look_alike_afterwards_are_two() -> None:
    assert len(shown({"a@example.org": 1, "b@example.org": 2})) == 2
    assert field_name("a@example.org") == "[e-mail]"


def test_what_is_long_wide_or_deep_is_cut() -> None:
    wide = {f"field_{n}": {f"more_{m}": "words and words" for m in range(50)} for n in range(50)}
    assert len(json.dumps(shown(wide))) < 3 * WHOLE
    assert shown([1] * 100)[-1] == "… 68 more"
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    assert "[…]" in json.dumps(shown(deep), ensure_ascii=False)


def test_the_hash_is_of_the_whole_and_says_nothing_of_order() -> None:
    assert keyed({"a": 1, "b": 2}) == keyed({"b": 2, "a": 1})
    assert keyed({"a": "x" * 70_000})[0] != keyed({"a": "x" * 70_000 + "y"})[0]
    assert keyed({"a": "x" * 70_000})[1] == 70_008
    assert keyed({1: "a", "b": 2}) == ("", 0)


def test_how_a_thing_stands_is_shown_and_where_somebody_lives_is_not() -> None:
    assert shown({"state": "applied", "grant": "g1"}) == {"state": "applied", "grant": "g1"}
    assert shown({"state": "CA", "zip": "90001"}) == {"state": PERSONAL, "zip": PERSONAL}
    assert shown([{"state": "CA", "city": "x"}, {"state": "open"}]) == [
        {"state": PERSONAL, "city": PERSONAL},
        {"state": "open"},
    ]
