"""Three outcomes of one question: at once, with so many people, or never. What is not known opens no door."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.errors import MeshError, PeerUnreachable, ToolRefused
from meshwright.policy import Policy


def tells(error: MeshError | None = None, **thing: Any):  # type: ignore[no-untyped-def]
    """A tool that tells this of the thing, or nothing."""

    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if tool == "find_owner":
            return {"owner_id": "o1"}
        assert (tool, arguments) == ("look_at", {"thing_id": "t1", "owner_id": "o1"})
        if error is not None:
            raise error
        return thing

    return ask


async def test_what_is_permitted_and_not_forbidden_is_applied(known: Any, policy: Policy) -> None:
    verdict = await policy.judge("paint", known(), tells(state="dry", price=100))
    assert (verdict.decision, verdict.policy, verdict.source) == ("apply", "paint", "book, page 1")


@pytest.mark.parametrize(
    ("price", "approvals", "outcome"),
    [
        (101, 0, ("review", 1, "dear", "medium", "it costs 101")),
        (101, 1, ("apply", 0, "paint", "low", "every condition holds")),
        (1001, 0, ("review", 2, "dear, very-dear", "high", "it costs 1001; it costs so much that two look")),
        (1001, 1, ("review", 2, "very-dear", "high", "it costs so much that two look")),
        (1001, 2, ("apply", 0, "paint", "low", "every condition holds")),
        (1001, 3, ("apply", 0, "paint", "low", "every condition holds")),
    ],
)
async def test_what_more_people_would_allow_waits_for_as_many(
    known: Any, policy: Policy, price: int, approvals: int, outcome: tuple[Any, ...]
) -> None:
    verdict = await policy.judge("paint", known(), tells(state="dry", price=price), approvals)
    assert (verdict.decision, verdict.approvals, verdict.policy, verdict.risk, verdict.why) == outcome


@pytest.mark.parametrize("approvals", [0, 1, 2, 5])
async def test_what_is_forbidden_is_not_done_whoever_approves(
    known: Any, policy: Policy, approvals: int
) -> None:
    verdict = await policy.judge("paint", known(), tells(state="wet", price=5000), approvals)
    assert (verdict.decision, verdict.policy) == ("reject", "dry")
    assert verdict.why == "the thing is wet, not dry"


@pytest.mark.parametrize("agent", ["", "stranger", "Painter", 'painter", action, resource); //', "painter\n"])
async def test_whom_no_rule_permits_does_nothing(known: Any, policy: Policy, agent: str) -> None:
    verdict = await policy.judge("paint", known(agent=agent), tells(state="dry", price=1))
    assert (verdict.decision, verdict.policy) == ("reject", "default")


@pytest.mark.parametrize("action", ["burn", "", "Paint", 'paint"'])
async def test_an_action_without_a_rule_is_rejected_and_nothing_is_looked_up(
    known: Any, policy: Policy, action: str
) -> None:
    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError

    verdict = await policy.judge(action, known(), ask)
    assert (verdict.decision, verdict.policy) == ("reject", "default")


async def test_a_fact_that_cannot_be_had_does_not_pass(known: Any, policy: Policy) -> None:
    refused = await policy.judge("paint", known(), tells(ToolRefused("no such thing")))
    lost = await policy.judge("paint", known(), tells(PeerUnreachable("workshop", "cannot be reached")))
    assert (refused.decision, refused.why) == ("reject", "the thing is no such thing, not dry")
    assert (lost.decision, lost.why) == ("reject", "the thing is workshop: cannot be reached, not dry")


@pytest.mark.parametrize("price", [None, 1.5, "1", True, [1], {"a": 1}, 2**63, -(2**80), float("nan"), {"__extn": {"fn": "decimal", "arg": "1.0"}}])  # fmt: skip
async def test_a_fact_of_another_shape_decides_nothing(known: Any, policy: Policy, price: Any) -> None:
    verdict = await policy.judge("paint", known(), tells(state="dry", price=price))
    assert verdict.decision == ("review" if price is None else "reject")


@pytest.mark.parametrize(
    "proposal",
    [
        {},
        {"thing_id": "t1"},
        {"thing_id": "t1", "colour": "red", "force": True},
        {"thing_id": "t1", "colour": None},
        {"thing_id": "t1", "colour": 7},
        {"thing_id": ["t1"], "colour": "red"},
        {"thing_id": {"__entity": {"type": "Agent", "id": "painter"}}, "colour": "red"},
        {"thing_id": {"a": {"b": {}}}, "colour": "red"},
        {"thing_id": "t1", "colour": "\ud800"},
    ],
)
async def test_arguments_of_another_shape_are_rejected(
    known: Any, policy: Policy, proposal: dict[str, Any]
) -> None:
    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"owner_id": "o1"} if tool == "find_owner" else {"state": "dry", "price": 1}

    verdict = await policy.judge("paint", known(proposal=proposal), ask)
    assert (verdict.decision, verdict.policy) == ("reject", "shape")


async def test_a_rule_that_fails_forbids_although_cedar_passes_over_it(known: Any, write: Any) -> None:
    overflowing = """
    @id("paint") @source("s") @why("w") permit (principal, action == Action::"paint", resource);
    @id("sum") @source("s") @why("w") forbid (principal, action == Action::"paint", resource)
    when { context has thing.price && context.thing.price + context.thing.price > 100 };
    """
    policy = Policy.load(write(rules=overflowing))
    assert (await policy.judge("paint", known(), tells(price=7))).decision == "apply"
    verdict = await policy.judge("paint", known(), tells(price=2**62))
    assert (verdict.decision, verdict.policy) == ("reject", "shape")


async def test_what_only_people_may_do_is_a_review_without_a_rule_that_forbids(
    known: Any, write: Any
) -> None:
    rule = '@id("p") @source("s") @why("people paint") permit (principal, action == Action::"paint", resource) when { context.approvals >= 1 };'
    verdict = await Policy.load(write(rules=rule)).judge("paint", known(), tells())
    assert (verdict.decision, verdict.approvals, verdict.policy, verdict.why) == (
        "review",
        1,
        "p",
        "people paint",
    )


async def test_words_of_a_verdict_are_bounded(known: Any, policy: Policy) -> None:
    verdict = await policy.judge("paint", known(), tells(state="w" * 100_000, price=1))
    assert len(verdict.why) < 500
