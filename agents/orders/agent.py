"""Orders that are not delivered yet: status, cancellation, changes of items and of the shipping address."""

from __future__ import annotations

from typing import Any

from meshwright.agent import Agent, Job
from meshwright.errors import ToolRefused
from meshwright.findings import Claim, Evidence, Finding, Gap, Subtask
from orders.moves import readdressed, repaid
from orders.status import answered
from orders.stops import cancelled
from orders.swaps import changed
from orders.worksheet import Undecided, Worksheet

INSTRUCTIONS = """\
You look after orders that are not delivered yet. Only a pending order can be cancelled or changed, and
only the verified customer's own. Cancelling takes the whole order, never one item, and one of two
reasons: 'no longer needed' or 'ordered by mistake', as the customer said. Of a pending order the address,
the payment method and the items' options can change; an item stays the same product. Items change once
per order: put all of one order's items into one change_items, after a change_address of the same order.
Use the matching tools; when they do not decide, or a condition is not met, state a gap instead of
choosing. You propose; you never say that something was done."""


async def playbook(subtask: Subtask, job: Job) -> Finding:
    """All requests about pending orders in one go; one open point leaves the whole subtask to a person."""
    who = subtask.context.get("identify", {})
    if not who.get("verified") or not who.get("customer_id"):
        return _open(subtask, "it is not certain who is writing")
    if questions := subtask.details.get("questions"):
        return await answered(str(who["customer_id"]), list(questions), job)
    requests: list[dict[str, Any]] = list(subtask.details.get("requests") or ())
    if not requests:
        return _open(subtask, "what is to be done was not read out of the message")
    sheet = Worksheet(job, str(who["customer_id"]))
    try:
        for request in requests:
            kind = request.get("do")
            if kind == "cancel":
                await cancelled(request, sheet)
            elif kind == "readdress":
                await readdressed(request, sheet)
            elif kind == "repay":
                await repaid(request, sheet)
            elif kind == "swap":
                await changed(request, sheet)
            else:
                raise Undecided(request, "changing this about an order is for a person")
        return await sheet.finding()
    except Undecided as point:
        return _open(subtask, point.why, point.what)
    except ToolRefused as refusal:
        return _open(subtask, str(refusal))


def _open(subtask: Subtask, why: str, what: str = "") -> Finding:
    return Finding(
        gaps=[Gap(what=(what or subtask.instruction or subtask.skill)[:8000], why=why)],
        claims=[
            Claim(
                text=f"Left open: {why}",
                evidence=[Evidence(source="ticket", quote=subtask.instruction[:400])],
            )
        ],
        reply=(
            "A colleague will look at your question about your order."
            if subtask.skill == "order-status"
            else "A colleague will look at the change to your order."
        ),
    )


AGENT = Agent("orders", playbook=playbook, instructions=INSTRUCTIONS)
