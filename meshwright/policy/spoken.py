"""Whether the customer has spoken of what an agent has picked: of this item, this order, this way to pay, and of no other.

What things are called is a fact: a table that the gate looks up, by the value of the argument, of all that could have been picked.

    [spoken.thing_id]
    names = "shelf.names"                  # { t1 = ["vase", "blue vase"], t2 = ["vase", "red vase"] }
    all = ["everything", "all of them"]    # words that speak of all there are

A phrase speaks of every value that it is a name of, so it tells nothing where it is also the name of one that was not picked. Where
phrases overlap, the longest counts: a `gift card` is no `card`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from meshwright.policy.facts import Lookups, lookup
from meshwright.policy.provenance import leaves, plain


def spoken(
    arguments: Mapping[str, Any], words: str, facts: Mapping[str, Any], lookups: Lookups
) -> dict[str, bool]:
    """For each argument that `[spoken]` is about and that is there: whether the words speak of all its values.

    True also of a value that stands in the words itself, and of the only one that there is. What is not in the table is not spoken of.
    """
    said, told = plain(words), lookups.told(facts)
    return {
        name: _meant(arguments[name], said, lookup(told, way.names), way.all)
        for name, way in lookups.spoken.items()
        if name in arguments
    }


def _meant(argument: Any, said: str, table: Any, everything: Collection[str]) -> bool:
    picked = {value for kind, value in leaves(argument) if kind == "str"}
    left = {value for value in picked if not _verbatim(value, said)}
    if not left:
        return bool(picked)
    names = _names(table) if isinstance(table, Mapping) else {}
    if not left <= set(names):
        return False
    if len(names) == 1:
        return True
    # words for all of them are enough for one of them, and for a list only where it leaves none out
    if (isinstance(argument, str) or set(names) <= picked) and any(
        plain(each) in said for each in everything
    ):
        return True
    by_phrase: dict[str, set[str]] = {}
    for value, phrases in names.items():
        for phrase in phrases:
            by_phrase.setdefault(phrase, set()).add(value)
    heard = (by_phrase[phrase] for phrase in _heard(said.split(), by_phrase))
    return left <= set().union(*(meant for meant in heard if meant <= picked))


def _verbatim(value: str, said: str) -> bool:
    run = plain(value, fold=False)
    return bool(run.strip()) and run in said


def _names(table: Mapping[str, Any]) -> dict[str, set[str]]:
    """The table as it is compared: what is no list of texts names nothing."""
    return {
        str(value): {plain(phrase).strip() for phrase in phrases if isinstance(phrase, str)} - {""}
        for value, phrases in table.items()
        if isinstance(phrases, list | tuple)
    }


def _heard(said: list[str], phrases: Collection[str]) -> set[str]:
    """The phrases that stand in the words, from left to right, the longest at each place."""
    longest = max((phrase.count(" ") + 1 for phrase in phrases), default=0)
    heard, at = set(), 0
    while at < len(said):
        runs = (" ".join(said[at : at + size]) for size in range(longest, 0, -1))
        run = next((run for run in runs if run in phrases), "")
        if run:
            heard.add(run)
        at += run.count(" ") + 1
    return heard
