"""Delivered orders: what goes back, and what is exchanged for other options of the same product."""

from __future__ import annotations

from typing import Any

from meshwright.agent import Agent, Job
from meshwright.errors import ToolRefused
from meshwright.findings import Claim, Evidence, Finding, Gap, Subtask
from returns.worksheet import Undecided, Worksheet

INSTRUCTIONS = """\
You look after delivered orders of the verified customer. Only a delivered order can be returned or
exchanged, and only one of the two, once per order: put all items of one order into one proposal. A refund
goes to the original payment method or to a gift card of the customer, nowhere else. An exchange is for an
available variant of the same product with other options; its price difference needs a payment method, and
a gift card must hold enough. Use the matching tools; when they do not decide, state a gap instead of
choosing. You propose; you never say that something was done."""


async def playbook(subtask: Subtask, job: Job) -> Finding:
    """All requests about delivered orders in one go; a single open point leaves the whole subtask to a
    person.
    """
    who = subtask.context.get("identify", {})
    if not who.get("verified") or not who.get("customer_id"):
        return _open(subtask, "it is not certain who is writing")
    requests: list[dict[str, Any]] = list(subtask.details.get("requests") or ())
    if not requests:
        return _open(subtask, "what is to be returned or exchanged was not read out of the message")
    sheet = Worksheet(job, str(who["customer_id"]))
    try:
        for request in requests:
            if request.get("do") == "return":
                await sheet.give_back(request)
            elif request.get("do") == "swap":
                await sheet.exchange(request)
            else:
                raise Undecided(request, "this is no return and no exchange")
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
        reply="A colleague will look at your return or exchange.",
    )


AGENT = Agent("returns", playbook=playbook, instructions=INSTRUCTIONS)
