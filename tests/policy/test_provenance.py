"""Where an argument comes from is found by the gate; an agent's word is no source, and neither is an echo of it."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.policy import Policy
from meshwright.policy.provenance import hidden, provenance

FACTS = {"owner": {"owner_id": "o1", "things": [{"id": "t7", "pieces": 3, "old": True}]}, "thing": {"id": "t9", "state": "dry"}}  # fmt: skip


def sources(policy: Policy, words: str, **arguments: Any) -> dict[str, str]:
    return provenance(arguments, words, FACTS, policy.lookups)


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ("t1", "customer"),
        ("Harbour street", "customer"),
        ("41 Harbour", "customer"),
        (41, "customer"),
        ("#t1", "customer"),
        ("1 Harbour", "agent"),
        ("Harbour 41", "agent"),
        ("t", "agent"),
        ("t7", "tool:owner"),
        (3, "tool:owner"),
        ("3", "agent"),
        (True, "tool:owner"),
        (1, "agent"),
        (False, "agent"),
        (None, "agent"),
        (41.0, "agent"),
        ("!?", "agent"),
        ("T7", "agent"),
        ("ｔ7", "agent"),
        ("t\u200b1", "agent"),
        ("т1", "agent"),
        (["t1", "41"], "customer"),
        (["t1", "t7"], "tool:owner"),
        (["t1", "t7", "t8"], "agent"),
        ({"street": "Harbour", "thing": {"id": "t8"}}, "agent"),
    ],
)
def test_the_source_of_a_value_is_who_has_said_it(policy: Policy, value: Any, source: str) -> None:
    found = sources(policy, "Please paint T1, at 41 Harbour\n  Street!", colour=value)
    assert found == {"colour": source}


def test_what_was_asked_for_with_an_argument_does_not_vouch_for_it(policy: Policy) -> None:
    """`thing` was looked up with `thing_id`: that its answer names it proves nothing. Of the colour it may tell something."""
    assert sources(policy, "", thing_id="t9", colour="t9") == {"thing_id": "agent", "colour": "tool:thing"}


def test_what_was_asked_for_with_the_whole_proposal_vouches_for_nothing(shop_policy: Policy) -> None:
    facts = {"preview": {"summary": "1 Crook Lane"}, "profile": {"address": "2 Elm Road"}}
    told = {"address1": "1 Crook Lane", "city": "2 Elm Road"}
    assert provenance(told, "", facts, shop_policy.lookups) == {"address1": "agent", "city": "tool:profile"}


def test_why_a_fact_is_not_there_is_no_source(shop_policy: Policy) -> None:
    facts = {"profile": {"refused": "1 Crook Lane"}, "orders": {"unknown": "97201"}}
    told = {"address1": "1 Crook Lane", "zip": "97201"}
    assert provenance(told, "", facts, shop_policy.lookups) == {"address1": "agent", "zip": "agent"}


def test_what_says_nothing_has_no_source(policy: Policy) -> None:
    assert sources(policy, "words", colour="", thing_id=[]) == {}


def test_what_a_person_has_set_is_theirs_only_where_nobody_else_said_it(known: Any, policy: Policy) -> None:
    told = known(by_person={"colour", "thing_id"}, words="paint t1")
    assert policy.decide("paint", told, {}).provenance == {"thing_id": "customer", "colour": "person"}


def test_wide_characters_of_the_customer_are_read_as_what_they_mean(policy: Policy) -> None:
    assert sources(policy, "ｐａｉｎｔ ｔ１", thing_id="t1") == {"thing_id": "customer"}


@pytest.mark.parametrize("char", ["\u200b", "\u202e", "\u2066", "\ufeff", "\U000e0041", "\x00", "\x1b", "\ue000", "\ud800", "\u2800", "\u3164", "\u034f", "\u2028"])  # fmt: skip
def test_what_a_person_cannot_see_is_found_however_deep(char: str) -> None:
    assert hidden({"a": [{"b": f"x{char}y"}]})
    assert not hidden({"a": ["x\ny\t", 1, None, "é", "東京", "🎁"]})
