"""A new address or payment method for a pending order, each checked against the records."""

from __future__ import annotations

from typing import Any

from orders.worksheet import Undecided, Worksheet

FIELDS = ("address1", "address2", "city", "state", "zip", "country")


async def readdressed(request: dict[str, Any], sheet: Worksheet) -> None:
    """Plan the address of the one order that is meant. Raises Undecided."""
    order_id = await _one_order(request, sheet)
    order = await sheet.pending(order_id, request)
    address = await _address(request, sheet)
    if address == {key: order["address"][key] for key in FIELDS}:
        raise Undecided(request, f"order {order_id} already goes to that address")
    sheet.plan(order_id, request).address = address


async def repaid(request: dict[str, Any], sheet: Worksheet) -> None:
    """Plan another payment method for the one order that is meant: a different one, able to pay it. Raises
    Undecided.
    """
    order_id = await _one_order(request, sheet)
    order = await sheet.pending(order_id, request)
    match = await sheet.tools.call(
        "match_method",
        customer_id=sheet.customer_id,
        phrase=request["pay"][0],
        order_id=order_id,
        need_cents=order["total_cents"],
    )
    if not match["payment_method_id"]:
        raise Undecided(request, match["why"])
    if match["payment_method_id"] == order["payments"][0]["payment_method_id"]:
        raise Undecided(request, f"order {order_id} was already paid with that")
    sheet.plan(order_id, request).method = match["payment_method_id"]


async def _one_order(request: dict[str, Any], sheet: Worksheet) -> str:
    if request.get("order_id"):
        return str(request["order_id"])
    ids = {
        line["order_id"]
        for phrase in request.get("items", ())
        for line in await sheet.lines(phrase, request, ["pending"])
    }
    if len(ids) != 1:
        raise Undecided(request, "which order is meant is not certain")
    return str(ids.pop())


async def _address(request: dict[str, Any], sheet: Worksheet) -> dict[str, str]:
    source = request.get("address", {})
    found: dict[str, Any] | None = None
    if source.get("from") == "written":
        found = source
    elif source.get("from") == "profile":
        found = (await sheet.tools.call("get_profile", customer_id=sheet.customer_id))["address"]
        if place := source.get("place"):
            match = await sheet.tools.call("match_address", customer_id=sheet.customer_id, place=place)
            if match["address"] != found:
                raise Undecided(request, f"the profile's address is not the one called '{place}'")
    elif source.get("from") == "order":
        other = (await sheet.orders()).get(source.get("order_id", ""))
        if other is None:
            raise Undecided(request, f"order {source.get('order_id')} is not among this customer's orders")
        found = other["address"]
    elif source.get("from") == "place":
        match = await sheet.tools.call("match_address", customer_id=sheet.customer_id, place=source["place"])
        if not match["address"]:
            raise Undecided(request, match["why"])
        found = match["address"]
    if not found or not all(found.get(key) for key in FIELDS if key != "address2"):
        raise Undecided(request, "the new address is not complete")
    return {key: str(found.get(key, "")) for key in FIELDS}
