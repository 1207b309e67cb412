"""The shop's own policy: each of its cases, each of its rules, and that no fact that is missing opens a door."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshwright.policy import Policy, cases
from meshwright.policy.provenance import leaves
from meshwright.policy.rules import shipped_policy

FOLDER = Path(__file__).parents[2] / "policies" / "shop"
#: From the widest to the narrowest.
WIDTHS = ("apply", "review by 1", "review by 2", "reject")


def test_every_case_comes_out_as_it_says_and_every_rule_has_one(shop_policy: Policy) -> None:
    results = cases.run(shop_policy, FOLDER / "tests")
    assert [result for result in results if not result.right] == []
    assert cases.untested(shop_policy, results) == []
    assert shipped_policy() == FOLDER


def _every_case() -> list[tuple[str, dict[str, Any], int]]:
    return cases.told(FOLDER / "tests")


def _width(policy: Policy, told: dict[str, Any], approvals: int) -> int:
    verdict = cases.decide(policy, told, approvals).verdict
    name = f"review by {verdict.approvals}" if verdict.decision == "review" else verdict.decision
    return WIDTHS.index(name)


def test_no_fact_that_is_missing_opens_a_door(shop_policy: Policy) -> None:
    """Of each case each fact is taken away, the whole and each part that rules see: the verdict may only get narrower."""
    tried = 0
    for name, told, approvals in _every_case():
        width = _width(shop_policy, told, approvals)
        for fact in set(told) & set(shop_policy.lookups.facts):
            poorer = {key: value for key, value in told.items() if key != fact}
            assert _width(shop_policy, poorer, approvals) >= width, (name, fact)
            for part in set(shop_policy.lookups.facts[fact].keep) & set(told[fact]):
                less = {**told, fact: {key: value for key, value in told[fact].items() if key != part}}
                assert _width(shop_policy, less, approvals) >= width, (name, fact, part)
                tried += 1
            if fact == "names":
                for less in _fewer_names(told):
                    assert _width(shop_policy, less, approvals) >= width, (name, less["names"])
    assert tried > 1000


def _fewer_names(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Without one of the tables, and without one of the names of what was picked."""
    names, picked = told["names"], set(leaves(told["proposal"]))
    for table in names:
        yield {**told, "names": {key: value for key, value in names.items() if key != table}}
        for key in names[table]:
            if ("str", key) in picked:
                less = {**names[table], key: names[table][key][1:]}
                yield {**told, "names": {**names, table: less}}


@pytest.mark.parametrize("kind", ["refused", "unknown"])
def test_no_change_is_made_when_a_tool_does_not_tell_who_is_writing_or_what_the_order_is(
    shop_policy: Policy, kind: str
) -> None:
    for name, told, approvals in _every_case():
        for fact in {"customer", "order", "preview", "terms"} & set(told):
            blind = {**told, fact: {kind: "it does not say"}}
            assert cases.decide(shop_policy, blind, approvals).verdict.decision == "reject", (name, fact)


def test_more_approvals_never_make_it_narrower_and_never_lift_what_is_forbidden(shop_policy: Policy) -> None:
    for name, told, _ in _every_case():
        widths = [_width(shop_policy, told, approvals) for approvals in range(4)]
        assert widths == sorted(widths, reverse=True), name
        assert widths[0] != WIDTHS.index("reject") or set(widths) == {widths[0]}, name


def test_every_read_tool_that_the_gate_asks_is_one_that_it_may_ask(shop_policy: Policy) -> None:
    access = tomllib.loads((FOLDER.parent / "access.toml").read_text())
    allowed = {pattern.split(".")[1] for pattern in access["read"]["orchestrator"]}
    assert {lookup.tool for lookup in shop_policy.lookups.facts.values()} <= allowed


def test_only_the_orchestrator_speaks_and_only_specialists_change_anything(shop_policy: Policy) -> None:
    for name, told, approvals in _every_case():
        for agent in (
            "triage",
            "advisor",
            "standby",
            "aggregator",
            "orchestrator",
            "operator",
            "Orders",
            "orders ",
        ):
            if agent != told["agent"] and told["action"] != "reply":
                verdict = cases.decide(shop_policy, {**told, "agent": agent}, approvals).verdict
                assert verdict.decision == "reject", (name, agent)
