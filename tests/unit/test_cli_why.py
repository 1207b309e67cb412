"""Why something was done: the path to one action in sentences, and nothing of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from meshwright.cli.console import Missing, Trouble
from meshwright.cli.entrance import Entrance
from meshwright.cli.why import found, in_order, title
from meshwright.explaining.story import Story, story
from tests.unit.decided_run import DECISIONS, PAGE, Page, row
from tests.unit.test_cli_trace import HOSTILE, shown


def of(rows: list[Page], action: str = "a1") -> Story:
    found = story({**PAGE, "decisions": rows}, action, 0.0)
    assert found is not None
    return found


def test_the_path_to_an_action_is_told_in_order_with_what_each_step_rested_on() -> None:
    lines = [line.strip() for line in shown(in_order(of(DECISIONS))).splitlines()]
    assert lines == [
        "1.      +0 ms Triage split the request into 2 parts",
        "Part: s1, for whoever offers order-cancel",
        "Part: s2, for whoever offers policy-answer",
        "2.    +100 ms orchestrator chose Standby for “s1”, who stands in for the agents whose work it is",
        "Because: Orders did not answer",
        "Not Orders: its breaker is open",
        "It was given: the request and customer (150 B)",
        "It was not given: email: it is personal, and not needed there",
        "It was not given: finding s2: it was held not to matter there",
        "3.    +300 ms standby read get_order",
        "Asked with: order_id: #W1",
        "It returned: order_id: #W1, status: pending",
        "4.    +400 ms standby read find_customer, which failed: nobody of that name",
        "Asked with: name: [personal]",
        "It failed: ToolRefused",
        "5.    +500 ms standby asked the model gpt-9: 200 tokens",
        "6.    +600 ms Standby and Returns disagreed; Standby was believed",
        "Because: Orders has the say",
        "Standby (believed, 90% sure): cancel_order order_id: #W1 – resting on tool:get_order",
        "Returns (not believed, 40% sure): return_items",
        "7.    +700 ms The policy lets a person decide on cancel_order",
        "Because: it is a lot",
        "What exactly: order_id: #W1",
        "Rule: large-amounts (risk: high)",
        "Fact: order: status: pending, from get_order",
        "Fact: payment: not known: no time was left, from get_payment",
        "8.     +1 min ann approved cancel_order",
        "Because: she called",
        "9. +1 min 1 s cancel_order was carried out",
        "What exactly: order_id: #W1",
        "It returned: cancelled",
        "1 more step in `meshwright trace run-1`",
    ]


def test_the_question_names_the_action_and_what_became_of_it() -> None:
    whole = "✓ Why was cancel_order carried out?  applied  order_id: #W1  run run-1"
    assert shown(title(of(DECISIONS))).strip() == whole
    assert shown(title(of(DECISIONS[:-2]))).startswith("✓ What became of cancel_order, and why?  approved")
    assert shown(title(of(DECISIONS[:8]))).startswith(
        "! Why does cancel_order wait for a person?  needs a person"
    )
    assert shown(title(of(DECISIONS[:7]))).startswith("· What became of an action, and why?  not decided")


@pytest.mark.parametrize("name", sorted({key for each in DECISIONS for key in each}))
@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        pytest.param(10**400, id="10^400"),
        float("inf"),
        "text",
        HOSTILE,
        [],
        [HOSTILE],
        {"tool": 3},
        [{"key": HOSTILE}],
    ],
)
def test_whatever_a_row_says_it_is_told_and_cannot_act_on_the_terminal(name: str, value: Any) -> None:
    rows = [{**each, name: value} for each in DECISIONS]
    for action in ("a1", "text", HOSTILE):
        if (found := story({**PAGE, "decisions": rows}, action, 0.0)) is not None:
            text = shown(title(found), in_order(found))
            assert text.strip()
            assert not set(text) & set("\x1b\x07\u202e\r\x9b\u200b")


def test_at_eighty_columns_each_sentence_has_its_place_in_time() -> None:
    lines = shown(in_order(of(DECISIONS)), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:3] == ["1.", "+0", "ms"]
    assert any(line.split()[:3] == ["8.", "+1", "min"] for line in lines if line.strip())


# --- which action is meant

REVIEWS = [{"id": "abcd-1", "run": "run-1"}, {"id": "abce-1", "run": "run-1"}]


def mesh(page: Page = PAGE, reviews: list[Page] = REVIEWS) -> Entrance:
    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        pages: dict[str, Callable[[], Any]] = {
            "/actions/a1": lambda: {"action": "a1", "run": "run-1"},
            "/runs/run-1/chain": lambda: page,
            "/reviews": lambda: {"reviews": reviews},
            "/runs": lambda: {"runs": [] if request.url.params.get("q") else [{"id": "run-1"}]},
        }
        if path in pages:
            return httpx.Response(200, json=pages[path]())
        return httpx.Response(404, json={"error": {"message": f"nothing is at {path}"}})

    return Entrance("http://mesh", None, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("action", "name", "key"),
    [
        ("a1", "", "a1"),
        ("abcd", "", "abcd-1"),
        ("run-1", "", "a1"),
        ("run-1", "cancel_order", "a1"),
        ("run-1", "a1", "a1"),
    ],
)
async def test_an_action_is_found_by_its_key_a_review_or_its_run(action: str, name: str, key: str) -> None:
    async with mesh() as door:
        page, found_key = await found(door, action, name)
    assert (page["run"]["id"], found_key) == ("run-1", key)


async def test_what_is_not_clear_is_asked_back_with_what_there_is() -> None:
    two = {
        **PAGE,
        "decisions": [*DECISIONS, row("g2", "gate", 2, action="a2", call={"tool": "cancel_order"})],
    }
    async with mesh(two) as door:
        with pytest.raises(
            Trouble, match=r"run run-1 has 2 of that: .*cancel_order is a1; cancel_order is a2"
        ):
            await found(door, "run-1", "cancel_order")
        with pytest.raises(Trouble, match="run run-1 has 2 actions: name one by its key"):
            await found(door, "run-1", "")
        with pytest.raises(Trouble, match="has none of that: name one by its key"):
            await found(door, "run-1", "refund")
    async with mesh({**PAGE, "decisions": []}) as door:
        with pytest.raises(Missing, match="run run-1 proposed no action"):
            await found(door, "run-1", "")
        with pytest.raises(Missing, match="nothing is known of 'else'"):
            await found(door, "else", "")
    async with mesh(reviews=[{"id": "abcd-1"}, {"id": "abcd-2"}]) as door:
        with pytest.raises(Trouble, match="2 reviews begin with 'abcd': give more"):
            await found(door, "abcd", "")
