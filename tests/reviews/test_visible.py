"""A person sees exactly what will run: what is hidden in it, or looks like something else, is written out."""

from __future__ import annotations

import json
import unicodedata

import pytest

from meshwright.extension import canonical
from meshwright.reviews.visible import remarks, shown, skeleton, visible

HOSTILE = {
    "a bidi override": ("gold\u202edlog", "\\u202e", "RIGHT-TO-LEFT OVERRIDE"),
    "an isolate": ("a\u2066b\u2069", "\\u2066", "LEFT-TO-RIGHT ISOLATE"),
    "the tag block": ("t1\U000e0074\U000e0032", "\\udb40\\udc74", "TAG LATIN SMALL LETTER T"),
    "a zero width space": ("#W1\u200b2", "\\u200b", "ZERO WIDTH SPACE"),
    "a joiner": ("pay\u200dpal", "\\u200d", "ZERO WIDTH JOINER"),
    "a byte order mark": ("\ufeffgold", "\\ufeff", "ZERO WIDTH NO-BREAK SPACE"),
    "a soft hyphen": ("go\u00adld", "\\u00ad", "SOFT HYPHEN"),
    "a space that is none": ("a\u00a0b", "\\u00a0", "NO-BREAK SPACE"),
    "a filler that is blank": ("a\u3164b", "\\u3164", "HANGUL FILLER"),
    "a variation selector": ("1\ufe0f", "\\ufe0f", "VARIATION SELECTOR-16"),
    "a letter of another script": ("p\u0430ypal", "\\u0430", "looks like 'a'"),
    "a word of lookalikes": ("\u0440\u0430\u0443", "\\u0440", "looks like 'p'"),
    "a wide letter": ("\uff41bc", "\\uff41", "looks like 'a' and is not"),
    "a letter and its accent apart": ("e\u0301te", "\\u0301", "not in its normal form"),
    "a stack of accents": ("a\u0323\u0324\u0325", "\\u0324", "changes the letter before it"),
    "an escape sequence": ("\x1b[2J", "\\u001b", "CONTROL"),
    "a delete": ("a\x7f", "\\u007f", "CONTROL"),
    "private use": ("a\ue000", "\\ue000", "U+E000"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_hides_or_misleads_is_written_as_its_escape_and_named(text: tuple[str, str, str]) -> None:
    value, escape, name = text
    for document in ({"colour": value}, {value: "gold"}, {"list": [{"deep": value}]}):
        said = visible(document)
        assert escape in said
        assert any(name in remark for remark in remarks(document))
        assert json.loads(said) == document  # and it still means exactly what runs


@pytest.mark.parametrize(
    "text", ["gold", "Zoë Müller", "привет мир", "日本語", "Straße 5", "line\nline", "£5", "שלום", "🙂"]
)
def test_honest_text_stays_as_it_is(text: str) -> None:
    assert visible({"text": text}) == canonical({"text": text})
    assert remarks({"text": text}) == []


def test_no_character_of_a_category_that_cannot_be_seen_gets_through() -> None:
    for code in (*range(0x20, 0xD800), *range(0xE000, 0x30000, 7), *range(0xE0000, 0xE0200)):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp"):
            assert character not in shown(f"a{character}b")


def test_a_remark_says_where() -> None:
    assert remarks({"order": {"items": ["ok", "x\u200by"]}}) == ["order.items[1]: U+200B ZERO WIDTH SPACE"]
    assert len(remarks({str(n): f"{n}\u200b" for n in range(999)})) == 50


@pytest.mark.parametrize(
    "name", ["Ann", "ANN", "ann ", "a\u200bnn", "\u0430nn", "ａｎｎ", "a\u0301nn", "AΝN"]
)
def test_names_that_look_the_same_are_one_person(name: str) -> None:
    assert skeleton(name) == skeleton("ann") == "ann"


def test_other_names_are_other_people() -> None:
    assert len({skeleton(name) for name in ("ann", "anne", "bob", "ann2", "ann-b")}) == 5
