"""Values in words, and the files that are served."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import pytest

from console.assets import FOLDER, Assets
from console.words import ago, clock, count, iso, left, look, money, pretty, short
from meshwright.explaining.plain import duration, readable, rough

#: htmx 2.0.11 as it is on npm (dist/htmx.min.js).
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "0 ms"),
        (0.85, "850 ms"),
        (4.25, "4.2 s"),
        (200, "3 min 20 s"),
        (86_400 * 2, "2 d"),
        (None, "–"),
    ],
)
def test_a_duration_is_said_in_what_tells(seconds: Any, words: str) -> None:
    assert duration(seconds) == words


def test_instants_are_said_from_now() -> None:
    assert ago(100, now=102) == "just now"
    assert ago(100, now=100 + 3 * 3600 + 59) == "3 h ago"
    assert ago(7300, now=100) == "in 2 h"
    assert left(100 + 90_000, now=100) == "1 d 1 h left"
    assert left(100, now=160) == "1 min over"
    assert rough(0) == "0 s"
    assert rough(3600, 2) == "1 h"
    assert clock(0) == "1970-01-01 00:00:00 UTC"
    assert iso(0) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "odd", [None, "x", True, math.nan, math.inf, 1e300, pytest.param(10**400, id="10^400"), [], {}]
)
def test_nonsense_from_a_mesh_breaks_no_page(odd: Any) -> None:
    for words in (ago, left, clock, iso, duration, count, money, look, readable, pretty, short):
        words(odd)


def test_what_hides_in_a_text_is_shown() -> None:
    assert readable("a\u202eb\nc\u200b") == "a\\u202eb\nc\\u200b"
    assert pretty({"b": 1, "a": "\u202e"}) == '{\n  "a": "\\u202e",\n  "b": 1\n}'
    assert short("\u202e" * 20).startswith("\\u202e")


def test_what_is_vendored_is_what_its_makers_published_with_its_licence() -> None:
    assert hashlib.sha256((FOLDER / "htmx.min.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (FOLDER / "htmx.LICENSE.txt").read_text()


def test_no_page_has_a_script_or_a_style_of_its_own() -> None:
    for template in (Path(FOLDER).parent / "templates").glob("*.html"):
        text = template.read_text()
        assert "style=" not in text, template.name
        assert "<style" not in text, template.name
        assert "javascript:" not in text, template.name
        assert "<script>" not in text, template.name
        assert not any(f" on{event}=" in text for event in ("click", "load", "submit", "change", "error")), (
            template.name
        )


def test_a_file_has_a_new_name_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "app.css").write_text("a{}")
    before = Assets(tmp_path).url("app.css")
    (tmp_path / "app.css").write_text("b{}")
    assert Assets(tmp_path).url("app.css") != before
