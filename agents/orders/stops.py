"""Cancelling: a whole pending order, with one of the two reasons the handbook knows."""

from __future__ import annotations

from typing import Any

from orders.worksheet import Undecided, Worksheet

REASONS = ("no longer needed", "ordered by mistake")


async def cancelled(request: dict[str, Any], sheet: Worksheet) -> None:
    """Plan the cancellation of the orders that are named, or whose every item is named. Raises Undecided."""
    reason = str(request.get("reason", ""))
    if request.get("order_id") and not request.get("items"):
        ids = [str(request["order_id"])]
    else:
        ids = await _covered(request, sheet)
    for order_id in ids:
        await sheet.pending(order_id, request)
        if reason not in REASONS:
            raise Undecided(
                request, f"the reason for cancelling {order_id} is not said: {' or '.join(REASONS)}?"
            )
        sheet.plan(order_id, request).reason = reason


async def _covered(request: dict[str, Any], sheet: Worksheet) -> list[str]:
    named: dict[str, list[str]] = {}
    for phrase in request.get("items", ()):
        for line in await sheet.lines(phrase, request, ["pending"]):
            named.setdefault(line["order_id"], []).append(line["item_id"])
    covered: list[str] = []
    for order_id, item_ids in named.items():
        held = [item["item_id"] for item in (await sheet.orders())[order_id]["items"]]
        part = sorted(held) != sorted(item_ids) and not request.get("whole")
        if part and request.get("otherwise") == "leave":
            sheet.notes.append(f"Order {order_id} stays: it can only be cancelled as a whole.")
            continue
        if part:
            raise Undecided(
                request, f"one item of order {order_id} cannot be cancelled alone, only the whole order"
            )
        covered.append(order_id)
    return covered
