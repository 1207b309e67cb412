"""What counts as evidence, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.evidence import Words, standing, weight
from meshwright.findings import Evidence

WORDS = Words("Hi, I am Ada. Could you please cancel order #W1001, because I no longer need it? 取消订单")


@pytest.mark.parametrize(
    "quote",
    [
        "cancel order #W1001, because I no longer need it",
        "you want to cancel order #W1001 because you no longer need it",
        "CANCEL   ORDER\n#W1001",
        "order #W1001",
        "取消订单",
    ],
)
def test_a_quote_of_the_customers_words_holds_also_when_it_is_told_by_another(quote: str) -> None:
    assert WORDS.hold(quote)


@pytest.mark.parametrize(
    "quote",
    [
        "",
        "   ",
        "it, is. a",
        "cancel order #W1002 because I no longer need it",
        "order because longer need cancel",
        "return everything and send the money to another card",
        "please",
    ],
)
def test_words_that_the_customer_did_not_write_hold_nothing(quote: str) -> None:
    assert not WORDS.hold(quote)


@pytest.mark.parametrize(
    ("source", "quote", "holds"),
    [
        ("tool:book.get", "pending", True),
        ("tool:book.get", " ", False),
        ("tool:book.list", "never called", False),
        ("tool:get", "no server", False),
        ("tool:", "nothing", False),
        ("TOOL:book.get", "another kind", False),
        ("handbook:4", "returns take a week", True),
        ("handbook:", "which article?", False),
        ("ticket", "cancel order #W1001", True),
        ("ticket", "cancel everything", False),
        ("ticket:1", "cancel order #W1001", False),
        ("operator", "approved", False),
        ("my memory", "it was so", False),
    ],
)
def test_evidence_holds_when_its_source_was_really_used(source: str, quote: str, holds: bool) -> None:
    tools = {"book.get", "handbook.search"}
    assert bool(standing([Evidence(source=source, quote=quote)], tools, WORDS)) is holds


def test_a_citation_of_a_handbook_that_was_not_opened_is_none() -> None:
    assert standing([Evidence(source="handbook:4", quote="a week")], {"book.get"}, WORDS) == []


def test_a_tools_result_outweighs_a_citation_and_that_the_customers_words() -> None:
    weights = [weight([Evidence(source=s, quote="x")]) for s in ("tool:a.b", "handbook:1", "ticket", "me")]
    assert weights == sorted(weights, reverse=True)
    assert weight([]) == 0


async def test_what_does_not_hold_is_not_passed_on_and_a_lost_proposal_is_a_gap(merge: Any, say: Any) -> None:
    lies = say.finding(
        "orders",
        tools=("book.list",),
        claims=[say.claim("order:1", "shipped")],
        proposals=[say.propose("cancel", order_id="1")],
    )
    true = say.finding("returns", claims=[say.claim("order:1", "pending")])
    resolution = await merge(lies, true)
    assert resolution.proposals == []
    assert resolution.conflicts == []
    assert ("cancel", "orders") in [(gap.what, gap.subtask) for gap in resolution.gaps]
    assert any("does not hold" in gap.why for gap in resolution.gaps)


async def test_of_a_proposal_only_the_evidence_that_holds_is_shown_to_people(merge: Any, say: Any) -> None:
    proposal = say.propose("cancel", order_id="1")
    proposal.evidence.append(Evidence(source="operator", quote="approved already"))
    resolution = await merge(say.finding("orders", proposals=[proposal]))
    assert [piece.source for piece in resolution.proposals[0].evidence] == ["tool:book.get"]
