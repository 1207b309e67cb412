"""From a customer's wish to one variant of a product: `large, half zipper`, `the cheapest`, `same but 8 GB`.

The same rule as for items: every word must be explained, options that are not spoken of stay as they are
(with a superlative of price they are free), and exactly one available variant may remain. Everything is
read off the product's own options.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orderbook.interpretation import Reading, read_wish
from orderbook.scales import Step, Unclear
from orderbook.wording import rank
from shop.models import Product, Record, Variant


class VariantMatch(Record):
    """The variant a wish means. `unavailable`: the wish is clear and nothing in stock meets it; `unclear`: it
    is not.
    """

    outcome: Literal["found", "unavailable", "unclear"]
    item_id: str = ""
    options: dict[str, str] = Field(default_factory=dict)
    price_cents: int = 0
    why: str = ""
    candidates: list[Variant] = Field(default_factory=list)


def match_variant(product: Product, item_id: str, wish: str) -> VariantMatch:
    """The one available variant of `product` that `wish` means for a customer who has `item_id`."""
    current = next((v for v in product.variants if v.item_id == item_id), None)
    if current is None:
        return VariantMatch(outcome="unclear", why=f"item {item_id} is not a variant of {product.name}")
    try:
        read = read_wish(product, current, wish)
    except Unclear as unclear:
        return VariantMatch(outcome="unclear", why=str(unclear))
    return _choose(product, current, read, wish)


def _choose(product: Product, current: Variant, read: Reading, wish: str) -> VariantMatch:
    others = [v for v in product.variants if v.item_id != current.item_id]
    if read.item_id:
        fits = [v for v in others if v.item_id == read.item_id]
        if not fits:
            return VariantMatch(
                outcome="unclear", why=f"{read.item_id} is not another variant of {product.name}"
            )
    else:
        fits = [v for v in others if _meets(v, current, read)]
    stock = [v for v in fits if v.available]
    for key, step in read.steps.items():
        stock = _edge(stock, current, key, step)
    if read.price and stock:
        edge = (min if read.price == "cheapest" else max)(v.price_cents for v in stock)
        stock = [v for v in stock if v.price_cents == edge]
    for key, value in read.preferred:
        stock = [v for v in stock if v.options.get(key) == value] or stock
    if not stock:
        return VariantMatch(
            outcome="unavailable", why=f"no {product.name} in stock is '{wish}'", candidates=fits
        )
    if len(stock) > 1:
        return VariantMatch(
            outcome="unclear", why=f"{len(stock)} {product.name} variants are '{wish}'", candidates=stock
        )
    one = stock[0]
    return VariantMatch(
        outcome="found", item_id=one.item_id, options=one.options, price_cents=one.price_cents
    )


def _meets(variant: Variant, current: Variant, read: Reading) -> bool:
    for key, now in current.options.items():
        value = variant.options.get(key, "")
        if key in read.values:
            if value not in read.values[key]:
                return False
        elif key in read.steps:
            if not read.steps[key].meets(value, now):
                return False
        elif key not in read.free and not read.price and value != now:
            return False
    return True


def _edge(variants: list[Variant], current: Variant, key: str, step: Step) -> list[Variant]:
    """Those at the end of the scale, or next to the current value, where the step says so."""
    if step.way not in ("top", "bottom") and not step.nearest:
        return variants
    here = rank(current.options[key]) or 0.0
    ranks = [rank(v.options[key]) or 0.0 for v in variants]
    if step.nearest:
        ranks = [-abs(at - here) for at in ranks]
    edge = (min if step.way == "bottom" and not step.nearest else max)(ranks, default=0.0)
    return [v for v, at in zip(variants, ranks, strict=True) if at == edge]
