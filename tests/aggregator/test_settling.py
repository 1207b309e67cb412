"""Contradictions: when two things are one, when they are not, and how it is settled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aggregator.sameness import same
from meshwright.contradictions import Contradictions
from meshwright.settings import SettingsError

ROOT = Path(__file__).parents[2]


def shops() -> Contradictions:
    (file,) = ROOT.glob("policies/**/conflicts.toml")
    return Contradictions.beside(file.parent)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Pending", " pending. "),
        ("$1,234.50", "1234.5"),
        ("1234.50 USD", "$1234.5"),
        ("-5", "-$5.00"),
        ("two  words", "Two words"),
        ("\uff50ending", "pending"),
    ],
)
def test_one_value_in_two_spellings_is_no_contradiction(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"), [("$5", "€5"), ("5", "6"), ("1,23", "123"), ("pending", "processed"), ("5 items", "5")]
)
def test_two_values_are_two(one: str, other: str) -> None:
    assert not same(one, other)


async def test_agents_that_say_the_same_do_not_disagree(merge: Any, say: Any) -> None:
    one = say.finding("orders", claims=[say.claim("order:#W1", "$10.00")])
    other = say.finding("returns", claims=[say.claim("Order:#w1 ", "10 usd")])
    assert (await merge(one, other)).conflicts == []


@pytest.mark.parametrize(
    ("mine", "theirs", "more", "strategy", "chosen"),
    [
        ({}, {}, {"owners": {"order": ["status"]}}, "authority", "pending"),
        ({}, {"source": "ticket"}, {}, "evidence", "pending"),
        ({"confidence": 0.9}, {"confidence": 0.6}, {}, "confidence", "pending"),
        ({"confidence": 0.9}, {"confidence": 0.8}, {}, "person", ""),
        ({}, {}, {}, "person", ""),
        ({}, {"source": "ticket"}, {"claims": []}, "person", ""),
        ({"confidence": 0.5}, {"confidence": 1.0}, {"owners": {"order": ["status"]}}, "authority", "pending"),
    ],
)
async def test_a_contradiction_is_settled_by_the_first_strategy_that_can(
    merge: Any, say: Any, mine: Any, theirs: Any, more: Any, strategy: str, chosen: str
) -> None:
    asked = [{"id": "a", "skill": "status"}, {"id": "b", "skill": "advice"}]
    one = say.finding("orders", subtask="a", claims=[say.claim("order:1", "pending", **mine)], reply="x")
    other = say.finding("advisor", subtask="b", claims=[say.claim("order:1", "gone", **theirs)], reply="y")
    resolution = await merge(one, other, asked=asked, table=more)
    (conflict,) = resolution.conflicts
    assert (conflict.strategy, conflict.chosen, conflict.kind) == (strategy, chosen, "claims")
    assert [(side.agent, side.value) for side in conflict.sides] == [
        ("orders", "pending"),
        ("advisor", "gone"),
    ]
    assert all(side.evidence for side in conflict.sides)
    assert conflict.why
    assert bool(chosen) is not any("order:1" in gap.what for gap in resolution.gaps)


async def test_an_agent_that_contradicts_itself_is_found_too(merge: Any, say: Any) -> None:
    both = [say.claim("order:1", "pending"), say.claim("order:1", "gone")]
    assert len((await merge(say.finding("orders", claims=both))).conflicts) == 1


async def test_who_only_stands_in_has_no_authority(merge: Any, say: Any) -> None:
    asked = [{"id": "a", "skill": ""}, {"id": "b", "skill": ""}]
    one = say.finding("standby", subtask="a", claims=[say.claim("order:1", "pending")])
    other = say.finding("advisor", subtask="b", claims=[say.claim("order:1", "gone")])
    resolution = await merge(one, other, asked=asked, table={"owners": {"order": ["", "status"]}})
    assert resolution.conflicts[0].strategy == "person"


async def test_both_sides_of_two_actions_that_exclude_each_other_go_on_marked(merge: Any, say: Any) -> None:
    cancel, change = say.propose("cancel", order_id="1"), say.propose("change", order_id="1", to="red")
    other = say.propose("change", order_id="2", to="red")
    resolution = await merge(
        say.finding("orders", proposals=[cancel, other]), say.finding("returns", proposals=[change])
    )
    (conflict,) = resolution.conflicts
    assert (conflict.kind, conflict.chosen, conflict.strategy) == ("actions", "", "person")
    assert set(conflict.proposals) == {cancel.fingerprint, change.fingerprint}
    assert [side.arguments for side in conflict.sides] == [{"order_id": "1"}, {"order_id": "1", "to": "red"}]
    assert len(resolution.proposals) == 3
    assert resolution.confidence == 0


async def test_a_claim_that_nobody_settles_holds_the_proposals_about_it(merge: Any, say: Any) -> None:
    one = say.finding(
        "orders", claims=[say.claim("order:1", "pending")], proposals=[say.propose("cancel", order_id="1")]
    )
    other = say.finding("returns", claims=[say.claim("order:1", "gone")])
    resolution = await merge(one, other)
    assert resolution.conflicts[0].proposals == [resolution.proposals[0].fingerprint]


async def test_a_contradiction_is_not_forgotten_among_many_others(merge: Any, say: Any) -> None:
    noise = [say.claim(f"thing:{n // 2}", f"value {n}") for n in range(64)]
    cancel = say.propose("cancel", order_id="1")
    resolution = await merge(
        say.finding("advisor", claims=noise),
        say.finding("orders", claims=[say.claim("order:1", "pending")], proposals=[cancel]),
        say.finding("returns", claims=[say.claim("order:1", "gone")]),
    )
    held = {name for conflict in resolution.conflicts if not conflict.chosen for name in conflict.proposals}
    assert held == {cancel.fingerprint}
    assert resolution.conflicts[-1].about == "2 more subjects"


async def test_who_says_very_much_about_a_thing_does_not_get_the_word_of_others_forgotten(
    merge: Any, say: Any
) -> None:
    noise = [say.claim("order:1", f"value {n}", 0.1) for n in range(31)]
    cancel = say.propose("cancel", order_id="1")
    resolution = await merge(
        say.finding("orders", claims=[say.claim("order:1", "pending"), *noise], proposals=[cancel]),
        say.finding("returns", claims=[say.claim("order:1", "gone")]),
    )
    (conflict,) = resolution.conflicts
    assert (conflict.chosen, conflict.proposals) == ("", [cancel.fingerprint])


async def test_the_say_over_an_action_settles_who_may_do_it_and_what_was_lost_is_said(
    merge: Any, say: Any
) -> None:
    asked = [{"id": "a", "skill": "order-change"}, {"id": "b", "skill": "policy-answer"}]
    mine = say.propose("cancel", order_id="1", why="mistake")
    theirs = say.propose("cancel", order_id="1", why="bored")
    resolution = await merge(
        say.finding("orders", subtask="a", proposals=[mine]),
        say.finding("advisor", subtask="b", proposals=[theirs]),
        asked=asked,
        table={"owners": {"cancel": ["order-change"]}, "targets": ["order_id"]},
    )
    assert [p.fingerprint for p in resolution.proposals] == [mine.fingerprint]
    assert resolution.conflicts[0].chosen == mine.fingerprint
    assert any(gap.what == "cancel" and "something else was chosen" in gap.why for gap in resolution.gaps)


async def test_confidence_alone_settles_no_action(merge: Any, say: Any) -> None:
    sure, unsure = say.propose("cancel", order_id="1"), say.propose("change", 0.3, order_id="1")
    resolution = await merge(
        say.finding("orders", proposals=[sure]), say.finding("returns", proposals=[unsure])
    )
    assert resolution.conflicts[0].strategy == "person"


@pytest.mark.parametrize(
    ("one", "other", "exclude"),
    [
        ("cancel_order", "change_items", True),
        ("return_items", "exchange_items", True),
        ("refund", "refund", True),
        ("return_items", "refund", True),
        ("change_address", "change_items", False),
        ("change_items", "change_address", False),
        ("change_payment", "change_address", False),
        ("reply", "close", False),
        ("unheard_of", "cancel_order", True),
    ],
)
def test_the_shops_table_says_what_cannot_both_be_done(say: Any, one: str, other: str, exclude: bool) -> None:
    proposals = [say.propose(one, order_id="#W1", n=1), say.propose(other, order_id=" #w1", n=2)]
    assert bool(shops().groups(proposals)) is exclude
    apart = [say.propose(one, order_id="#W1"), say.propose(other, order_id="#W2")]
    assert shops().groups(apart) == []


def test_a_proposal_cannot_hide_what_it_changes_behind_what_it_says_it_is_about(say: Any) -> None:
    one = say.propose("cancel_order", order_id="#W1").model_copy(update={"about": "order:#W9"})
    other = say.propose("change_items", order_id="#W1")
    assert len(shops().groups([one, other])) == 1


def test_a_table_that_cannot_be_used_says_where(tmp_path: Path) -> None:
    for text, said in (
        ("targets = 5", "targets"),
        ("[named]\norder_id = '('", "named.order_id"),
        ("claims = ['guess']", "claims"),
        ("not toml", "conflicts.toml"),
        ("tagrets = []", "tagrets"),
    ):
        (tmp_path / "conflicts.toml").write_text(text)
        with pytest.raises(SettingsError, match=said):
            Contradictions.beside(tmp_path / "policy.toml")


@pytest.mark.parametrize(
    ("words", "action", "order", "asked"),
    [
        ("Cancel order #W1001, please", "cancel_order", "#W1001", True),
        ("Cancel order W1001, please", "cancel_order", "#W1001", True),
        ("Cancel the lamp's order", "cancel_order", "#W1001", True),
        ("Cancel order #W1001, please", "cancel_order", "#W1009", False),
        ("Where is order #W1001?", "cancel_order", "#W1001", False),
        ("Please change the address of order #W1001", "change_items", "#W1001", False),
        ("Please change the lamp in order #W1001 to the big one", "change_items", "#W1001", True),
        ("I want to send the lamp back", "return_items", "#W1001", True),
    ],
)
def test_what_the_customer_did_not_ask_for_is_told_by_their_words(
    say: Any, words: str, action: str, order: str, asked: bool
) -> None:
    assert (shops().unasked(say.propose(action, order_id=order), words) == "") is asked
