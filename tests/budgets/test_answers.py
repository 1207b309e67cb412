"""What a model server may answer, over real HTTP: it is charged what it can have cost, and our client never breaks on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshwright.budget import Budget, Price
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, PeerOverloaded
from meshwright.outbound.model import Model
from meshwright.testing import ScriptedModel

pytestmark = [  # LiteLLM and what it brings warn about themselves
    pytest.mark.usefixtures("model_clients"),
    pytest.mark.filterwarnings("ignore"),
]

USAGE = {"prompt_tokens": 60, "completion_tokens": 5, "total_tokens": 65}
QUESTION = [{"role": "user", "content": "hello " * 20}]
#: Micro-dollars for a million tokens: a dollar, two dollars.
PRICE = Price(1_000_000, 2_000_000)
WHOLE = (679, 1179)  # what is reserved for the question and 500 tokens


async def charged(line: Any, budget: Budget | None = None) -> tuple[str, tuple[int, int]]:
    """What our client makes of an answer, and what it is charged: tokens, micro-dollars."""
    budget = budget or Budget(5_000, micros=100_000)
    async with ScriptedModel([line]).serving() as server:
        model = Model("openai/scripted", server.url, "k", PRICE)
        try:
            said = await model.chat(QUESTION, by=Deadline.after(30), budget=budget, max_tokens=500)
            outcome = said.text or str(said.calls)
        except MeshError as error:
            outcome = type(error).__name__
    assert (budget.reserved, budget.pledged) == (0, 0)
    return outcome, (budget.spent, budget.paid)


def answer(usage: Any = USAGE, *contents: Any, **message: Any) -> dict[str, Any]:
    """A completion with these choices, or with one that is `message`."""
    messages = [{"role": "assistant", "content": content} for content in contents] or [
        {"role": "assistant", "content": "hello there", **message}
    ]
    choices = [{"index": n, "message": m, "finish_reason": "stop"} for n, m in enumerate(messages)]
    whole = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": choices,
        "usage": usage,
    }
    return {"raw": json.dumps(whole).encode()}


@pytest.mark.parametrize(
    "usage",
    [
        USAGE,
        {k: str(v) for k, v in USAGE.items()},
        {**USAGE, "total_tokens": -100},
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 50}},
        {**USAGE, "prompt_tokens_details": "lots"},
    ],
    ids=str,
)
async def test_what_can_be_read_as_an_honest_claim_is_charged_and_what_was_cached_costs_the_same(
    usage: Any,
) -> None:
    assert await charged(answer(usage)) == ("hello there", (65, 70))


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"total_tokens": 65},
        dict.fromkeys(USAGE),
        dict.fromkeys(USAGE, True),
        dict.fromkeys(USAGE, 10**40),
        {k: -v for k, v in USAGE.items()},
        {**USAGE, "prompt_tokens": 10},
    ],
    ids=str,
)
async def test_a_claim_that_cannot_be_true_costs_all_that_was_reserved(usage: Any) -> None:
    assert await charged(answer(usage)) == ("hello there", WHOLE)


@pytest.mark.parametrize(
    "usage", ["12", [1, 2], 7, dict.fromkeys(USAGE, "many"), dict.fromkeys(USAGE, float("nan"))], ids=str
)
async def test_a_claim_that_is_no_numbers_spoils_the_answer_and_costs_all_that_was_reserved(
    usage: Any,
) -> None:
    assert await charged(answer(usage)) == ("PeerUnreachable", WHOLE)


async def test_what_was_written_is_counted_in_all_answers_in_thoughts_and_in_tool_calls() -> None:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "look", "arguments": json.dumps({"at": "x" * 90})},
    }
    for line in (
        answer(USAGE, "one two three", "four five six"),
        answer(USAGE, reasoning_content="one two three four"),
        answer(USAGE, content=None, tool_calls=[call]),
    ):
        assert (await charged(line))[1] == WHOLE
    call["function"]["arguments"] = "{}"  # type: ignore[index]
    assert await charged(answer(USAGE, content=None, tool_calls=[call])) == (
        "[('1', 'look', '{}')]",
        (65, 70),
    )


async def test_thinking_beyond_what_was_allowed_costs_all_that_was_reserved_and_is_doubted() -> None:
    budget = Budget(5_000, micros=100_000)
    thought = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 5_000}}
    assert (await charged(answer(thought), budget))[1] == (
        560,
        1060,
    )  # the prompt as it says, the answer whole
    assert budget.doubts == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"error": {"message": "x"}}',
        b'{"error": {"message": "x", "code": 400}}',
        b'{"choices": [{"message": null}]}',
        answer(USAGE, f"half a letter: {chr(0xD800)}")["raw"],
        answer(USAGE, [{"type": "text", "text": "a list"}])["raw"],
    ],
    ids=repr,
)
async def test_a_200_that_holds_no_answer_may_have_been_worked_on_and_costs_all_that_was_reserved(
    raw: bytes,
) -> None:
    outcome, cost = await charged({"raw": raw})
    assert outcome in ("PeerUnreachable", "PeerAnsweredBadly")
    assert cost == WHOLE


@pytest.mark.parametrize(
    ("status", "outcome", "cost"),
    [
        *((status, "PeerRefused", (0, 0)) for status in (400, 401, 402, 403, 404, 409, 413, 422)),
        *((status, "PeerOverloaded", (0, 0)) for status in (429, 503, 529)),
        (408, "PeerTimedOut", WHOLE),
        *((status, "PeerUnreachable", WHOLE) for status in (499, 500, 502)),
    ],
)
async def test_what_a_status_says_and_costs(status: int, outcome: str, cost: tuple[int, int]) -> None:
    assert await charged({"raw": b'{"error": {"message": "no"}}', "status": status}) == (outcome, cost)


@pytest.mark.parametrize(("after", "seconds"), [("60", 60), ("soon", None), ("9" * 400, None)])
async def test_an_overloaded_server_says_when_to_come_again(after: str, seconds: float | None) -> None:
    line = {"raw": b"{}", "status": 429, "headers": {"retry-after": after}}
    async with ScriptedModel([line]).serving() as server:
        model = Model("openai/scripted", server.url, "k")
        with pytest.raises(PeerOverloaded) as told:
            await model.chat(QUESTION, by=Deadline.after(30), budget=Budget(5_000))
    assert told.value.retry_after == seconds


@pytest.mark.parametrize("status", [400, 422, 429])
async def test_a_gateway_whose_dollars_are_used_up_is_a_budget_that_is_used_up(status: int) -> None:
    budget = Budget(5_000)
    raw = b'{"error": {"message": "Budget has been exceeded!", "type": "budget_exceeded"}}'
    assert await charged({"raw": raw, "status": status}, budget) == ("BudgetExhausted", (0, 0))
    assert budget.exhausted


@pytest.mark.parametrize("price", [Price(0, 0), Price(0, 5_000_000), Price(5_000_000, 0)])
async def test_whatever_is_free_of_it_the_rest_is_held_to_its_limits(price: Price) -> None:
    budget = Budget(1_000, micros=1_000)
    hold = await budget.hold(100, 10**12, price)
    assert hold.amount.tokens <= 1_000
    assert hold.amount.micros <= 1_000
    await hold.settle(None)
    assert (budget.spent, budget.paid) == (hold.amount.tokens, hold.amount.micros)
