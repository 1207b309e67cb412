"""The forms in which one thing is asked for: each is read as the same request."""

from __future__ import annotations

from typing import Any

import pytest

from triage.agent import split

WHO = "I am Ada Byron in zip code 12345. "


def asked(text: str) -> list[dict[str, Any]]:
    """The requests of a message of which everything is understood, without their words."""
    read = split(WHO + text)
    assert read.unread == []
    found = [request for part in read.subtasks for request in part.details.get("requests", ())]
    plain = [{key: value for key, value in request.items() if key != "words"} for request in found]
    return [request for at, request in enumerate(plain) if request not in plain[:at]]


@pytest.mark.parametrize(
    "text",
    [
        "I want to return the lamp for a refund.",
        "I want to return the lamp and get a full refund.",
        "I want the lamp returned.",
        "Hi, the lamp needs to be returned, please.",
        "Hello, can you return the lamp?",
        "I don't need the lamp any more and would like to return it.",
        "I am writing to return the lamp.",
        "I need help with returning the lamp.",
        "I would like to initiate a return for the lamp.",
        "I'd like to request a refund for the lamp.",
        "1. Return the lamp.",
        "First, I want to return the lamp.",
    ],
)
def test_a_return(text: str) -> None:
    assert asked(text) == [{"do": "return", "items": ["the lamp"]}]


@pytest.mark.parametrize(
    "text",
    [
        "Please cancel order #W12345, I no longer need it.",
        "I'd like to cancel order #W12345 as I don't need it anymore.",
        "I no longer need order #W12345, so please cancel it.",
        "I don't need the lamp any more, so please cancel order #W12345.",
    ],
)
def test_a_cancellation_with_the_handbooks_reason(text: str) -> None:
    assert asked(text) == [
        {"do": "cancel", "order_id": "#W12345", "whole": True, "reason": "no longer needed"}
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I ordered order #W12345 by mistake, please cancel it.",
        "I placed order #W12345 by mistake. I want to cancel it.",
        "Please cancel order #W12345, I ordered it by mistake.",
        "My order number is #W12345. I want to cancel it because it was ordered by mistake.",
    ],
)
def test_a_cancellation_of_what_was_ordered_by_mistake(text: str) -> None:
    assert asked(text) == [
        {"do": "cancel", "order_id": "#W12345", "whole": True, "reason": "ordered by mistake"}
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I ordered the lamp by mistake. Please keep it.",
        "I did not order the lamp by mistake. Please cancel it.",
        "My friend ordered the lamp by mistake. Please cancel it.",
        "If I ordered the lamp by mistake, please cancel it.",
        "I don't want to cancel the order. Please return it.",
        "I do not need help returning the lamp.",
        "I am not writing to return the lamp.",
        "I did request a return of the lamp.",
        "I will request a return of the lamp next week.",
    ],
)
def test_what_only_sounds_like_one_of_these_is_unread(text: str) -> None:
    assert split(WHO + text).unread


def test_one_thing_is_removed_from_its_order() -> None:
    (request,) = asked("I ordered the lamp by mistake and want to remove it from my pending order.")
    assert (request["do"], request["items"], request["reason"]) == (
        "cancel",
        ["the lamp"],
        "ordered by mistake",
    )
    assert "whole" not in request


def test_a_thing_that_was_ordered_has_no_reason_to_be_cancelled() -> None:
    (request,) = asked("I ordered the lamp. Please cancel it.")
    assert "reason" not in request


@pytest.mark.parametrize(
    "text",
    [
        "My order number is #W12345. I want to return the lamp.",
        "I want to return the lamp. The order is #W12345.",
        "I want to return the lamp (order #W12345).",
        "Regarding order #W12345, I want to return the lamp.",
        "About my order #W12345: I want to return the lamp.",
    ],
)
def test_of_which_order_the_thing_is(text: str) -> None:
    assert asked(text) == [{"do": "return", "items": ["the lamp"], "order_id": "#W12345"}]


