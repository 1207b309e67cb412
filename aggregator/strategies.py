"""How a contradiction is settled: the declared strategies in their order, each keeping the options that it prefers.

Who is alone in the end is chosen, by the strategy that left it alone. Where none does, nobody is: a person decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aggregator.conflicts import TOO_MUCH, Dispute, Option
from meshwright.contradictions import Contradictions
from meshwright.findings import Conflict

#: Asks a model: the dispute and the options that are left → the option, and the reason; or None, and why it did not say.
Judge = Callable[[Dispute, list[Option]], Awaitable[tuple[Option | None, str]]]


async def settle(dispute: Dispute, table: Contradictions, judge: Judge | None) -> Conflict:
    """The conflict, with what was chosen, by which strategy, and why."""
    if not dispute.whole:
        return dispute.settled("person", None, TOO_MUCH)
    left, asked = dispute.options, ""
    for strategy in table.claims if dispute.kind == "claims" else table.actions:
        if strategy == "judge":
            if judge is None:
                continue
            chosen, why = await judge(dispute, left)
            if chosen is not None:
                return dispute.settled("judge", chosen, why)
            asked = why
            continue
        left = _PREFERRED[strategy](left, table) or left
        if len(left) == 1:
            return dispute.settled(strategy, left[0], _WHY[strategy].format(who=left[0].named))
    return dispute.settled("person", None, asked)


def _authority(options: list[Option], table: Contradictions) -> list[Option]:
    return [o for o in options if o.skills & set(table.owners.get(o.subject, ()))]


def _evidence(options: list[Option], table: Contradictions) -> list[Option]:
    best = max(option.weight for option in options)
    return [option for option in options if option.weight == best]


def _confidence(options: list[Option], table: Contradictions) -> list[Option]:
    best = max(option.confidence for option in options)
    return [o for o in options if o.confidence == best or best - o.confidence < table.margin]


_PREFERRED: Mapping[str, Callable[[list[Option], Contradictions], list[Option]]] = {
    "authority": _authority,
    "evidence": _evidence,
    "confidence": _confidence,
}
_WHY = {
    "authority": "{who} was asked for just this, and has the say about it",
    "evidence": "{who} has the better evidence",
    "confidence": "{who} is clearly more certain",
}
