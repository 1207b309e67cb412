"""Accounts: who is writing, whether the shop knows them, and their profile."""

from __future__ import annotations

from typing import Any

from meshwright.agent import Agent, Job
from meshwright.errors import ToolRefused
from meshwright.findings import Claim, Evidence, Finding, Gap, Proposal, Subtask

#: What a customer may say of themselves; `find_customer` checks it.
MARKS = ("name", "zip", "email", "email2", "email3", "customer_id")
FIELDS = ("address1", "address2", "city", "state", "zip", "country")
INSTRUCTIONS = """\
You find out who is writing and look after profiles. A customer is verified by their e-mail, or by name
and zip code; a user id alone proves nothing. Put customer_id, verified and why into `facts`. You tell
nobody anything about another customer's profile. The default address changes only to an address that the
customer wrote, or that stands on one of their own orders. You propose; you never say that something was
done."""


async def playbook(subtask: Subtask, job: Job) -> Finding:
    """Identify the customer, change the profile's address, or answer from the profile: by the subtask's
    skill.
    """
    if subtask.skill == "identify-customer":
        return await identified(subtask, job)
    who = subtask.context.get("identify", {})
    if not who.get("verified") or not who.get("customer_id"):
        return Finding(
            gaps=[Gap(what=subtask.instruction or subtask.skill, why="it is not certain who is writing")]
        )
    if subtask.skill == "address-change":
        return await moved(subtask, job, str(who["customer_id"]))
    return await profile(subtask, job, str(who["customer_id"]))


async def identified(subtask: Subtask, job: Job) -> Finding:
    """Who is writing, by everything they said of themselves."""
    said = {key: str(subtask.details[key]) for key in MARKS if subtask.details.get(key)}
    try:
        answer = await job.tools.call("find_customer", **said)
    except ToolRefused as refusal:
        answer = {"customer_id": "", "verified": False, "why": str(refusal)}
    if not answer["verified"]:
        why = str(answer["why"]) or "the message does not say who is writing"
        return Finding(
            facts={"customer_id": "", "verified": False, "why": why},
            gaps=[Gap(what="who is writing", why=why)],
            reply="We could not find your account with what you told us; a colleague will ask you for it.",
        )
    customer_id, why = str(answer["customer_id"]), str(answer["why"])
    evidence = [Evidence(source="tool:customers.find_customer", quote=f"{customer_id}: {why}")]
    return Finding(
        facts={"customer_id": customer_id, "verified": True, "why": why},
        claims=[
            Claim(
                text=f"The customer is {customer_id}: {why}",
                about="customer",
                value=customer_id,
                evidence=evidence,
            )
        ],
    )


async def moved(subtask: Subtask, job: Job, customer_id: str) -> Finding:
    """A proposal to change the profile's address to the one the request says."""
    finding = Finding()
    known = await job.tools.call("get_profile", customer_id=customer_id)
    for request in subtask.details.get("requests", ()):
        words = str(request.get("words", ""))
        source = dict(request.get("address", {}))
        if source.get("from") == "written":
            found: dict[str, Any] | None = source
        elif source.get("from") == "order":
            orders = (await job.tools.call("list_orders", customer_id=customer_id))["orders"]
            found = next((o["address"] for o in orders if o["order_id"] == source.get("order_id")), None)
        elif source.get("from") == "place":
            match = await job.tools.call("match_address", customer_id=customer_id, place=source["place"])
            found = match["address"]
        else:
            found = None
        if not found or not all(found.get(key) for key in FIELDS if key != "address2"):
            finding.gaps.append(Gap(what=words, why="the new address is not certain or not complete"))
            continue
        address = {key: str(found.get(key, "")) for key in FIELDS}
        if address == {key: known["address"][key] for key in FIELDS}:
            finding.gaps.append(Gap(what=words, why="the profile already has that address"))
            continue
        finding.proposals.append(
            Proposal(
                action="change_profile_address",
                arguments={"customer_id": customer_id, **address},
                about=f"customer:{customer_id}",
                why="the customer wants this as their default address",
                evidence=[Evidence(source="ticket", quote=words)],
                proposed_by="accounts",
            )
        )
        finding.reply = f"Your default address should become {address['address1']}, {address['city']}."
    if finding.gaps or len(finding.proposals) > 1:
        finding.proposals.clear()
        finding.reply = "A colleague will look at your address."
        finding.gaps = finding.gaps or [
            Gap(what=subtask.instruction, why="two new addresses for one profile")
        ]
    return finding


async def profile(subtask: Subtask, job: Job, customer_id: str) -> Finding:
    """Answers from the customer's own profile: what gift cards hold."""
    known = await job.tools.call("get_profile", customer_id=customer_id)
    cards = [m for m in known["payment_methods"] if m["kind"] == "gift_card"]
    said = [f"Your gift card {card['id']} holds ${card['balance_cents'] / 100:.2f} now." for card in cards]
    text = " ".join(said) or "There is no gift card on your profile."
    evidence = [Evidence(source="tool:customers.get_profile", quote=", ".join(c["id"] for c in cards))]
    return Finding(claims=[Claim(text=text, about=f"customer:{customer_id}", evidence=evidence)], reply=text)


AGENT = Agent("accounts", playbook=playbook, instructions=INSTRUCTIONS)
