"""What is to become of each order, collected first: an order's items change only once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meshwright.agent import Job
from meshwright.findings import Claim, Evidence, Finding, Proposal


class Undecided(Exception):
    """A point that only the customer or a person can settle."""

    def __init__(self, request: dict[str, Any], why: str) -> None:
        super().__init__(why)
        self.what = str(request.get("words") or request.get("do") or "")
        self.why = why


@dataclass
class Plan:
    """What one order is to become."""

    reason: str = ""
    address: dict[str, str] = field(default_factory=dict)
    method: str = ""
    swaps: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    pay: list[list[str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


class Worksheet:
    """One customer's orders, and a plan for each that is spoken of."""

    def __init__(self, job: Job, customer_id: str) -> None:
        self.tools = job.tools
        self.customer_id = customer_id
        self.plans: dict[str, Plan] = {}
        self.notes: list[str] = []
        self._orders: dict[str, dict[str, Any]] = {}

    async def orders(self) -> dict[str, dict[str, Any]]:
        """The customer's own orders by id; what is not among them is not theirs."""
        if not self._orders:
            found = await self.tools.call("list_orders", customer_id=self.customer_id)
            self._orders = {order["order_id"]: order for order in found["orders"]}
        return self._orders

    async def pending(self, order_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """The order, which is the customer's and pending. Raises Undecided."""
        order = (await self.orders()).get(order_id)
        if order is None:
            raise Undecided(request, f"order {order_id} is not among this customer's orders")
        if order["status"] != "pending":
            raise Undecided(
                request, f"order {order_id} is {order['status']}, so it can no longer be changed or cancelled"
            )
        return order

    async def lines(self, phrase: str, request: dict[str, Any], statuses: list[str]) -> list[dict[str, Any]]:
        """The lines a phrase means. Raises Undecided when that is not certain."""
        match = await self.tools.call(
            "match_items",
            customer_id=self.customer_id,
            phrase=phrase,
            order_id=request.get("order_id", ""),
            statuses=statuses,
        )
        if not match["lines"]:
            raise Undecided(request, match["why"])
        return list(match["lines"])

    async def variant(self, line: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """What the line is to become: the first of the wishes that something in stock meets. Raises
        Undecided.
        """
        wishes = [str(request.get("wish", "")), *request.get("fallbacks", ())]
        if status := request.get("like"):
            model = await self.lines(line["name"], {"words": request.get("words", "")}, [status])
            wishes = [model[0]["item_id"] if len(model) == 1 else ""]
        match: dict[str, Any] = {}
        for wish in wishes:
            match = await self.tools.call("match_variant", item_id=line["item_id"], wish=wish)
            if match["outcome"] != "unavailable":
                break
        if match["outcome"] == "unclear":
            raise Undecided(request, match["why"])
        return match

    def plan(self, order_id: str, request: dict[str, Any]) -> Plan:
        plan = self.plans.setdefault(order_id, Plan())
        plan.words.append(str(request.get("words", "")))
        return plan

    async def finding(self) -> Finding:
        """The plans as proposals: address before items, because after a change of items nothing else is
        possible.
        """
        finding = Finding()
        replies: list[str] = []
        for order_id, plan in self.plans.items():
            if plan.reason and (plan.address or plan.swaps or plan.method):
                raise Undecided(
                    {"words": plan.words[0]}, f"order {order_id} cannot be both cancelled and changed"
                )
            order = (await self.orders())[order_id]
            evidence = [
                Evidence(source="tool:orderbook.list_orders", quote=f"{order_id}: {order['status']}"),
                Evidence(source="ticket", quote=" ".join(dict.fromkeys(plan.words))[:2000]),
            ]
            if plan.reason:
                total = int(order["total_cents"])
                arguments: dict[str, Any] = {"order_id": order_id, "reason": plan.reason}
                why = f"the customer wants order {order_id} cancelled ({plan.reason}); it is pending"
                finding.proposals.append(_proposal("cancel_order", arguments, total, why, evidence))
                replies.append(f"We are asking for order {order_id} to be cancelled and refunded.")
            if plan.address:
                why = f"the customer wants order {order_id} sent elsewhere; it is pending"
                arguments = {"order_id": order_id, **plan.address}
                finding.proposals.append(_proposal("change_address", arguments, None, why, evidence))
                replies.append(
                    f"Order {order_id} should go to {plan.address['address1']}, {plan.address['city']}."
                )
            if plan.method:
                why = f"the customer wants to pay order {order_id} otherwise; it is pending"
                arguments = {"order_id": order_id, "payment_method_id": plan.method}
                finding.proposals.append(_proposal("change_payment", arguments, None, why, evidence))
                replies.append(f"Order {order_id} should be paid with {plan.method}.")
            if plan.swaps:
                finding.proposals.append(await self._change(order_id, plan, evidence))
                replies.append(
                    f"In order {order_id} we change: " + "; ".join(_said(a, b) for a, b in plan.swaps) + "."
                )
            state = f"Order {order_id} is {order['status']}."
            finding.claims.append(
                Claim(text=state, about=f"order:{order_id}", value=order["status"], evidence=evidence[:1])
            )
        finding.reply = " ".join([*replies, *dict.fromkeys(self.notes)])
        return finding

    async def _change(self, order_id: str, plan: Plan, evidence: list[Evidence]) -> Proposal:
        more = sum(int(new["price_cents"]) - int(old["price_cents"]) for old, new in plan.swaps)
        method = await self._method(order_id, plan, max(more, 0))
        arguments = {
            "order_id": order_id,
            "item_ids": [old["item_id"] for old, _ in plan.swaps],
            "new_item_ids": [new["item_id"] for _, new in plan.swaps],
            "payment_method_id": method,
        }
        chosen = [
            Evidence(source="tool:orderbook.match_variant", quote=f"{new['item_id']}: {_options(new)}")
            for _, new in plan.swaps
        ]
        text = f"the customer wants other options in pending order {order_id}"
        return _proposal("change_items", arguments, abs(more), text, [*evidence, *chosen][:32])

    async def _method(self, order_id: str, plan: Plan, need_cents: int) -> str:
        """The one method of all wishes about this order; silence means the original one. Raises Undecided."""
        found: set[str] = set()
        for wishes in plan.pay:
            why = ""
            for phrase in wishes or [""]:
                method = await self.tools.call(
                    "match_method",
                    customer_id=self.customer_id,
                    phrase=phrase,
                    order_id=order_id,
                    need_cents=need_cents,
                )
                if method["payment_method_id"]:
                    found.add(str(method["payment_method_id"]))
                    break
                why = why or method["why"]
            else:
                raise Undecided({"words": " ".join(plan.words)}, why)
        if len(found) != 1:
            raise Undecided(
                {"words": " ".join(plan.words)}, f"two payment methods for one step with {order_id}"
            )
        return found.pop()


def _proposal(
    action: str, arguments: dict[str, Any], amount: int | None, why: str, evidence: list[Evidence]
) -> Proposal:
    return Proposal(
        action=action,
        arguments=arguments,
        about=f"order:{arguments['order_id']}",
        amount=amount,
        why=why,
        evidence=evidence,
        proposed_by="orders",
    )


def _options(variant: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in variant["options"].items())


def _said(old: dict[str, Any], new: dict[str, Any]) -> str:
    return f"{old['name']} to {_options(new)}"