@pytest.mark.parametrize(
    "text",
    [
        "My order number is #W12345. I want to return the lamp from order #W54321.",
        "My order number is #W12345. My order number is #W54321. I want to return the lamp.",
        "My order number is not #W12345. I want to return the lamp.",
        "I think my order number is #W12345. I want to return the lamp.",
        "I want to return the lamp from order #W12345. The order is #W54321.",
        "I want to return the lamp. I am polite. The order is #W54321.",
    ],
)
def test_a_number_that_is_not_certain_is_unread(text: str) -> None:
    assert split(WHO + text).unread


def test_two_things_with_a_number_each_are_of_two_orders() -> None:
    read = asked("I want to return the lamp (order #W12345) and the mug (order #W54321).")
    assert [(request["items"], request["order_id"]) for request in read] == [
        (["the lamp"], "#W12345"),
        (["the mug"], "#W54321"),
    ]


def test_requests_after_their_number_are_read_like_others() -> None:
    assert asked("I have two requests: return the lamp and return the mug.") == asked(
        "Return the lamp. Return the mug."
    )


@pytest.mark.parametrize(
    "words",
    [
        "Everything else should stay the same.",
        "Please keep everything else the same.",
        "All other options should remain unchanged.",
    ],
)
def test_what_stays_anyway_may_be_said(words: str) -> None:
    plain = "I want to exchange the lamp for a black one. "
    assert asked(plain + words) == asked(plain)
    assert split(f"{WHO}I want to exchange the lamp for the cheapest one. {words}").unread


@pytest.mark.parametrize(
    "text",
    [
        "I want to return two items from order #W12345: the lamp and the mug.",
        "I want to return the lamp and also the mug from order #W12345.",
        "I want to return the lamp and the mug, both from order #W12345.",
    ],
)
def test_several_items_of_one_order(text: str) -> None:
    assert asked(text) == [{"do": "return", "items": ["the lamp", "the mug"], "order_id": "#W12345"}]


def test_what_is_named_after_the_number_may_be_of_another_order() -> None:
    assert asked("I want to return the mug from order #W12345 and the lamp.") == [
        {"do": "return", "items": ["the mug"], "order_id": "#W12345"},
        {"do": "return", "items": ["the lamp"]},
    ]
    same = asked("I want to return the mug from order #W12345 and the lamp from the same order.")
    assert [request["order_id"] for request in same] == ["#W12345", "#W12345"]


def test_three_items_are_not_two() -> None:
    (request,) = asked("I want to return three items from order #W12345: the lamp and the mug.")
    assert request["items"] == ["three items : the lamp and the mug"]  # which nothing is called


def test_an_item_of_the_same_order_came_with_the_one_before() -> None:
    assert asked("I want to return the lamp and the mug from the same order.") == [
        {"do": "return", "items": ["the lamp", "the mug you ordered with the lamp"]}
    ]
    assert (
        asked("I want to return the lamp and mug from the same order.")[0]["items"][1]
        == "the mug you ordered with the lamp"
    )
    assert (
        asked("I want to return the lamp and all mugs from the same order.")[0]["items"][1]
        == "all mugs from the same order"
    )
    assert asked("I want to return the lamp from order #W12345. I also want to return the mug in that order.")[1] == {
        "do": "return", "items": ["the mug"], "order_id": "#W12345",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "I want to change the color of the lamp in order #W12345 to black.",
        "I want to change the lamp's color to black in order #W12345.",
    ],
)
def test_an_option_of_an_item(text: str) -> None:
    assert asked(text) == [
        {"do": "swap", "items": ["the lamp"], "wish": "color black", "order_id": "#W12345"}
    ]


def test_what_an_item_is_now_goes_with_the_wish_to_be_checked() -> None:
    (request,) = asked("I want to change the lamp in order #W12345 from white to black.")
    assert (request["items"], request["wish"]) == (["the lamp"], "black instead of white")


def test_two_options_with_an_article_each_may_be_of_two_things() -> None:
    assert split(WHO + "I want to change the size of the lamp to large and the color to black.").unread


