"""The specialists' playbooks: exact proposals from the records, or a gap that says why not."""

from __future__ import annotations

from typing import Any

from accounts.agent import playbook as accounts
from advisor.agent import playbook as advisor
from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Subtask
from orders.agent import playbook as orders
from returns.agent import playbook as returns
from standby.agent import playbook as standby

KNOWN = {"identify": {"customer_id": "c", "verified": True}}
ADDRESS = {
    "address1": "1 Elm Road",
    "address2": "",
    "city": "Austin",
    "state": "TX",
    "zip": "73301",
    "country": "USA",
}


def line(item_id: str, order_id: str, status: str) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "order_id": order_id,
        "status": status,
        "name": "Lamp",
        "options": {},
        "price_cents": 500,
    }


def order(order_id: str, status: str, *item_ids: str) -> dict[str, Any]:
    return {
        "order_id": order_id, "status": status, "address": ADDRESS, "tracking": [],
        "total_cents": 500 * len(item_ids),
        "items": [{"item_id": i} for i in item_ids], "payments": [{"payment_method_id": "card"}],
    }  # fmt: skip


class Desk:
    """Tools that answer from a table: phrase → lines, wish → variant."""

    def __init__(
        self, orders: list[dict[str, Any]], lines: dict[str, Any], variants: dict[str, Any] | None = None
    ) -> None:
        self.orders, self.lines, self.variants = orders, lines, variants or {}

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        if tool == "match_items":
            return {
                "lines": self.lines.get(arguments["phrase"], []),
                "why": "cannot tell which",
                "candidates": [],
            }
        if tool == "match_variant":
            return dict(self.variants.get(arguments["wish"], {"outcome": "unclear", "why": "which one?"}))
        if tool == "match_method":
            return {"payment_method_id": arguments["phrase"] or "card", "why": ""}
        if tool == "find_customer":
            known = "a@example.com" in (arguments.get("email"), arguments.get("email2"))
            return {
                "customer_id": "c" if known else "",
                "verified": known,
                "why": "e-mail" if known else "unknown",
            }
        if tool == "get_profile":
            return {"address": ADDRESS, "payment_methods": []}
        if tool == "search_handbook":
            return {"passages": []}
        return {"orders": self.orders, "products": []}


def job(desk: Desk) -> Job:
    return Job(by=Deadline.after(5), tools=desk)


def task(skill: str, *requests: dict[str, Any], context: dict[str, Any] | None = None) -> Subtask:
    details = {"requests": list(requests)}
    return Subtask(
        id="t",
        skill=skill,
        instruction="do it",
        details=details,
        context=KNOWN if context is None else context,
    )


def actions(finding: Finding) -> list[tuple[str, dict[str, Any]]]:
    return [(p.action, p.arguments) for p in finding.proposals]


def found(item_id: str) -> dict[str, Any]:
    return {
        "outcome": "found",
        "item_id": item_id,
        "options": {"color": "black"},
        "price_cents": 700,
        "why": "",
    }


async def test_a_return_is_proposed_exactly_and_with_evidence() -> None:
    desk = Desk([order("#W1", "delivered", "1")], {"lamp": [line("1", "#W1", "delivered")]})
    finding = await returns(task("order-return", {"do": "return", "items": ["lamp"]}), job(desk))
    assert actions(finding) == [
        ("return_items", {"order_id": "#W1", "item_ids": ["1"], "payment_method_id": "card"})
    ]
    assert finding.proposals[0].evidence[0].source == "tool:orderbook.list_orders"
    assert finding.proposals[0].amount == 500


async def test_nothing_is_proposed_for_somebody_who_is_not_verified() -> None:
    desk = Desk([order("#W1", "delivered", "1")], {"lamp": [line("1", "#W1", "delivered")]})
    finding = await returns(task("order-return", {"do": "return", "items": ["lamp"]}, context={}), job(desk))
    assert not finding.proposals
    assert "not certain who" in finding.gaps[0].why


