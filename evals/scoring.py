"""How good a handling was: the writes that were applied against those that are right.

`wrong` beats everything: one write that nobody should have made is worse than a ticket that a person has
to read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Score = Literal["exact", "partial", "escalated", "wrong"]

#: The shop's write tools and what the data set calls them. Other effects (a reply) are no writes here.
ACTIONS = {
    "cancel_order": "cancel_pending_order",
    "change_items": "modify_pending_order_items",
    "change_address": "modify_pending_order_address",
    "change_payment": "modify_pending_order_payment",
    "change_profile_address": "modify_user_address",
    "return_items": "return_delivered_order_items",
    "exchange_items": "exchange_delivered_order_items",
}
_RENAMED = {"customer_id": "user_id"}


@dataclass(frozen=True, slots=True)
class Write:
    """One write in the data set's terms; items as a multiset of pairs, as their order does not matter."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    items: frozenset[tuple[tuple[str, str], int]]


def write(name: str, arguments: Mapping[str, Any]) -> Write:
    """A write that can be compared, from ours or from the data set's names."""
    plain = {_RENAMED.get(key, key): value for key, value in arguments.items()}
    old = [str(one) for one in plain.pop("item_ids", ())]
    new = [str(one) for one in plain.pop("new_item_ids", ())]
    if new and len(new) != len(old):
        new, old = ["unpaired", *new], ["", *old]
    pairs = Counter(zip(old, new or [""] * len(old), strict=False))
    scalars = tuple(sorted((key, str(value)) for key, value in plain.items()))
    return Write(ACTIONS.get(name, name), scalars, frozenset(pairs.items()))


def score(applied: Iterable[tuple[str, Mapping[str, Any]]], gold: Sequence[Mapping[str, Any]]) -> Score:
    """The score of one ticket. `applied` are (tool, arguments) of the effects; `gold` the data set's
    `gold_writes`.
    """
    done = Counter(write(name, arguments) for name, arguments in applied if name in ACTIONS)
    right = Counter(write(str(one["name"]), one["arguments"]) for one in gold)
    if done - right:
        return "wrong"
    if done == right:
        return "exact"
    return "partial" if done else "escalated"
