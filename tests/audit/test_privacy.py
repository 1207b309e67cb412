"""What of a person stands in the log: masked, or as a hash that says nothing without the key."""

from __future__ import annotations

import hmac
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.audit.privacy import EXCERPT, KEYED, arguments, hold, keyed, redacted


@pytest.mark.parametrize(
    "telling",
    [
        "jane.doe+shop@mail.example.com",
        "jane＠mail.example.com",
        "ja\u200bne@mail.example.com",
        "+49 (0)151 2345678",
        "(555) 123-4567",
        "555.123.4567",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "DE89 3704 0044 0532 0130 00",
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    ],
)
def test_what_tells_who_it_is_is_masked_wherever_it_stands(telling: str) -> None:
    for text in (telling, f"write to {telling}, please", f"x:{telling}\n", f"<{telling}>"):
        shown = redacted(text)
        assert "[" in shown
        for piece in ("jane", "ne@", "345678", "4567", "1111", "3704", "abcdef", "eyJzdWIi"):
            assert piece not in shown


def test_what_the_case_is_about_stays_readable() -> None:
    text = "cancel #W2378156: ordered by mistake, 2 of 3 items, 120.50 EUR, on 2024-05-15"
    assert redacted(text) == text


@pytest.mark.parametrize("padding", range(1000, 1060, 3))
def test_nothing_is_shown_because_a_cut_went_through_it(padding: int) -> None:
    for filler in ("word ", "a@b.example "):
        text = (filler * 1000)[: 2 * padding] + " jane.doe@mail.example.com and more" * 50
        shown = redacted(text)
        assert "jane" not in shown
        assert len(shown.encode()) <= EXCERPT


@given(st.text(max_size=5000))
def test_an_excerpt_is_short_whatever_it_is_made_of(text: str) -> None:
    assert len(redacted(text).encode()) <= EXCERPT


@pytest.mark.parametrize(
    "text", ["1" * 100_000, "a." * 50_000, "a@" * 50_000, "+1 (" * 50_000, "AA00 " * 20_000]
)
def test_no_text_makes_it_slow(text: str) -> None:
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 0.1


def test_of_arguments_ids_and_numbers_are_shown_and_the_rest_is_hashed() -> None:
    shown = arguments(
        {
            "order_id": "#W2378156",
            "item_ids": ["1008292230", "9472539378"],
            "payment_method_id": "credit_card_4421486",
            "amount": 12050,
            "gift": True,
            "reason": "ordered by mistake",
            "user_id": "yusuf_rossi_9620",
            "zip": 19122,
            "phone_number": 5551234567,
            "mobile": 5551234567,
            "address": {"address1": "763 Broadway", "zip": "19122", "unit": 4},
            "note_id": "call jane at home",
            "Jane Doe": 1,
        }
    )
    assert shown["order_id"] == "#W2378156"
    assert shown["item_ids"] == ["1008292230", "9472539378"]
    assert shown["payment_method_id"] == "credit_card_4421486"
    assert (shown["amount"], shown["gift"]) == (12050, True)
    assert shown["reason"] == KEYED + keyed("ordered by mistake")
    assert shown["address"]["address1"] == KEYED + keyed("763 Broadway")
    for clear in ("yusuf", "19122", "5551234567", "jane", "Jane"):
        assert clear not in str(shown)


def test_arguments_without_end_become_one_hash() -> None:
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"x": deep}
    shown = arguments({**{f"n{i}": i for i in range(1000)}, "deep": deep})
    assert len(str(shown)) < 5000
    assert len(str(arguments(deep))) < 400


def test_the_key_is_made_once_for_this_user_only_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "home" / "audit.secret"
    hold(file)
    first = keyed("jane")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    hold(tmp_path / "other.secret")
    assert keyed("jane") != first
    hold(file)
    assert keyed("jane") == first
    assert [each.name for each in file.parent.iterdir()] == ["audit.secret"]


def test_a_file_that_holds_no_key_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("abcd\n")
    with pytest.raises(ValueError, match="holds no key"):
        hold(tmp_path / "s")


@pytest.mark.parametrize("size", [16, 32, 64, 65, 200])
def test_what_is_hashed_is_hashed_by_hmac(tmp_path: Path, size: int) -> None:
    key = bytes(range(size))
    (tmp_path / "key").write_text(key.hex())
    hold(tmp_path / "key")
    for value in ("", "hello", "é" * 100, "\ud800"):
        assert keyed(value) == hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256").hex()