async def test_one_open_point_leaves_the_whole_subtask_open() -> None:
    desk = Desk([order("#W1", "delivered", "1")], {"lamp": [line("1", "#W1", "delivered")]})
    asked = task(
        "order-return",
        {"do": "return", "items": ["lamp"]},
        {"do": "return", "items": ["mug"], "words": "the mug"},
    )
    finding = await returns(asked, job(desk))
    assert not finding.proposals
    assert finding.gaps[0].what == "the mug"


async def test_all_items_of_one_order_are_exchanged_at_once() -> None:
    lines = {"lamp": [line("1", "#W1", "delivered")], "mug": [line("2", "#W1", "delivered")]}
    desk = Desk([order("#W1", "delivered", "1", "2")], lines, {"black": found("8"), "red": found("9")})
    asked = task("order-exchange", {"do": "swap", "items": ["lamp"], "wish": "black"},
                 {"do": "swap", "items": ["mug"], "wish": "red"})  # fmt: skip
    (proposal,) = (await returns(asked, job(desk))).proposals
    assert proposal.arguments["item_ids"] == ["1", "2"]
    assert proposal.arguments["new_item_ids"] == ["8", "9"]


async def test_a_return_and_an_exchange_in_one_order_cannot_both_be() -> None:
    lines = {"lamp": [line("1", "#W1", "delivered")], "mug": [line("2", "#W1", "delivered")]}
    desk = Desk([order("#W1", "delivered", "1", "2")], lines, {"black": found("8")})
    asked = task(
        "order-return", {"do": "swap", "items": ["lamp"], "wish": "black"}, {"do": "return", "items": ["mug"]}
    )
    finding = await returns(asked, job(desk))
    assert not finding.proposals
    assert "not both" in finding.gaps[0].why


async def test_an_item_asked_for_twice_is_open() -> None:
    desk = Desk([order("#W1", "delivered", "1")], {"lamp": [line("1", "#W1", "delivered")]})
    finding = await returns(task("order-return", {"do": "return", "items": ["lamp", "lamp"]}), job(desk))
    assert "twice" in finding.gaps[0].why


async def test_a_swap_is_proposed_by_the_one_whose_state_the_order_has() -> None:
    desk = Desk(
        [order("#W2", "pending", "1")], {"lamp": [line("1", "#W2", "pending")]}, {"black": found("8")}
    )
    asked = task("order-change", {"do": "swap", "items": ["lamp"], "wish": "black"})
    assert [name for name, _ in actions(await orders(asked, job(desk)))] == ["change_items"]
    other = await returns(asked, job(desk))
    assert not other.proposals
    assert not other.gaps


async def test_a_proposal_names_what_it_changes() -> None:
    desk = Desk([order("#W1", "delivered", "1")], {"lamp": [line("1", "#W1", "delivered")]})
    finding = await returns(task("order-return", {"do": "return", "items": ["lamp"]}), job(desk))
    assert [p.about for p in finding.proposals] == ["order:#W1"]
    desk = Desk([order("#W2", "pending", "1")], {})
    asked = {"do": "cancel", "order_id": "#W2", "reason": "no longer needed"}
    finding = await orders(task("order-cancel", asked), job(desk))
    assert [p.about for p in finding.proposals] == ["order:#W2"]


async def test_silence_about_money_beside_another_method_is_open() -> None:
    desk = Desk([order("#W1", "delivered", "1", "2")],
                {"lamp": [line("1", "#W1", "delivered")], "mug": [line("2", "#W1", "delivered")]})  # fmt: skip
    asked = [{"do": "return", "items": ["lamp"], "pay": ["gift"]}, {"do": "return", "items": ["mug"]}]
    finding = await returns(task("order-return", *asked), job(desk))
    assert not finding.proposals
    assert "two payment methods" in finding.gaps[0].why


async def test_what_is_not_in_stock_stays_when_the_customer_said_so() -> None:
    gone = {"outcome": "unavailable", "why": "none in stock", "item_id": ""}
    desk = Desk([order("#W1", "delivered", "1")], {"lamp": [line("1", "#W1", "delivered")]}, {"red": gone})
    asked = {"do": "swap", "items": ["lamp"], "wish": "red"}
    left = await returns(task("order-exchange", {**asked, "otherwise": "leave"}), job(desk))
    back = await returns(task("order-exchange", {**asked, "otherwise": "return"}), job(desk))
    assert (left.proposals, left.gaps) == ([], [])
    assert [name for name, _ in actions(back)] == ["return_items"]


