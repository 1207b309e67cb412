"""Why something was done: the path to one action in sentences, and nothing of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from meshwright.cli.console import Missing, Trouble
from meshwright.cli.entrance import Entrance
from meshwright.cli.received import Document
from meshwright.cli.sentences import sentence, subject
from meshwright.cli.why import found, outcome, told_in_order
from meshwright.records.chain import why
from tests.unit.decided_run import DECISIONS, PAGE, Page, row
from tests.unit.test_cli_trace import HOSTILE, shown

PATH: list[Document] = list(why(DECISIONS, "a1"))


def test_the_path_to_an_action_is_told_in_order_in_plain_sentences() -> None:
    assert [sentence(each) for each in PATH] == [
        "orchestrator planned 2 parts (order-cancel, policy-answer): Triage split it into 2 parts.",
        "For s1 it chose Standby, not Orders (its breaker is open): Orders did not answer."
        " It was given the request, customer, and not email (personal), finding s2 (relevance).",
        "orchestrator asked Standby for s1: answered after 1.2 s. It had 9.8 s.",
        'standby read get_order(order_id="#W1") at orderbook, which returned {"order_id": "#W1", "status": "pending"}.',
        'standby read find_customer(name="[personal]"), which failed: nobody of that name.',
        "standby asked gpt-9 with 200 tokens: answered.",
        'They disagreed: Standby says cancel_order(order_id="#W1"); Returns says return_items.'
        " Standby was believed by authority: Orders has the say.",
        "The gate held it for a person by the rule large-amounts (risk: high): it is a lot."
        ' It looked up order by get_order: {"status": "pending"}; payment by get_payment: not told (no time was left).',
        "ann approved it: she called.",
        'cancel_order(order_id="#W1") was applied at orderbook.',
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"kind": "context", "selected": "order-cancel"}, "orders took up order-cancel."),
        (
            {"kind": "budget", "selected": "Orders", "outcome": "cut"},
            "The budget of Orders was cut: there is no more left.",
        ),
        (
            {"kind": "breaker", "selected": "orderbook", "outcome": "open"},
            "The breaker of orders to orderbook became open.",
        ),
        ({"kind": "review", "outcome": "withdrawn"}, "Nobody had to decide it any more."),
        ({"kind": "review", "outcome": "expired"}, "Nobody decided it until it expired."),
        (
            {"kind": "effect", "selected": "refund", "outcome": "unknown"},
            "refund may or may not have been applied: no answer came.",
        ),
        ({"kind": "route", "outcome": "gap", "subtask": "s1"}, "For s1 nobody could be chosen."),
        ({"kind": "resolve_conflict", "outcome": "open"}, "No side was believed."),
        ({"kind": "of tomorrow", "outcome": "odd"}, "orders, of tomorrow: odd."),
    ],
)
def test_what_happens_less_often_has_its_sentence_too(said: Page, told: str) -> None:
    reason = {"reason": "there is no more left"} if said["kind"] == "budget" else {}
    assert sentence({"agent": "orders", **said, **reason}) == told


def test_an_action_is_named_as_it_was_called_and_ends_with_the_last_word_on_it() -> None:
    assert subject(PATH, "a1") == 'cancel_order(order_id="#W1")'
    assert outcome(PATH, "a1") == "applied"
    assert outcome(PATH[:-1], "a1") == "approved"
    assert outcome(PATH[:-2], "a1") == "review"
    assert outcome(PATH[:3], "a1") == "not decided"


@pytest.mark.parametrize("name", sorted({key for each in DECISIONS for key in each}))
@pytest.mark.parametrize(
    "value", [None, 7, float("inf"), "text", HOSTILE, [], [HOSTILE], {"tool": 3}, [{"key": HOSTILE}]]
)
def test_every_row_makes_a_sentence_whatever_it_says(name: str, value: Any) -> None:
    told = [sentence({**each, name: value}) for each in DECISIONS]
    assert all(told)
    assert not set("".join(told)) & set("\x1b\x07\u202e\r\n\x9b\u200b")


def test_at_eighty_columns_each_sentence_has_its_place_in_time() -> None:
    lines = shown(told_in_order(PATH), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:2] == ["1.", "+0.00"]
    assert any(line.split()[:2] == ["9.", "+60.00"] for line in lines if line.strip())


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
