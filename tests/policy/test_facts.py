"""Facts are looked up by the gate, together where they can be, and nothing of the tools' trouble gets through."""

from __future__ import annotations

import asyncio
from typing import Any

from meshwright.errors import ToolRefused
from meshwright.policy import Policy
from meshwright.policy.facts import fill, lookup


async def test_what_needs_nothing_is_asked_for_at_once_and_the_rest_after_it(shop_policy: Policy) -> None:
    waves: list[set[str]] = [set()]
    answers = {"find_customer": {"customer_id": "ada"}, "get_order": {"order_id": "#W1"}}
    told = {"subject": {"email": "a@b"}, "proposal": {"order_id": "#W1", "reason": "r"}}

    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        waves[-1].add(tool)
        await asyncio.sleep(0)  # the others of this wave are asked before one is answered
        if waves[-1]:
            waves.append(set())
        return answers.get(tool, {})

    await shop_policy.weigh("cancel_order", told, ask)
    assert [wave for wave in waves if wave] == [
        {"find_customer", "get_order", "preview"},
        {"list_orders", "names"},
    ]


async def test_what_depends_on_an_unknown_is_not_asked_for(known: Any, policy: Policy) -> None:
    asked = []

    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(tool)
        raise ToolRefused("nobody of this name")

    judgement = await policy.weigh("paint", known(), ask)
    assert asked == ["find_owner"]
    assert judgement.facts == {
        "owner": {"refused": "nobody of this name"},
        "thing": {"unknown": "owner.owner_id is not known"},
    }
    assert "owner" not in judgement.context


async def test_rules_see_what_is_kept_and_nothing_else(known: Any, policy: Policy) -> None:
    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"owner_id": "o1"} if tool == "find_owner" else {"state": "dry", "price": 7, "secret": "s"}

    judgement = await policy.weigh("paint", known(), ask)
    assert judgement.context["thing"] == {"state": "dry", "price": 7}
    assert (judgement.moves, len(judgement.seen)) == (7, 64)


async def test_the_facts_as_seen_have_a_name_that_changes_with_them(known: Any, policy: Policy) -> None:
    one, same, other = (
        policy.decide("paint", known(), {"thing": {"state": "dry", "price": price}}) for price in (1, 1, 2)
    )
    assert one.seen == same.seen != other.seen
    for odd in (float("nan"), "\ud800", 2**70, None):
        judgement = policy.decide("paint", known(), {"thing": {"state": "dry", "price": odd}})
        assert (judgement.verdict.decision != "apply", len(judgement.seen)) == (True, 64)


def test_a_path_that_leads_nowhere_is_missing_and_fills_in_nothing() -> None:
    facts = {"a": {"b": None, "c": "", "d": 0, "e": "x"}}
    assert lookup(facts, "a.d") == 0
    for path in ("a.b", "a.c", "a.z", "a.e.f", "z"):
        assert fill(f"<{{{path}}}>", facts) == "<>"
    assert fill("{a.e} and {a.e", facts) == "x and"