async def test_one_item_of_an_order_cannot_be_cancelled_alone() -> None:
    desk = Desk([order("#W2", "pending", "1", "2")], {"lamp": [line("1", "#W2", "pending")]})
    part = {"do": "cancel", "items": ["lamp"], "reason": "no longer needed"}
    assert "cannot be cancelled alone" in (await orders(task("order-cancel", part), job(desk))).gaps[0].why
    whole = await orders(task("order-cancel", {**part, "whole": True}), job(desk))
    assert actions(whole) == [("cancel_order", {"order_id": "#W2", "reason": "no longer needed"})]


async def test_a_cancellation_without_a_reason_is_open() -> None:
    desk = Desk([order("#W2", "pending", "1")], {})
    finding = await orders(
        task("order-cancel", {"do": "cancel", "order_id": "#W2", "whole": True}), job(desk)
    )
    assert "reason" in finding.gaps[0].why


async def test_somebody_elses_order_is_not_touched() -> None:
    desk = Desk([order("#W2", "pending", "1")], {})
    asked = {"do": "cancel", "order_id": "#W9", "reason": "no longer needed"}
    finding = await orders(task("order-cancel", asked), job(desk))
    assert not finding.proposals
    assert "not among" in finding.gaps[0].why


async def test_the_address_is_changed_before_the_items() -> None:
    desk = Desk(
        [order("#W2", "pending", "1")], {"lamp": [line("1", "#W2", "pending")]}, {"black": found("8")}
    )
    new = {**ADDRESS, "address1": "2 Oak Road"}
    asked = task("order-change", {"do": "swap", "items": ["lamp"], "wish": "black"},
                 {"do": "readdress", "order_id": "#W2", "address": {"from": "written", **new}})  # fmt: skip
    assert [name for name, _ in actions(await orders(asked, job(desk)))] == ["change_address", "change_items"]


async def test_cancelling_instead_happens_only_when_the_wish_is_not_in_stock() -> None:
    gone = {"outcome": "unavailable", "why": "none in stock", "item_id": ""}
    desk = Desk(
        [order("#W2", "pending", "1")],
        {"lamp": [line("1", "#W2", "pending")]},
        {"red": gone, "black": found("8")},
    )
    asked = {"do": "swap", "items": ["lamp"], "otherwise": "cancel", "reason": "ordered by mistake"}
    red = await orders(task("order-change", {**asked, "wish": "red"}), job(desk))
    black = await orders(task("order-change", {**asked, "wish": "black"}), job(desk))
    unclear = await orders(task("order-change", {**asked, "wish": "nice"}), job(desk))
    assert [name for name, _ in actions(red)] == ["cancel_order"]
    assert [name for name, _ in actions(black)] == ["change_items"]
    assert not unclear.proposals


async def test_of_two_e_mails_the_known_one_identifies() -> None:
    who = Subtask(
        id="identify",
        skill="identify-customer",
        instruction="who",
        details={"email": "b@example.com", "email2": "a@example.com"},
    )
    finding = await accounts(who, job(Desk([], {})))
    assert finding.facts["customer_id"] == "c"
    assert finding.facts["verified"] is True


async def test_an_unknown_customer_is_a_gap_and_no_guess() -> None:
    who = Subtask(
        id="identify", skill="identify-customer", instruction="who", details={"email": "x@example.com"}
    )
    finding = await accounts(who, job(Desk([], {})))
    assert finding.facts["verified"] is False
    assert finding.gaps


async def test_what_the_handbook_does_not_say_is_a_gap() -> None:
    asked = Subtask(id="p", skill="policy-answer", instruction="may cats order?")
    assert (await advisor(asked, job(Desk([], {})))).gaps


async def test_the_stand_in_tells_what_it_sees_and_proposes_nothing() -> None:
    desk = Desk([order("#W1", "delivered", "1")], {})
    finding = await standby(task("order-return", {"do": "return", "items": ["lamp"]}), job(desk))
    assert not finding.proposals
    assert "a person" in finding.reply
    assert finding.claims[0].about == "order:#W1"
