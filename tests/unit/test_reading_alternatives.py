"""What is wanted when the first wish cannot be had: kept where the records can say so, else unread."""

from __future__ import annotations

from typing import Any

import pytest

from triage.agent import split

WHO = "I am Ada Byron in zip code 12345. "
BLACK = "I want to exchange the lamp for a black one. "


def asked(text: str) -> list[dict[str, Any]]:
    """The requests of a message of which everything is understood."""
    read = split(WHO + text)
    assert read.unread == []
    found = [request for part in read.subtasks for request in part.details.get("requests", ())]
    return [request for at, request in enumerate(found) if request not in found[:at]]


@pytest.mark.parametrize(
    "otherwise",
    [
        "If black is not available, I'll take green.",
        "If there is no black one, I would like a green one instead.",
        "If black isn't in stock, then a green one is fine.",
        "If the black lamp is sold out, please choose the green one.",
    ],
)
def test_another_value_stands_where_the_one_that_is_sold_out_stood(otherwise: str) -> None:
    (request,) = asked(BLACK + otherwise)
    assert (request["wish"], request["fallbacks"]) == ("a black one", ["a green one"])


def test_a_chain_of_values_is_tried_in_its_order() -> None:
    (request,) = asked(
        "I want to exchange the kettle for a 2 liter one. If 2 liter is not possible, I want 3 liter. "
        "If 3 liter is not available, I'd take 1 liter. If none of them is in stock, leave it."
    )
    assert request["fallbacks"] == ["a 3 liter one", "a 1 liter one"]
    assert request["otherwise"] == "leave"


@pytest.mark.parametrize(
    ("words", "otherwise"),
    [
        ("If that's not possible, keep it as it is.", "leave"),
        ("If black is sold out, just leave the lamp as it is.", "leave"),
        ("If there is no black one, don't exchange it.", "leave"),
        ("If that is not possible, return it.", "return"),
        ("If there are no black ones in stock, I'd rather get a refund.", "return"),
    ],
)
def test_what_becomes_of_the_item_when_the_wish_is_sold_out(words: str, otherwise: str) -> None:
    (request,) = asked(BLACK + words)
    assert request["otherwise"] == otherwise


@pytest.mark.parametrize(
    "words",
    [
        "If several are available, I want the cheapest.",
        "If there are multiple options, choose the cheapest one.",
    ],
)
def test_among_several_that_fit_the_price_decides(words: str) -> None:
    (request,) = asked(BLACK + words)
    assert request["wish"] == "a black one, the cheapest"


def test_a_second_way_to_pay_counts_after_the_first() -> None:
    (request,) = asked(
        BLACK + "I'd like to pay with my gift card. If the gift card is not enough, use my credit card."
    )
    assert request["pay"] == ["your gift card", "your credit card"]


@pytest.mark.parametrize(
    "words",
    [
        "If that is not possible, please transfer me to a human agent.",
        "If the agent can't help, I want to talk to a person.",
    ],
)
def test_a_person_gets_what_cannot_be_done_in_any_case(words: str) -> None:
    assert asked(BLACK + words) == asked(BLACK)


@pytest.mark.parametrize(
    "words",
    [
        # not about what is in stock
        "If black is not pretty, I'll take green.",
        "If my husband is not available, I'll take green.",
        "If it is not delivered by Friday, return it.",
        # not about what is wished
        "If red is not available, I'll take green.",
        "If the mug is not available, keep it.",
        "If black is not available, keep the mug.",
        "If black is not available, do not exchange the mug.",
        "If that is not possible, do not do anything.",
        # not an alternative
        "If black is not available, I'll think about it.",
        "If black is not available, I want to know when it will be.",
        "If black is available, I'll take green.",
        "Unless black is not available, I'll take green.",
        "Don't take green if black is not available.",
        "If black is not available, I will not take green, unless it is cheap.",
        "If black was not available, I would have taken green.",
        "My sister said that if black is not available, I'll take green.",
        "If several are available, I want to see them first.",
        "If several are available, do not take the cheapest.",
        "If that is not possible, use it.",
        "If PayPal cannot be used, use my credit card.",
        "Transfer me to a human agent.",
        "If that is possible, transfer me to a human agent.",
    ],
)
def test_what_only_sounds_like_an_alternative_is_unread(words: str) -> None:
    assert split(WHO + BLACK + words).unread


@pytest.mark.parametrize(
    "words",
    [
        "If black is not available, I'll take green.",
        "If that is not possible, keep it.",
        "If several are available, choose the cheapest.",
    ],
)
def test_an_alternative_for_one_of_two_things_is_unread(words: str) -> None:
    two = "I want to exchange the lamp for a black one and the mug for a black one. "
    assert split(WHO + two + words).unread


@pytest.mark.parametrize(
    "words", ["If " + "this, that and " * 1500, "If " + "black " * 1500 + "is not available, keep it."]
)
def test_a_list_without_end_is_looked_through_once(words: str) -> None:
    assert split(WHO + BLACK + words).unread  # in all the ways in which it can be cut, it would take years
