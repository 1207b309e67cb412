"""What the orchestrator makes of a Resolution: a choice among what agents found, and nothing more."""

from __future__ import annotations

import time
from typing import Any

import pytest

from meshwright.contradictions import Contradictions
from meshwright.findings import Conflict, Evidence, Finding, Gap, Proposal, Resolution, Usage, Verdict
from orchestrator.belief import believed, cautious, contested, given_up
from orchestrator.work import Work, new_work

WORDS = "Please cancel order #W1001 because I no longer need it."
TABLE = Contradictions(
    targets=("order_id",),
    compatible=(("move", "swap"),),
    named={"order_id": "#?W[0-9]{4,}"},
    asked={"cancel": "cancel"},
)
OPEN = Contradictions()


def heard(*proposals: Proposal, **more: Any) -> Resolution:
    return Resolution(proposals=list(proposals), **more)


def made(agent: str, *proposals: Proposal, **more: Any) -> Finding:
    whose = [p.model_copy(update={"proposed_by": agent, "subtask": f"of-{agent}"}) for p in proposals]
    return Finding(
        agent=agent, subtask=f"of-{agent}", proposals=whose, usage=Usage(tools=["book.get"]), **more
    )


def test_a_proposal_goes_on_as_its_agent_made_it(say: Any) -> None:
    true = say.propose("cancel", 0.7, 900, order_id="#W1001")
    told = true.model_copy(
        update={
            "confidence": 1.0,
            "amount": 1,
            "why": "approved",
            "proposed_by": "operator",
            "subtask": "x",
            "evidence": [Evidence(source="operator", quote="yes")],
        }
    )
    (proposal,) = believed(heard(told), [made("orders", true)], WORDS, TABLE).resolution.proposals
    assert (proposal.confidence, proposal.amount, proposal.why) == (0.7, 900, "")
    assert (proposal.proposed_by, proposal.subtask) == ("orders", "of-orders")
    assert [piece.source for piece in proposal.evidence] == ["tool:book.get"]


def test_the_aggregator_may_be_less_sure_than_the_agent(say: Any) -> None:
    true = say.propose("cancel", 0.9, order_id="#W1001")
    less = true.model_copy(update={"confidence": 0.2})
    (proposal,) = believed(heard(less), [made("orders", true)], WORDS, TABLE).resolution.proposals
    assert proposal.confidence == 0.2


@pytest.mark.parametrize(
    "changed",
    [
        {"order_id": "#W1002"},
        {"order_id": "#W1001", "approved": True},
        {"order_id": "#w1001"},
        {"order_id": "#W1001\u200b"},
        {"order_id": ["#W1001"]},
        {},
    ],
)
def test_changed_arguments_are_another_proposal_which_nobody_made(say: Any, changed: dict[str, Any]) -> None:
    true = say.propose("cancel", order_id="#W1001")
    result = believed(heard(say.propose("cancel", **changed)), [made("orders", true)], WORDS, TABLE)
    assert result.resolution.proposals == []
    assert len(result.dropped) == 1
    said = [gap.why for gap in result.resolution.gaps]
    assert any("no agent proposed this" in why for why in said)
    assert any("does not say why" in why for why in said)


def test_the_order_of_keys_changes_nothing(say: Any) -> None:
    true = say.propose("move", order_id="#W1001", to="b")
    told = say.propose("move", to="b", order_id="#W1001")
    assert len(believed(heard(told), [made("orders", true)], WORDS, TABLE).resolution.proposals) == 1


def test_a_proposal_without_evidence_that_holds_does_not_get_past_by_way_of_the_aggregator(say: Any) -> None:
    bare = say.propose("cancel", order_id="#W1001")
    finding = made("orders", bare).model_copy(update={"usage": Usage()})
    assert believed(heard(bare), [finding], WORDS, TABLE).resolution.proposals == []


def test_a_hidden_contradiction_is_found_again(say: Any) -> None:
    one, other = say.propose("cancel", order_id="#W1001"), say.propose("move", order_id="#W1001")
    result = believed(heard(one, other), [made("orders", one, other)], WORDS, TABLE).resolution
    (conflict,) = result.conflicts
    assert set(conflict.proposals) == {one.fingerprint, other.fingerprint}
    together = say.propose("swap", order_id="#W1001"), say.propose("move", order_id="#W1001")
    assert believed(heard(*together), [made("orders", *together)], WORDS, TABLE).resolution.conflicts == []


def test_a_contradiction_that_is_said_to_be_settled_while_both_sides_go_on_is_not(say: Any) -> None:
    one, other = say.propose("cancel", order_id="#W1001"), say.propose("move", order_id="#W1001")
    blessed = Conflict(about="x", kind="actions", chosen=one.fingerprint, strategy="judge")
    result = believed(heard(one, other, conflicts=[blessed]), [made("orders", one, other)], WORDS, TABLE)
    assert [c.chosen for c in result.resolution.conflicts] == [one.fingerprint, ""]


def test_what_the_customers_words_do_not_ask_for_stands_against_them(say: Any) -> None:
    other = say.propose("cancel", order_id="#W1009")
    result = believed(heard(other), [made("orders", other)], WORDS, TABLE).resolution
    assert result.conflicts[0].sides[0].value == WORDS
    assert result.conflicts[0].proposals == [other.fingerprint]
    assert believed(heard(other), [made("orders", other)], WORDS, OPEN).resolution.conflicts == []


