"""Text as a person must see it before they put their name to it: nothing hidden, nothing that looks like something else.

What is shown is the JSON that will run, with every character that hides or misleads written as its escape (`\\u202e`). It is still
JSON, and still means exactly the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from meshwright.extension import canonical

#: Letters of other scripts that look like these of ours, in most typefaces.
_LOOKALIKES = (
    ("аɑα", "a"), ("АΑᎪ", "A"), ("ВΒᏴ", "B"), ("сϲᴄ", "c"), ("СϹᏟ", "C"), ("ԁ", "d"), ("еҽ", "e"), ("ЕΕᎬ", "E"),
    ("ɡ", "g"), ("һ", "h"), ("НΗᎻ", "H"), ("іιıӏ", "i"), ("ІΙӀ", "I"), ("ј", "j"), ("ЈᎫ", "J"), ("КΚᏦ", "K"),
    ("МΜᎷ", "M"), ("ΝՆ", "N"), ("оοօ", "o"), ("ОΟՕ", "O"), ("рρ", "p"), ("РΡᏢ", "P"), ("ѕ", "s"), ("ЅᏚ", "S"),
    ("ТΤᎢ", "T"), ("υս", "u"), ("ѵν", "v"), ("ѴᏙ", "V"), ("ԝ", "w"), ("ԜᎳ", "W"), ("хχ", "x"), ("ХΧ", "X"),
    ("уγ", "y"), ("ҮΥ", "Y"), ("ΖᏃ", "Z"),
)  # fmt: skip
_PLAIN = {ord(letter): plain for letters, plain in _LOOKALIKES for letter in letters}
#: Blank, or invisible, though their category does not say so.
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_VARIATION = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
#: Scripts whose words are read beside ours without anybody noticing the change.
_NEIGHBOURS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
_WORD = re.compile(r"[^\W_]+")
#: Remarks on one document at most; what is escaped is escaped beyond that.
MANY = 50


def visible(value: Any) -> str:
    """JSON in its canonical form (the form that is hashed and run), escaped where a person could be misled.

    Raises ValueError for NaN and infinities.
    """
    return shown(canonical(value))


def shown(text: str) -> str:
    """Any text, with the characters that hide or mislead as JSON escapes."""
    wrong = _misleading(text)
    return "".join(_escaped(c) if place in wrong else c for place, c in enumerate(text)) if wrong else text


def remarks(value: Any) -> list[str]:
    """What is odd about the texts of a JSON document, each with its place: `colour: U+202E RIGHT-TO-LEFT OVERRIDE`."""
    found: dict[str, None] = {}
    for where, text in _texts(value, ""):
        for place, why in sorted(_misleading(text).items()):
            if text[place] in "\n\t":
                continue  # plain enough where it stands, as \\n
            found[f"{where or 'the document'}: {why or _named(text[place])}"] = None
    return list(found)[:MANY]


def skeleton(name: str) -> str:
    """What a name looks like: two names with one skeleton are taken for the same person."""
    folded = unicodedata.normalize("NFKC", name).translate(_PLAIN).casefold()
    kept = (c for c in unicodedata.normalize("NFKD", folded) if not _is_hidden(c) and not c.isspace())
    return "".join(c for c in kept if not unicodedata.combining(c)).translate(_PLAIN).casefold()


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text of a document, names of fields included, with where it stands."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{where}.{shown(key)} (name)".removeprefix("."), key
            yield from _texts(item, f"{where}.{shown(key)}".removeprefix("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{where}[{number}]")


def _misleading(text: str) -> dict[int, str]:
    """Places of the characters that hide or mislead, each with why, where its name alone does not say it."""
    if text.isascii() and text.isprintable():
        return {}
    if text.isascii():
        return {place: "" for place, c in enumerate(text) if not c.isprintable()}
    found = {place: "" for place, c in enumerate(text) if _is_hidden(c)}
    composed = unicodedata.is_normalized("NFC", text)
    for place, c in enumerate(text):
        if place in found:
            continue
        if unicodedata.combining(c) and (
            not composed or (place > 1 and unicodedata.combining(text[place - 2]))
        ):
            found[place] = (
                f"{_named(c)} changes the letter before it (the text is not in its normal form, NFC)"
            )
        elif not c.isascii() and unicodedata.normalize("NFKC", c).isascii():
            found[place] = f"{_named(c)} looks like {unicodedata.normalize('NFKC', c)!r} and is not"
    for word in _WORD.finditer(text):
        found |= {
            place: why for place, why in _foreign(word.group(), word.start()).items() if place not in found
        }
    return found


def _foreign(word: str, start: int) -> dict[int, str]:
    """The letters of another script in a word that is read as ours: one of two scripts, or one of lookalikes only."""
    scripts = [unicodedata.name(c, "").partition(" ")[0] for c in word]
    foreign = [place for place, script in enumerate(scripts) if script in _NEIGHBOURS]
    latin = "LATIN" in scripts
    if not foreign or not (latin or all(ord(word[place]) in _PLAIN for place in foreign)):
        return {}
    return {
        start + place: f'{_named(word[place])} in the word "{_in_ascii(word)}"'
        + (f" looks like {_PLAIN[ord(word[place])]!r}" if ord(word[place]) in _PLAIN else "")
        for place in foreign
    }


def _in_ascii(word: str) -> str:
    return "".join(c if c.isascii() else _escaped(c) for c in word)


def _is_hidden(c: str) -> bool:
    kind = unicodedata.category(c)
    if kind[0] == "C" or kind in ("Zl", "Zp") or (kind == "Zs" and c != " ") or c in BLANK:
        return True
    return any(ord(c) in block for block in _VARIATION)


def _named(c: str) -> str:
    return f"U+{ord(c):04X} {unicodedata.name(c, 'CONTROL CHARACTER')}"


def _escaped(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n] << 8 | units[n + 1]:04x}" for n in range(0, len(units), 2))
