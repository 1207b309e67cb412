"""The gate's rules: data, on facts it looks up itself, and nothing is allowed by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshwright.errors import PeerUnreachable, ToolRefused
from meshwright.policy.rules import Condition, Policy
from meshwright.settings import SettingsError

POLICY = """
version = 1
[facts.order]
tool = "get_order"
arguments = { order_id = "proposal.order_id" }
[[rule]]
name = "pending"
actions = ["cancel"]
source = "book"
conditions = [
  { that = "order.status", equals = "pending", otherwise = "reject", why = "it is {order.status}{order.refused}{order.unknown}" },
  { that = "order.amount", at_most = 100, otherwise = "review", why = "too much" },
]
"""


def policy(tmp_path: Path, text: str = POLICY) -> Policy:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    return Policy.load(file)


def tells(**order: Any):  # type: ignore[no-untyped-def]
    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        assert (tool, arguments) == ("get_order", {"order_id": "W1"})
        return order

    return ask


KNOWN = {"proposal": {"order_id": "W1", "status": "pending"}}


async def test_what_meets_every_condition_is_applied(tmp_path: Path) -> None:
    verdict = await policy(tmp_path).judge("cancel", KNOWN, tells(status="pending", amount=100))
    assert (verdict.decision, verdict.policy, verdict.source) == ("apply", "pending", "book")


async def test_a_reject_outranks_a_review(tmp_path: Path) -> None:
    verdict = await policy(tmp_path).judge("cancel", KNOWN, tells(status="delivered", amount=999))
    assert (verdict.decision, verdict.why) == ("reject", "it is delivered")


async def test_what_is_only_large_waits_for_a_person(tmp_path: Path) -> None:
    verdict = await policy(tmp_path).judge("cancel", KNOWN, tells(status="pending", amount=101))
    assert verdict.decision == "review"


async def test_an_action_without_a_rule_is_rejected(tmp_path: Path) -> None:
    verdict = await policy(tmp_path).judge("delete_everything", KNOWN, tells())
    assert (verdict.decision, verdict.policy) == ("reject", "default")


async def test_a_fact_that_cannot_be_had_does_not_pass(tmp_path: Path) -> None:
    async def refuses(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise ToolRefused("no such order")

    async def lost(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise PeerUnreachable("orderbook", "cannot be reached")

    assert (await policy(tmp_path).judge("cancel", KNOWN, refuses)).why == "it is no such order"
    assert (await policy(tmp_path).judge("cancel", KNOWN, lost)).decision == "reject"


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ({"equals": True}, True, True),
        ({"equals": True}, 1, False),
        ({"equals": True}, "true", False),
        ({"at_most": 5}, True, False),
        ({"at_most": 5}, "4", False),
        ({"at_most": 5}, float("nan"), False),
        ({"at_least": 0.8}, 0.8, True),
        ({"one_of": ["a", "b"]}, "b", True),
        ({"empty": True}, [], True),
        ({"empty": True}, ["x"], False),
        ({"same_as": "other"}, "y", False),
        ({"same_as": "nowhere"}, None, False),
    ],
)
def test_a_comparison_never_holds_by_accident(condition: dict[str, Any], value: Any, holds: bool) -> None:
    made = Condition.model_validate({"that": "x", "why": "w", **condition})
    assert made.holds({"x": value, "other": "z"}) is holds


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            "version = 1\n[[rule]]\nname='a'\nactions=['b']\nsource='c'\nconditions=[{that='x',why='w'}]",
            "exactly one",
        ),
        ("version = 1\n[[rule]]\nname='a'\nactions=[]\nsource='c'", "rule.0.actions"),
        ("version = 1\nrules = 3", "rules"),
        ("version =", "policy.toml"),
    ],
)
def test_a_policy_that_is_wrong_is_refused_at_start(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(SettingsError, match=where):
        policy(tmp_path, text)


def test_the_shipped_policy_loads() -> None:
    assert Policy.load(Path(__file__).parents[2] / "policies" / "shop.toml").rule