@pytest.mark.parametrize(
    "text",
    [
        "I want order #W12345 shipped to my default address instead.",
        "Please send order #W12345 to my default address.",
        "I'd like to change order #W12345 to be delivered to my default address.",
    ],
)
def test_another_address(text: str) -> None:
    assert asked(text) == [{"do": "readdress", "order_id": "#W12345", "address": {"from": "profile"}}]


@pytest.mark.parametrize(
    "words",
    [
        "Please refund it to my gift card.",
        "Please send the refund to my gift card.",
        "I want my money back on my gift card.",
        "The refund should be credited to my gift card.",
        "The refund should go back to my gift card.",
        "I'd prefer to get the refund on my gift card.",
    ],
)
def test_where_the_money_of_a_return_goes(words: str) -> None:
    (request,) = asked("I want to return the lamp. " + words)
    assert request["pay"] == ["your gift card"]


def test_a_refund_in_the_same_breath_is_no_second_return() -> None:
    assert asked("I want to return the lamp and refund it to my gift card.") == [
        {"do": "return", "items": ["the lamp"], "pay": ["your gift card"]}
    ]


def test_an_option_that_stays_is_part_of_the_wish() -> None:
    (request,) = asked("I want to exchange the lamp for a larger one. But I want to keep the same color.")
    assert request["wish"] == "a larger one, the same color"


@pytest.mark.parametrize(
    "words",
    [
        "I want to keep the same lamp.",
        "I want the same one.",
        "I do not want the same color.",
        "I wanted the same color.",
        "I want to keep the lamp.",
    ],
)
def test_the_thing_itself_does_not_stay_when_it_is_exchanged(words: str) -> None:
    assert split(WHO + "I want to exchange the lamp for a larger one. " + words).unread


def test_a_condition_at_the_end_of_a_sentence_is_read_like_one_of_its_own() -> None:
    plain = "I want to return the lamp and refund it to my gift card"
    assert asked(f"{plain}, and if that is not possible, transfer me to a human.") == asked(f"{plain}.")
    assert split(f"{WHO}{plain}, but if it arrives tomorrow, keep it.").unread
    assert split(f"{WHO}{plain}, and if that is not possible, keep it.").unread


@pytest.mark.parametrize(
    "words",
    [
        "I'd like to pay with my gift card.",
        "The price difference should be charged to my gift card.",
        "Use my gift card for the exchange.",
    ],
)
def test_who_pays_for_an_exchange(words: str) -> None:
    (request,) = asked("I want to exchange the lamp for a black one. " + words)
    assert request["pay"] == ["your gift card"]
    assert asked("I want to exchange the lamp for a black one and pay the difference with my gift card.") == [
        {"do": "swap", "items": ["the lamp"], "wish": "a black one", "pay": ["your gift card"]}
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I want to return the lamp. I'd like to pay with my gift card.",
        "I want to exchange the lamp for a black one. Send the refund to my gift card.",
        "I want to return the lamp. Do not refund it to my gift card.",
        "I want to return the lamp. I want my money back on my gift card, unless it takes long.",
    ],
)
def test_money_that_goes_another_way_than_the_request_is_unread(text: str) -> None:
    assert split(WHO + text).unread


@pytest.mark.parametrize(
    "question",
    [
        "How long will the refund take?",
        "By the way, what is the price of the mug?",
        "After that, I want to know how much I get back in total.",
        "At the end, ask the agent for the total amount of the refund.",
    ],
)
def test_a_question_beside_a_request_does_not_touch_it(question: str) -> None:
    assert asked("I want to return the lamp. " + question) == asked("I want to return the lamp.")


@pytest.mark.parametrize(
    "after", ["After that, cancel order #W12345.", "At the end, return the mug only if it is late."]
)
def test_what_is_to_be_done_after_something_else_is_unread(after: str) -> None:
    assert split(WHO + "I want to return the lamp. " + after).unread
