"""Questions about orders: where they are, their tracking numbers, what they cost. Reading only."""

from __future__ import annotations

import re
from typing import Any

from meshwright.agent import Job
from meshwright.findings import Claim, Evidence, Finding, Gap


async def answered(customer_id: str, questions: list[dict[str, Any]], job: Job) -> Finding:
    """An answer from the records for each question; about all of the customer's orders when it names none."""
    found = await job.tools.call("list_orders", customer_id=customer_id)
    orders = {order["order_id"]: order for order in found["orders"]}
    finding = Finding()
    said: list[str] = []
    for question in questions:
        words = str(question.get("words", ""))
        ids = re.findall(r"#W\d+", words)
        strange = [order_id for order_id in ids if order_id not in orders]
        if strange or not orders:
            finding.gaps.append(
                Gap(what=words, why=f"{', '.join(strange) or 'no order'} is among this customer's orders")
            )
            continue
        for order_id in ids or list(orders):
            order = orders[order_id]
            if "cancelled order" in words and order["status"] != "cancelled":
                continue
            text = _said(order, str(question.get("about", "")))
            finding.claims.append(
                Claim(
                    text=text,
                    about=f"order:{order_id}",
                    value=order["status"],
                    evidence=[
                        Evidence(source="tool:orderbook.list_orders", quote=f"{order_id}: {order['status']}")
                    ],
                )
            )
            said.append(text)
    finding.reply = " ".join(dict.fromkeys(said))
    return finding


def _said(order: dict[str, Any], about: str) -> str:
    text = f"Order {order['order_id']} is {order['status']}"
    if about == "total":
        return f"{text}; its items come to ${order['total_cents'] / 100:.2f}."
    tracking = ", ".join(order["tracking"])
    return f"{text}; tracking number {tracking}." if tracking else f"{text}; it has no tracking number yet."
