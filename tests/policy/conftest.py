"""A small policy, and the shop's own, for the tests of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshwright.policy import Policy
from meshwright.testing import policy_in

SHOP = Path(__file__).parents[2] / "policies" / "shop"

RULES = """
@id("paint") @source("book, page 1") @why("painters paint")
permit (principal == Agent::"painter", action == Action::"paint", resource);

@id("dry") @source("book, page 2") @why("the thing is {thing.state}{thing.refused}{thing.unknown}, not dry")
forbid (principal, action == Action::"paint", resource)
unless { context has thing.state && context.thing.state == "dry" };

@id("dear") @source("house") @why("it costs {thing.price}") @risk("medium")
forbid (principal, action == Action::"paint", resource)
unless { context.approvals >= 1 || (context has thing.price && context.thing.price <= 100) };

@id("very-dear") @source("house") @why("it costs so much that two look") @risk("high")
forbid (principal, action == Action::"paint", resource)
unless { context.approvals >= 2 || (context has thing.price && context.thing.price <= 1000) };
"""
FACTS = """
moves = "thing.price"
[needs]
paint = ["owner", "thing"]
[facts.owner]
tool = "find_owner"
arguments = { name = "subject.name" }
keep = ["owner_id"]
[facts.thing]
tool = "look_at"
arguments = { thing_id = "proposal.thing_id", owner_id = "owner.owner_id" }
keep = ["state", "price"]
"""
ACTIONS = {"paint": "thing_id: String, colour: String"}
TOLD = {"owner": "{ owner_id?: String }", "thing": "{ state?: String, price?: Long }"}


@pytest.fixture
def known() -> Callable[..., dict[str, Any]]:
    """What is known of an ordinary proposal."""

    def told(**more: Any) -> dict[str, Any]:
        return {
            "proposal": {"thing_id": "t1", "colour": "red"},
            "agent": "painter",
            "subject": {"name": "ada"},
            "words": "I am Ada. Please paint t1 red.",
            **more,
        }

    return told


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the small policy with other rules or facts, and give its folder."""

    def written(rules: str = RULES, facts: str = FACTS) -> Path:
        return policy_in(tmp_path / "policy", rules=rules, facts=facts, actions=ACTIONS, told=TOLD)

    return written


@pytest.fixture
def policy(write: Callable[..., Path]) -> Policy:
    return Policy.load(write())


@pytest.fixture(scope="session")
def shop_policy() -> Policy:
    return Policy.load(SHOP)
