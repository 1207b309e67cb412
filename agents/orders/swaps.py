"""Other options for items of a pending order. Items of delivered orders are left to the agent for returns."""

from __future__ import annotations

from typing import Any

from orders.stops import REASONS
from orders.worksheet import Undecided, Worksheet


async def changed(request: dict[str, Any], sheet: Worksheet) -> None:
    """Plan the change of every item that is meant and stands in a pending order. Raises Undecided."""
    for phrase in request.get("items", ()):
        for line in await sheet.lines(phrase, request, ["pending", "delivered"]):
            if line["status"] != "pending":
                continue
            await sheet.pending(line["order_id"], request)
            variant = await sheet.variant(line, request)
            if variant["outcome"] == "unavailable" and request.get("otherwise") == "cancel":
                _cancel_instead(line["order_id"], request, sheet)
            elif variant["outcome"] == "unavailable" and request.get("otherwise") == "leave":
                sheet.notes.append(f"The {line['name']} stays as it is: what you would like is not in stock.")
            elif variant["outcome"] != "found":
                raise Undecided(request, variant["why"])
            else:
                await _plan_swap(line, variant, request, sheet)


async def _plan_swap(
    line: dict[str, Any], variant: dict[str, Any], request: dict[str, Any], sheet: Worksheet
) -> None:
    """One line and what it becomes. As many lines of an item can change as the order holds. Raises Undecided."""
    plan = sheet.plan(line["order_id"], request)
    taken = [old for old, _ in plan.swaps if old["item_id"] == line["item_id"]]
    held = [i for i in (await sheet.orders())[line["order_id"]]["items"] if i["item_id"] == line["item_id"]]
    if len(taken) >= len(held):
        raise Undecided(request, f"two wishes for one {line['name']}")
    plan.pay.append(list(request.get("pay", ())))
    plan.swaps.append((line, variant))


def _cancel_instead(order_id: str, request: dict[str, Any], sheet: Worksheet) -> None:
    if request.get("reason") not in REASONS:
        raise Undecided(request, f"the reason for cancelling {order_id} is not said: {' or '.join(REASONS)}?")
    sheet.plan(order_id, request).reason = str(request["reason"])
