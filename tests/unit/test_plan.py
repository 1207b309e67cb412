"""Who a customer is stands in their own words, or it is not known."""

from __future__ import annotations

import pytest

from orchestrator.plan import stated


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("email", "ada@x.com", "I am Ada, Ada@X.com."),
        ("email", "ada@x.com", "<ada@x.com>, order #W1"),
        ("email", "ada@x.com", "mail:ada@x.com - thanks"),
        ("email3", "a@x.com b@x.com", "I have a@x.com, b@x.com"),
        ("name", "ada novak", "this is ADA   Novak, 97201"),
        ("name", "Ada O'Brien", "-Ada O'Brien"),
        ("zip", "97201", "Portland, OR 97201-1234"),
        ("customer_id", "ada_novak_12", "my id: ada_novak_12."),
    ],
)
def test_what_the_customer_says_of_themselves_is_heard(name: str, value: str, words: str) -> None:
    assert stated({name: value}, words) == {name: value}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("email", "ada@x.com", "I am Nada, nada@x.com"),
        ("email", "ada@x.com", "b.ada@x.com wrote to ada+b@x.com"),
        ("email", "ada@x.com", "I am ada@x.com.au"),
        ("email", "ada@x.com", "I am ada@x.community"),
        ("email", "x.com", "I am ada@x.com"),
        ("name", "eve lee", "I am Steven Leeds"),
        ("zip", "19122", "my order is #W1912299"),
        ("customer_id", "ada_novak_1", "my id: ada_novak_12"),
        ("email", "eve@x.com", "ada@x.com"),
        ("email", "", "ada@x.com"),
    ],
)
def test_a_part_of_what_they_say_is_not_what_they_say(name: str, value: str, words: str) -> None:
    assert stated({name: value}, words) == {}


def test_more_than_anybody_says_of_themselves_is_not_searched_for() -> None:
    words = "a " * 200
    assert stated({"name": words[:201], "zip": "a"}, words) == {"zip": "a"}
    assert len(stated({f"mark {number}": "a" for number in range(1000)}, words)) == 16
