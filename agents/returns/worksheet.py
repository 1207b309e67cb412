"""What goes back and what is exchanged, collected per order before anything is proposed."""

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
    """What one delivered order is to become: items that go back, or pairs of old and new."""

    returns: list[dict[str, Any]] = field(default_factory=list)
    swaps: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    pay: list[list[str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


class Worksheet:
    """One customer's delivered orders, and a plan for each that is spoken of."""

    def __init__(self, job: Job, customer_id: str) -> None:
        self.tools = job.tools
        self.customer_id = customer_id
        self.plans: dict[str, Plan] = {}
        self.notes: list[str] = []

    async def give_back(self, request: dict[str, Any]) -> None:
        """Plan a return. Raises Undecided."""
        minus = [
            line
            for phrase in request.get("minus", ())
            for line in await self._lines(phrase, request, ["delivered"])
        ]
        kept = [line["item_id"] for line in minus]
        if minus and not request.get("order_id"):
            request = {**request, "order_id": await self._only_order(minus, request)}
        for phrase in request.get("items", ()):
            for line in await self._lines(phrase, request, ["delivered"]):
                if line["item_id"] in kept:
                    kept.remove(line["item_id"])
                    continue
                self._plan(line["order_id"], request).returns.append(line)

    async def _only_order(self, minus: list[dict[str, Any]], request: dict[str, Any]) -> str:
        """`everything except the lamp`: the order that holds the lamp, when no other was delivered."""
        found = await self.tools.call("list_orders", customer_id=self.customer_id)
        delivered = [order["order_id"] for order in found["orders"] if order["status"] == "delivered"]
        if {line["order_id"] for line in minus} != set(delivered) or len(delivered) != 1:
            raise Undecided(request, "everything of which order?")
        return str(delivered[0])

    async def exchange(self, request: dict[str, Any]) -> None:
        """Plan an exchange of those items that were delivered; pending ones are another agent's. Raises
        Undecided.
        """
        for phrase in request.get("items", ()):
            for line in await self._lines(phrase, request, ["pending", "delivered"]):
                if line["status"] != "delivered":
                    continue
                variant = await self._variant(line, request)
                otherwise = request.get("otherwise") if variant["outcome"] == "unavailable" else ""
                if otherwise == "leave":
                    self.notes.append(f"The {line['name']} stays: what you would like is not in stock.")
                    continue
                if otherwise == "return":
                    self._plan(line["order_id"], request).returns.append(line)
                    continue
                if variant["outcome"] != "found":
                    raise Undecided(request, variant["why"])
                self._plan(line["order_id"], request).swaps.append((line, variant))

    async def _lines(self, phrase: str, request: dict[str, Any], statuses: list[str]) -> list[dict[str, Any]]:
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

    async def _variant(self, line: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """What the line is to become: the first of the wishes that something in stock meets. Raises
        Undecided.
        """
        wishes = [str(request.get("wish", "")), *request.get("fallbacks", ())]
        if status := request.get("like"):
            model = await self._lines(line["name"], {"words": request.get("words", "")}, [status])
            wishes = [model[0]["item_id"] if len(model) == 1 else ""]
        match: dict[str, Any] = {}
        for wish in wishes:
            match = await self.tools.call("match_variant", item_id=line["item_id"], wish=wish)
            if match["outcome"] != "unavailable":
                break
        if match["outcome"] == "unclear":
            raise Undecided(request, match["why"])
        return match

    def _plan(self, order_id: str, request: dict[str, Any]) -> Plan:
        plan = self.plans.setdefault(order_id, Plan())
        plan.pay.append(list(request.get("pay", ())))
        plan.words.append(str(request.get("words", "")))
        return plan

    async def finding(self) -> Finding:
        """The plans as proposals. Raises Undecided where two of them cannot both be done."""
        finding = Finding()
        replies: list[str] = []
        finding.reply = " ".join(dict.fromkeys(self.notes))
        if not self.plans:
            return finding
        found = await self.tools.call("list_orders", customer_id=self.customer_id)
        orders = {order["order_id"]: order for order in found["orders"]}
        for order_id, plan in self.plans.items():
            order = orders[order_id]
            self._check(order_id, order, plan)
            evidence = [
                Evidence(source="tool:orderbook.list_orders", quote=f"{order_id}: {order['status']}"),
                Evidence(source="ticket", quote=" ".join(dict.fromkeys(plan.words))[:2000]),
            ]
            finding.claims.append(
                Claim(
                    text=f"Order {order_id} is {order['status']}.",
                    about=f"order:{order_id}",
                    value=order["status"],
                    evidence=evidence[:1],
                )
            )
            if plan.returns:
                finding.proposals.append(await self._return(order_id, plan, evidence))
                names = ", ".join(line["name"] for line in plan.returns)
                replies.append(f"We are asking for the return of {names} from order {order_id}.")
            else:
                finding.proposals.append(await self._exchange(order_id, plan, evidence))
                changes = "; ".join(f"{old['name']} for {_options(new)}" for old, new in plan.swaps)
                replies.append(f"From order {order_id} we exchange: {changes}.")
        finding.reply = " ".join(
            [*replies, *dict.fromkeys(self.notes), "You will get an e-mail on how to send the items back."]
        )
        return finding

    def _check(self, order_id: str, order: dict[str, Any], plan: Plan) -> None:
        words = {"words": " ".join(dict.fromkeys(plan.words))}
        if order["status"] != "delivered":
            raise Undecided(words, f"order {order_id} is {order['status']}")
        if plan.returns and plan.swaps:
            raise Undecided(words, f"order {order_id} can be returned from or exchanged from, not both")
        left = [item["item_id"] for item in order["items"]]
        for line in [*plan.returns, *(old for old, _ in plan.swaps)]:
            if line["item_id"] not in left:
                raise Undecided(words, f"the {line['name']} of order {order_id} is asked for twice")
            left.remove(line["item_id"])

    async def _method(self, order_id: str, plan: Plan, *, refund_only: bool, need_cents: int = 0) -> str:
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
                    refund_only=refund_only,
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

    async def _return(self, order_id: str, plan: Plan, evidence: list[Evidence]) -> Proposal:
        arguments = {
            "order_id": order_id,
            "item_ids": [line["item_id"] for line in plan.returns],
            "payment_method_id": await self._method(order_id, plan, refund_only=True),
        }
        back = sum(int(line["price_cents"]) for line in plan.returns)
        why = f"the customer returns {len(plan.returns)} of the items of delivered order {order_id}"
        return Proposal(
            action="return_items",
            arguments=arguments,
            about=f"order:{order_id}",
            amount=back,
            why=why,
            evidence=evidence,
            proposed_by="returns",
        )

    async def _exchange(self, order_id: str, plan: Plan, evidence: list[Evidence]) -> Proposal:
        more = sum(int(new["price_cents"]) - int(old["price_cents"]) for old, new in plan.swaps)
        method = await self._method(order_id, plan, refund_only=False, need_cents=max(more, 0))
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
        return Proposal(
            action="exchange_items",
            arguments=arguments,
            about=f"order:{order_id}",
            amount=abs(more),
            why=f"the customer wants other options for items of delivered order {order_id}",
            evidence=[*evidence, *chosen][:32],
            proposed_by="returns",
        )


def _options(variant: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in variant["options"].items())
