"""The stand-in for any skill: it reads what it can, promises nothing and proposes nothing."""

from __future__ import annotations

from meshwright.agent import Agent, Job
from meshwright.errors import MeshError
from meshwright.findings import Claim, Evidence, Finding, Gap, Subtask

SORRY = "The colleague for this part cannot be reached right now; a person will take it over."


async def playbook(subtask: Subtask, job: Job) -> Finding:
    """What can honestly be said without the specialist: the state of the customer's orders, and that a person
    follows.
    """
    finding = Finding(
        gaps=[
            Gap(what=subtask.instruction or subtask.skill, why=f"nobody for {subtask.skill} could be reached")
        ]
    )
    if subtask.skill == "identify-customer":
        finding.facts = {"customer_id": "", "verified": False, "why": "identity could not be checked"}
    who = subtask.context.get("identify", {})
    said: list[str] = []
    if who.get("verified") and who.get("customer_id"):
        try:
            found = await job.tools.call("list_orders", customer_id=str(who["customer_id"]))
        except MeshError:
            found = {"orders": []}
        for order in found["orders"][-8:]:
            text = f"Order {order['order_id']} is {order['status']}."
            evidence = [
                Evidence(source="tool:orderbook.list_orders", quote=f"{order['order_id']}: {order['status']}")
            ]
            about = f"order:{order['order_id']}"
            finding.claims.append(Claim(text=text, about=about, value=order["status"], evidence=evidence))
            said.append(text)
    finding.reply = " ".join([SORRY, *said])
    return finding


#: No instructions: the stand-in never asks a model, because it must work when everything else does not.
AGENT = Agent("standby", playbook=playbook, instructions=None)