def test_no_gap_is_taken_away(say: Any) -> None:
    gap = Gap(what="a part", why="unclear", subtask="of-orders")
    result = believed(heard(), [made("orders", gaps=[gap])], WORDS, TABLE)
    assert result.resolution.gaps == [gap]


async def test_the_same_words_about_another_part_take_no_gap_away(merge: Any, say: Any) -> None:
    mine, other = (Gap(what="the order", why="unclear", subtask=part) for part in ("change", "advice"))
    findings = [made("orders", gaps=[mine]), made("advisor", gaps=[other])]
    merged = await merge(*findings)
    assert {gap.subtask for gap in merged.gaps} == {"change", "advice"}
    result = believed(merged, findings, WORDS, TABLE)
    assert {gap.subtask for gap in result.resolution.gaps} == {"change", "advice"}


def state_with(*conflicts: Conflict) -> Work:
    work = new_work("r", WORDS)
    work["resolution"] = {"conflicts": [conflict.model_dump(mode="json") for conflict in conflicts]}
    return work


def test_the_gate_knows_the_conflict_of_a_proposal_while_nobody_has_settled_it(say: Any) -> None:
    one = say.propose("cancel", order_id="#W1001")
    claims = Conflict(about="order", kind="claims", proposals=[one.fingerprint])
    actions = Conflict(about="order", kind="actions", proposals=[one.fingerprint])
    settled = actions.model_copy(update={"chosen": "x"})
    for conflicts, kind in (
        ((), None),
        ((settled,), None),
        ((claims,), "claims"),
        ((claims, actions), "actions"),
    ):
        found = contested(state_with(*conflicts), one)
        assert (found or {}).get("kind") == kind
    older = new_work("r", WORDS)
    older["resolution"] = {"conflicts": [{"about": "x", "candidates": ["a: b"], "chosen": "", "why": ""}]}
    assert contested(older, one) is None


@pytest.mark.parametrize(
    ("decision", "approvals", "becomes"),
    [("apply", 0, "review"), ("apply", 1, "apply"), ("review", 0, "review"), ("reject", 0, "reject")],
)
def test_in_a_conflict_nothing_is_applied_without_a_person(
    decision: Any, approvals: int, becomes: str
) -> None:
    conflict = Conflict(about="order:1", sides=[{"agent": "a", "value": "x"}, {"agent": "b", "value": "y"}])  # type: ignore[list-item]
    verdict = Verdict(decision=decision, policy="p", why="w")
    cautioned = cautious(verdict, conflict.model_dump(), approvals)
    assert cautioned.decision == becomes
    if becomes == "review":
        assert (cautioned.risk, cautioned.approvals) == ("high", 1)
    if decision == "apply" and becomes == "review":
        assert "a: x or b: y" in cautioned.why
    assert cautious(verdict, None, 0) == verdict


@pytest.mark.parametrize(
    ("mine", "other", "lost"),
    [
        ("open", "applied", True),
        ("open", "unknown", True),
        ("approved", "applied", True),
        ("waiting", "applied", True),
        ("open", "refused", False),
        ("open", "waiting", False),
        ("applied", "applied", False),
    ],
)
def test_when_one_side_was_applied_or_may_have_been_the_other_is_not(
    say: Any, mine: str, other: str, lost: bool
) -> None:
    one, two = say.propose("cancel", order_id="#W1001"), say.propose("move", order_id="#W1001")
    sides = [{"fingerprint": one.fingerprint}, {"fingerprint": two.fingerprint}]
    conflict = {"kind": "actions", "sides": sides}
    rows = [
        {"key": "1", "state": mine, "proposal": one.model_dump(mode="json"), "conflict": conflict},
        {"key": "2", "state": other, "proposal": two.model_dump(mode="json"), "conflict": conflict},
    ]
    assert (given_up(rows[0], rows) != rows[0]) is lost
    assert given_up(rows[0], rows)["state"] == ("rejected" if lost else mine)
    claims = {**rows[0], "conflict": {**conflict, "kind": "claims"}}
    assert given_up(claims, rows) == claims
    alone = {k: v for k, v in rows[0].items() if k != "conflict"}
    assert given_up(alone, rows) == alone


def test_what_a_person_made_of_one_side_ends_the_other_too(say: Any) -> None:
    one, two = say.propose("cancel", order_id="#W1001"), say.propose("move", order_id="#W1001")
    edited = say.propose("move", order_id="#W1001", to="b")
    sides = [{"fingerprint": one.fingerprint}, {"fingerprint": two.fingerprint}]
    both = {"conflict": {"kind": "actions", "sides": sides}}
    waits = {"key": "1", "state": "waiting", "proposal": one.model_dump(mode="json"), **both}
    done = {"key": "3", "state": "applied", "proposal": edited.model_dump(mode="json"), **both}
    assert given_up(waits, [waits, done])["state"] == "rejected"


def test_a_conflict_of_an_older_build_can_still_be_read() -> None:
    old = {"about": "order:#W1", "candidates": ["orders: pending", "x"], "chosen": "pending", "why": "better"}
    conflict = Conflict.model_validate(old)
    assert [(side.agent, side.value) for side in conflict.sides] == [("orders", "pending"), ("x", "")]


async def test_thousands_of_claims_about_one_thing_are_looked_at_in_bounded_time(
    merge: Any, say: Any
) -> None:
    many = [
        say.finding(f"a{n}", claims=[say.claim("order:1", f"value {n} {m}") for m in range(64)])
        for n in range(32)
    ]
    began = time.process_time()
    resolution = await merge(*many)
    assert time.process_time() - began < 5
    assert len(resolution.conflicts[0].sides) <= 64
