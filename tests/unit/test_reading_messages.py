"""Reading a message: what is understood becomes a request, and all that is not is said to be unread."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from meshwright.findings import Split
from triage.agent import split
from triage.identity import introduces

WHO = "I am Ada Byron in zip code 12345. "


def requests(read: Split, task: str) -> list[dict[str, Any]]:
    part = next(p for p in read.subtasks if p.id == task)
    return list(part.details["requests"])


def test_name_and_zip_say_who_is_writing() -> None:
    assert split(WHO).subject == {"name": "Ada Byron", "zip": "12345"}


def test_an_e_mail_and_a_user_id_say_who_is_writing() -> None:
    read = split("You are ada_byron_1815 (ada@example.com). I want to return the lamp.")
    assert read.subject == {"customer_id": "ada_byron_1815", "email": "ada@example.com"}
    assert read.unread == []


def test_a_word_without_end_is_no_e_mail_and_is_read_once() -> None:
    assert (
        introduces("You are " + "A" * 1_000_000) is False
    )  # looked for from each of its letters, it would take minutes


def test_two_e_mails_are_both_kept() -> None:
    read = split("Your name is Ada Byron and your emails are a@example.com and b@example.com.")
    assert (read.subject["email"], read.subject["email2"]) == ("a@example.com", "b@example.com")


@pytest.mark.parametrize(
    "text", ["How long does a refund take?", "How do I return something?", "Can I pay with a gift card?"]
)
def test_a_question_about_the_rules_needs_nobody_to_say_who_they_are(text: str) -> None:
    read = split(text)
    assert [(part.skill, part.needs) for part in read.subtasks] == [("policy-answer", [])]
    assert read.unread == []


@pytest.mark.parametrize(
    "text", ["Will I get a refund for the lamp?", "Would I return the lamp?", "How much will I get back?"]
)
def test_what_a_customer_asks_about_themselves_is_no_request(text: str) -> None:
    read = split(WHO + text)
    assert not any(part.details.get("requests") for part in read.subtasks)
    assert read.unread == []


def test_a_question_about_an_order_needs_to_know_who_asks() -> None:
    read = split("How long does a refund take? Where is my order?")
    assert [part.skill for part in read.subtasks] == ["identify-customer", "order-status", "policy-answer"]
    assert [part.needs for part in read.subtasks] == [[], ["identify"], []]
    assert read.unread == []


def test_a_question_that_hangs_an_action_on_its_answer_is_unread() -> None:
    assert split(WHO + "Is my order late, and if so cancel it?").unread


def test_what_is_handed_on_does_not_tell_the_customer_what_they_want() -> None:
    read = split(WHO + "I want to return the lamp.")
    assert read.subtasks[1].instruction == "return the lamp"


def test_identity_comes_first_and_the_others_need_it() -> None:
    read = split(WHO + "I want to return the lamp.")
    assert read.subtasks[0].skill == "identify-customer"
    assert read.subtasks[0].critical
    assert all(part.needs == ["identify"] for part in read.subtasks[1:])


@pytest.mark.parametrize(
    "text",
    [
        "I want to return the headphones from order #W123456. Thanks!",
        "Please return the headphones from order #W123456.",
        "Hello, could you please return the headphones from order #W123456.",
    ],
)
def test_a_plain_return_is_read_however_it_is_asked(text: str) -> None:
    read = split(WHO + text)
    (asked,) = requests(read, "returns")
    assert (asked["do"], asked["items"], asked["order_id"]) == ("return", ["the headphones"], "#W123456")
    assert read.unread == []


def test_a_list_of_items_is_one_request_with_several_phrases() -> None:
    (asked,) = requests(split(WHO + "I want to return the lamp, a mug, and both chairs."), "returns")
    assert asked["items"] == ["the lamp", "a mug", "both chairs"]


def test_exchanging_goes_to_both_who_could_do_it_because_the_order_decides() -> None:
    read = split(WHO + "I want to exchange the lamp for a black one.")
    assert requests(read, "orders") == requests(read, "returns")


def test_two_exchanges_in_one_sentence_keep_their_own_wishes() -> None:
    read = split(WHO + "I want to exchange the lamp for a black one and the mug to a larger one.")
    pairs = [(r["items"], r["wish"]) for r in requests(read, "returns")]
    assert pairs == [(["the lamp"], "a black one"), (["the mug"], "a larger one")]


def test_a_reason_for_cancelling_is_taken_from_the_words() -> None:
    (asked,) = requests(
        split(WHO + "I want to cancel order #W123456 because I ordered it by mistake."), "orders"
    )
    assert asked["reason"] == "ordered by mistake"


def test_a_reason_told_afterwards_counts_too() -> None:
    (asked,) = requests(split(WHO + "Please cancel order #W123456. I no longer need it."), "orders")
    assert asked["reason"] == "no longer needed"


def test_without_a_reason_none_is_made_up() -> None:
    (asked,) = requests(split(WHO + "Please cancel order #W123456."), "orders")
    assert "reason" not in asked


def test_where_money_should_go_is_part_of_the_request() -> None:
    (asked,) = requests(split(WHO + "I want to return the lamp and refund to my paypal account."), "returns")
    assert asked["pay"] == ["your paypal account"]


def test_a_question_is_no_request() -> None:
    read = split(WHO + "I want to know how many t-shirt options are available.")
    assert [part.skill for part in read.subtasks] == ["identify-customer", "product-answer"]
    assert read.unread == []


def test_an_address_written_out_is_read_into_its_parts() -> None:
    read = split(
        WHO + "Please change the address of order #W123456 to 12 Oak Street, Suite 4, Austin, Texas, 73301."
    )
    (asked,) = requests(read, "orders")
    assert asked["address"] == {
        "from": "written", "address1": "12 Oak Street", "address2": "Suite 4",
        "city": "Austin", "state": "TX", "zip": "73301", "country": "USA",
    }  # fmt: skip


@pytest.mark.parametrize(
    "manner",
    [
        "You are sad, independent, polite.",
        "You are a private person that does not want to reveal much about yourself.",
        "You like to say things piecewise.",
        "You are brief and your memory is not too good sometimes, but you are polite.",
        "You don't remember the order number.",
        "I can't find my order number right now.",
        "If asked for the order number, say that you don't remember it.",
        "You will only give your order number if asked.",
        "You want to finish this quickly and get angry easily.",
        "You do not like long conversations and always say thank you.",
        "I hope you are doing well.",
    ],
)
def test_how_somebody_is_changes_nothing(manner: str) -> None:
    assert split(WHO + "I want to return the lamp. " + manner).unread == []


@pytest.mark.parametrize(
    "twist",
    [
        "If that is not possible, exchange it instead.",
        "But only if the refund is above 20 dollars.",
        "Unless the lamp is on sale.",
        "If the agent asks for confirmation, only return the mug.",
        "You change your mind and keep the lamp.",
        "Do not return the lamp yet.",
        "You do not want to cancel any orders.",
        "Actually, keep the lamp.",
        "Then reorder it with the first order's card.",
        "You would rather have store credit.",
        "Do this after the other order arrived.",
        "I hope you are doing well and can keep the lamp.",
        "I can't find the lamp right now.",
        "If asked for the order number, say that you don't want to return it.",
        "You will only give the lamp back if asked.",
        "You want to finish this quickly unless it costs something.",
        "You do not like to return things.",
        "You don't like the lamp but keep it.",
    ],
)
def test_a_condition_or_a_change_of_mind_stays_unread(twist: str) -> None:
    assert split(WHO + "I want to return the lamp. " + twist).unread


def test_a_message_without_a_request_is_for_a_person() -> None:
    assert split(WHO).unread == ["the message states no request"]


def test_a_liked_color_among_several_is_a_tie_break() -> None:
    read = split(
        WHO
        + "I want to exchange the lamp for a larger one. If multiple colors are available, I prefer black."
    )
    assert requests(read, "returns")[0]["wish"] == "a larger one, any colors, prefer black"
    assert read.unread == []


def test_the_second_choice_for_a_refund_is_kept_in_order() -> None:
    read = split(WHO + "I want to return the lamp and refund to credit card. "
                 "If refund to credit card is not possible, refund to gift card.")  # fmt: skip
    assert requests(read, "returns")[0]["pay"] == ["credit card", "gift card"]
    assert read.unread == []


def test_cancelling_the_whole_order_when_a_part_cannot_be() -> None:
    read = split(WHO + "I no longer need the lamp. "
                 "If cancelling part of the order is not possible, just cancel the whole order.")  # fmt: skip
    assert requests(read, "orders")[0]["whole"] is True
    assert read.unread == []


@pytest.mark.parametrize(
    "order",
    [
        "Ask the agent to hold the order until Friday.",
        "When asked for the order id, provide 123 first.",
        "I want to check it, and potentially correct all addresses.",
        "I want to get a human agent.",
        "I am joking.",
        "I just want an apology.",
    ],
)
def test_an_instruction_is_not_taken_for_a_question_or_a_mood(order: str) -> None:
    assert split(WHO + "I want to return the lamp. " + order).unread


def test_a_second_identity_is_for_a_person() -> None:
    assert split(WHO + "I am Bob Stone in zip code 54321. I want to return the lamp.").unread


@pytest.mark.parametrize("text", ["blah blub. " * 1800, "word " * 4000, "W" * 20_000, "zip 12345.\n" * 1800])
def test_all_of_a_long_text_that_is_not_understood_is_unread(text: str) -> None:
    read = split(text)
    left = "".join(read.unread)
    assert len(left) > len(text) * 0.8
    assert [part.id for part in read.subtasks] == ["identify"]


def test_what_is_too_long_for_a_split_is_not_said_to_a_log() -> None:
    with pytest.raises(ValidationError) as wrong:
        Split(unread=["I am Ada Byron"] * 65)
    assert "Ada" not in str(wrong.value)
