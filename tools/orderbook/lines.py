"""The lines of an order that a wish means, and what they would become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from meshwright.errors import ToolRefused
from shop.models import Order, OrderItem, Product

#: The products that a wish's new items belong to, by item id; an item that nobody sells is not in it.
Catalogue = Mapping[str, Product]

#: A line as it is, and as it is to be.
Swap = tuple[OrderItem, OrderItem]


def lines(order: Order, item_ids: list[str]) -> list[OrderItem]:
    """The order's lines that are meant, as many of an item as it is listed."""
    held = Counter(item.item_id for item in order.items)
    for item_id, wanted in Counter(item_ids).items():
        if wanted > held[item_id]:
            has = f"holds it {held[item_id]} time(s), not {wanted}" if held[item_id] else "does not hold it"
            raise ToolRefused(f"item {item_id}: order {order.order_id} {has}")
    left = list(order.items)
    meant = []
    for item_id in item_ids:
        line = next(item for item in left if item.item_id == item_id)
        left.remove(line)
        meant.append(line)
    return meant


def swaps(order: Order, item_ids: list[str], new_item_ids: list[str], catalogue: Catalogue) -> list[Swap]:
    """Each item with what it becomes, pairwise. Raises ToolRefused when a pair is not possible."""
    if len(item_ids) != len(new_item_ids):
        raise ToolRefused(
            f"{len(item_ids)} item(s) are to become {len(new_item_ids)}: give one new item for each, in order"
        )
    return [
        (old, variant(old, new, catalogue))
        for old, new in zip(lines(order, item_ids), new_item_ids, strict=True)
    ]


def variant(old: OrderItem, new_item_id: str, catalogue: Catalogue) -> OrderItem:
    """`old` as it would be with other options. The product must be the same, the options others."""
    product = catalogue.get(new_item_id)
    if product is None:
        raise ToolRefused(f"item {new_item_id}: the shop has no such item")
    if product.product_id != old.product_id:
        raise ToolRefused(
            f"item {new_item_id} is a {product.name}, not a {old.name}: only another option of the"
            " same product is possible"
        )
    if new_item_id == old.item_id:
        raise ToolRefused(f"item {new_item_id} is what the order holds already: choose a different option")
    found = next(v for v in product.variants if v.item_id == new_item_id)
    if not found.available:
        raise ToolRefused(f"item {new_item_id} ({product.name}) is not available now")
    return OrderItem(
        item_id=new_item_id,
        product_id=product.product_id,
        name=product.name,
        options=found.options,
        price_cents=found.price_cents,
    )


def replaced(items: list[OrderItem], pairs: list[Swap]) -> tuple[OrderItem, ...]:
    """The order's lines after the swaps, each swap taking one line that is still there."""
    todo = list(pairs)
    after = []
    for item in items:
        swap = next((s for s in todo if s[0].item_id == item.item_id), None)
        if swap:
            todo.remove(swap)
        after.append(swap[1] if swap else item)
    return tuple(after)


def swaps_said(pairs: list[Swap]) -> str:
    return ", ".join(f"{old.name} {old.item_id} becomes {new.item_id}" for old, new in pairs)
