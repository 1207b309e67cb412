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
            elif variant["outcome"] != "found":
                raise Undecided(request, variant["why"])
            else:
                plan = sheet.plan(line["order_id"], request)
                if any(
                    line["item_id"] == old["item_id"] and request["wish"] != old["wish"]
                    for old, _ in plan.swaps
                ):
                    raise Undecided(request, f"two wishes for one {line['name']}")
                pay = list(request.get("pay", ()))
                if plan.swaps and plan.pay != pay:
                    raise Undecided(
                        request, f"two payment methods for one change of order {line['order_id']}"
                    )
                plan.pay = pay
                plan.swaps.append(({**line, "wish": request["wish"]}, variant))


def _cancel_instead(order_id: str, request: dict[str, Any], sheet: Worksheet) -> None:
    if request.get("reason") not in REASONS:
        raise Undecided(request, f"the reason for cancelling {order_id} is not said: {' or '.join(REASONS)}?")
    sheet.plan(order_id, request).reason = str(request["reason"])
