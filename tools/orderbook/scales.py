"""Wishes along a scale: `larger`, `1000 more pieces`, `less bright`, `one size smaller`, `the longest`.

Which option is meant is read off the product: by its name beside the word, or because only one of its
options stands on such a scale. Raises Unclear when that is not certain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from orderbook.wording import rank, words

Way = Literal["up", "down", "top", "bottom"]
_WAYS: dict[Way, frozenset[str]] = {
    "up": frozenset(
        ["larger", "bigger", "greater", "higher", "longer", "more", "taller", "brighter", "heavier", "harder"]
    ),
    "down": frozenset(["smaller", "lower", "shorter", "fewer", "less", "dimmer", "lighter", "easier"]),
    "top": frozenset(
        [
            "largest",
            "biggest",
            "highest",
            "longest",
            "most",
            "tallest",
            "brightest",
            "heaviest",
            "hardest",
            "maximum",
            "max",
        ]
    ),
    "bottom": frozenset(
        ["smallest", "lowest", "shortest", "fewest", "least", "lightest", "easiest", "minimum", "min"]
    ),
}
#: The option a word speaks of: the words of which one must stand in its name. None: any, named beside it.
_RESPECTS = {
    "larg": ("size",), "bigg": ("size",), "small": ("size",), "long": ("length",), "short": ("length",),
    "tall": ("height",), "bright": ("brightness",), "dimm": ("brightness",), "heav": ("weight",),
    "eas": ("difficulty",), "hard": ("difficulty",),
}  # fmt: skip
_ADJECTIVES = {"bright": "brightness", "heavy": "weight", "difficult": "difficulty", "long": "length"}
_VOLUMES = re.compile(r"^\d+(?:\.\d+)?\s?(?:ml|l|liters?|litres?|oz|gallons?|cups?)$", re.IGNORECASE)


class Unclear(Exception):
    """The wish, or a part of it, does not decide. The text says what."""


@dataclass(frozen=True)
class Step:
    """A way along an option's scale: by how much, or to the very next value (`slightly`)."""

    way: Way
    by: float | None = None
    nearest: bool = False

    def meets(self, value: str, now: str) -> bool:
        """Whether going from `now` to `value` is such a step."""
        there, here = rank(value), rank(now)
        if there is None or here is None:
            return False
        if self.way in ("top", "bottom"):
            return True
        along = (there - here) if self.way == "up" else (here - there)
        return along == self.by if self.by is not None else along > 0


def steps_in(
    known: dict[str, set[str]], tokens: list[str], rest: set[int], keys: set[str]
) -> tuple[dict[str, Step], set[int]]:
    """The steps that the words take, by option, and the positions of the words that say so."""
    steps: dict[str, Step] = {}
    used: set[int] = set()
    for at in sorted(rest):
        way = next((way for way, those in _WAYS.items() if tokens[at] in those), None)
        if way is None:
            continue
        key, positions = _respect(known, tokens, at, keys)
        if key in steps:
            raise Unclear(f"two steps for {key}")
        by, numbers = _amount(tokens, at)
        near = [at - 1] if at and tokens[at - 1] in ("slightly", "bit", "little") else []
        steps[key] = Step(way, by, nearest=bool(near))
        used |= {at, *positions, *numbers, *near}
    return steps, used


def _respect(known: dict[str, set[str]], tokens: list[str], at: int, keys: set[str]) -> tuple[str, set[int]]:
    """The option that a comparative speaks of, and the adjective that says so (`less bright`)."""
    word = tokens[at]
    after = tokens[at + 1] if at + 1 < len(tokens) else ""
    if word in ("less", "more", "least", "most") and after in _ADJECTIVES:
        about = {key for key in known if _ADJECTIVES[after] in words(key)}
        adjective = {at + 1}
    else:
        # `a shorter bamboo material one`: a material has no length, so it is not what is shorter
        about, adjective = {key for key in keys if _ordered(known[key])}, set()
    if not about:
        named = next((respect for stem, respect in _RESPECTS.items() if word.startswith(stem)), ())
        about = {key for key in known if set(named) & set(words(key))}
        if not about and named == ("size",):
            about = {key for key, values in known.items() if all(_VOLUMES.match(v) for v in values)}
    if len(about) != 1:
        raise Unclear(f"'{word}' in which respect?")
    (key,) = about
    if not _ordered(known[key]):
        raise Unclear(f"'{word}': {key} has no order")
    return key, adjective


def _ordered(values: set[str]) -> bool:
    return all(rank(value) is not None for value in values)


def _amount(tokens: list[str], at: int) -> tuple[float | None, set[int]]:
    """By how much: `1000 more pieces`, `500 pieces less`, `one size smaller`."""
    if at and tokens[at - 1].replace(".", "").isdigit():
        return float(tokens[at - 1]), {at - 1}
    if at > 1 and tokens[at - 2].replace(".", "").isdigit() and tokens[at - 1].isalpha():
        return float(tokens[at - 2]), {at - 2}
    if at > 1 and tokens[at - 2] == "one" and tokens[at - 1] == "size":
        return 1.0, {at - 2}
    return None, set()
