"""Where each argument of a proposal comes from, found by the gate itself: the agent's word is no source.

`customer`: it stands in the customer's words. `tool:NAME`: it stands in the fact NAME that the gate looked up, and that fact
was not asked for with this very argument, for then it would only be an echo. `person`: a person who reviewed it has put it there.
`agent`: nobody but the agent has said it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from meshwright.policy.facts import Lookups
from meshwright.reviews.visible import BLANK

CUSTOMER, PERSON, AGENT = "customer", "person", "agent"
_WORD = re.compile(r"\w+")
#: Categories of characters that nobody sees, or that end a line where no other does.
_UNSEEN = frozenset(("Cf", "Co", "Cn", "Cs", "Cc", "Zl", "Zp"))


def provenance(
    arguments: Mapping[str, Any],
    words: str,
    facts: Mapping[str, Any],
    lookups: Lookups,
    by_person: Collection[str] = (),
) -> dict[str, str]:
    """The source of each argument. Of one with several values it is the weakest. What is empty has none: it says nothing.

    `by_person` names the arguments that a person has set.
    """
    said = plain(words)
    # what things are called is no source: it is written for comparing, and not what anything is
    tables = {way.names.split(".")[0] for way in lookups.spoken.values()}
    told = {fact: set(leaves(answer)) for fact, answer in lookups.told(facts).items() if fact not in tables}
    echoes = {fact: lookups.echoes(fact) for fact in told}
    found: dict[str, str] = {}
    for name, value in arguments.items():
        proving = {fact: values for fact, values in told.items() if not echoes[fact] & {"*", name}}
        sources = [_source(leaf, said, proving) for leaf in leaves(value) if leaf != ("str", "")]
        if sources:
            weakest = max(sources, key=lambda source: (source == AGENT, source != CUSTOMER))
            found[name] = PERSON if weakest == AGENT and name in by_person else weakest
    return found


def _source(leaf: tuple[str, Any], said: str, told: Mapping[str, set[tuple[str, Any]]]) -> str:
    kind, value = leaf
    run = plain(str(value), fold=False)
    if kind in ("str", "int") and run.strip() and run in said:
        return CUSTOMER
    return next((f"tool:{fact}" for fact, values in told.items() if leaf in values), AGENT)


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """The values in a value, each with its type: 1 is not True."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)
    else:
        yield type(value).__name__, value


def plain(text: str, *, fold: bool = True) -> str:
    """The words of a text with a space around each, so that whole words are found, in their order.

    What the customer typed is folded (NFKC); what an agent gave is taken as it is, so that a look-alike is not taken for the original.
    """
    seen = unicodedata.normalize("NFKC", text) if fold else text
    return f" {' '.join(_WORD.findall(seen.casefold()))} "


def hidden(value: Any) -> bool:
    """Whether a text in it holds what a person cannot see: format, private, unassigned characters, controls but for line ends, blanks."""
    return any(
        (unicodedata.category(char) in _UNSEEN and char not in "\n\r\t") or char in BLANK
        for kind, text in leaves(value)
        if kind == "str"
        for char in text
    )
