"""Words as the matching sees them: split, singular, units and numbers written one way.

Only general English lives here. What a shop sells (names, options, values) is read from its own records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"\d+(?:\.\d+)?|[a-z]+|%")

#: One spelling for what people write in several.
_SPELLINGS = {
    "foot": "ft", "feet": "ft", "inches": "inch", "liter": "l", "litre": "l", "liters": "l", "litres": "l",
    "gigabyte": "gb", "gigabytes": "gb", "hrs": "hour", "hr": "hour", "gray": "grey", "colour": "color",
    "colours": "color", "colors": "color", "zip": "zipper", "pc": "piece", "pcs": "piece", "sized": "size",
    "coloured": "color", "colored": "color", "lbs": "lb", "pounds": "lb", "ml": "ml", "bulbs": "bulb",
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "shelves": "shelf", "bookshelves": "bookshelf",
}  # fmt: skip

#: What people call things that a shop may name otherwise, by the shop's name. Two things may be called the same: then it is not
#: certain which is meant.
CALLED = {
    "air purifier": ("air cleaner",), "backpack": ("rucksack",), "coffee maker": ("coffee machine",),
    "cycling helmet": ("bike helmet", "bicycle helmet"), "desk lamp": ("table lamp",), "espresso machine": ("coffee machine",),
    "grill": ("barbecue", "bbq"), "headphones": ("headset",), "luggage set": ("suitcase", "suitcase set"),
    "office chair": ("desk chair",), "pet bed": ("dog bed", "cat bed"), "portable charger": ("power bank",),
    "smartphone": ("mobile phone", "cell phone"), "vacuum cleaner": ("hoover",),
}  # fmt: skip

#: Cities that people shorten.
CITIES = {
    "nyc": "new york",
    "la": "los angeles",
    "sf": "san francisco",
    "dc": "washington",
    "philly": "philadelphia",
}

#: Sizes have a letter and a word.
SIZES = {"xxs": 0, "xs": 1, "s": 2, "m": 3, "l": 4, "xl": 5, "xxl": 6, "xxxl": 7}
SIZE_WORDS = {"s": "small", "m": "medium", "l": "large", "xs": "extrasmall", "xl": "extralarge"}
_STEPS = {"small": 1, "low": 1, "medium": 2, "large": 3, "high": 3,
          "beginner": 1, "intermediate": 2, "expert": 3}  # fmt: skip


def those(listed: str) -> frozenset[str]:
    """A set of words, from one string of them."""
    return frozenset(listed.split())


def singular(word: str) -> str:
    """The word without its plural ending; near enough, as both sides of a comparison go through it."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def words(text: str) -> list[str]:
    """`"15-inch laptops"` → `["15", "inch", "laptop"]`: numbers and letters apart, units one way."""
    plain = re.sub(r"(?<=\w)['’]s\b", "", text.lower())
    return [_SPELLINGS.get(word) or singular(word) for word in _WORD.findall(plain)]


def is_plural(text: str) -> bool:
    """Whether the last word is written in the plural."""
    found = re.findall(r"[a-z]+", text.lower())
    return bool(found) and (singular(found[-1]) != found[-1] or found[-1].endswith("shelves"))


def joined(text: str) -> str:
    """All its words as one: what makes `t-shirt`, `T Shirt` and `tshirts` equal."""
    return "".join(words(text))


def called(name: str) -> tuple[str, ...]:
    """The other whole names of what a shop names so."""
    return _CALLED.get(joined(name), ())


def spans(tokens: list[str], longest: int = 5) -> Iterator[tuple[int, int]]:
    """All runs of neighbouring words, the longest first, then from left to right."""
    for size in range(min(longest, len(tokens)), 0, -1):
        for start in range(len(tokens) - size + 1):
            yield start, start + size


def rank(value: str) -> float | None:
    """Where an option's value stands on a scale (`XL`, `medium`, `24MP`); None when it stands on none."""
    low = value.lower()
    if low in SIZES:
        return float(SIZES[low])
    if low in _STEPS:
        return float(_STEPS[low])
    number = re.match(r"\d+(?:\.\d+)?", low)
    return float(number.group()) if number else None


_CALLED = {joined(name): others for name, others in CALLED.items()}
