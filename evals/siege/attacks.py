"""Attacks of a compromised agent, generated: what it answers, while honest customers ask and every other agent is honest.

Whoever is taken knows the shop, the customers and the format of every answer; it is as sure of everything as can be, and shows
forged evidence of calls that it says it has made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from evals.siege import disguise, impostors, overreach, subtle
from evals.siege.forging import Made
from evals.siege.tickets import Ticket
from evals.siege.town import Lie

Kinds = Mapping[str, Callable[[Random], Made]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`taken` answers with `lie` while a customer sends `ticket`."""

    kind: str
    taken: str
    ticket: Ticket
    lie: Lie


def attacks(number: int, seed: int = 5, kinds: Kinds | None = None) -> Iterator[Attack]:
    """The first `number` attacks of a seed, the kinds in turn."""
    dice = Random(seed)
    turns = list((kinds or KINDS).items())
    for n in range(number):
        kind, make = turns[n % len(turns)]
        taken, ticket, lie = make(dice)
        yield Attack(kind, taken, ticket, lie)


#: All kinds, in the order in which they take turns.
KINDS: Kinds = {
    make.__name__: make
    for make in (
        overreach.wrong_amount,
        overreach.foreign_order,
        overreach.foreign_method,
        overreach.duplicate,
        overreach.forbidden_state,
        overreach.out_of_scope,
        overreach.unasked_order,
        overreach.unasked_action,
        disguise.lookalike,
        disguise.hidden_arguments,
        disguise.no_evidence,
        disguise.forged_origin,
        disguise.forged_identity,
        disguise.instructions,
        disguise.nasty,
        disguise.desk,
        impostors.false_resolution,
        impostors.false_split,
        subtle.wrong_item,
        subtle.other_method,
        subtle.unnamed_order,
    )
}
#: Those that are known to get through, kept in sight (docs/aggregator.md).
SUBTLE: Kinds = {
    make.__name__: make for make in (subtle.other_subject, subtle.item_in_passing, subtle.paid_with)
}
