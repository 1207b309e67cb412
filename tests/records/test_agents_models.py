"""Each answer of a model is a decision in its span, without its words; and so is what it was not shown, and what it could not pay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshwright.agent import Agent, Job
from meshwright.budget import Budget
from meshwright.errors import BudgetExhausted
from meshwright.findings import Finding, Subtask
from meshwright.records.minutes import Minutes
from meshwright.testing import ScriptedModel

# LiteLLM and what it brings warn about themselves at import; that is theirs to mend.
pytestmark = [pytest.mark.usefixtures("model_clients"), pytest.mark.filterwarnings("ignore")]

LOOK = {"tool": "look_at", "arguments": {"thing": "t1"}}
DONE = json.dumps({"reply": "Dear Ada, it costs 10."})


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """Import LiteLLM before a deadline is measured."""
    import litellm

    assert litellm is not None


async def by_the_book(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="by the book")


THINKER = Agent("orders", playbook=by_the_book, instructions="You look at things.")


def of(model: ScriptedModel) -> dict[str, Any]:
    return {"model": "openai/scripted", "model_url": model.url, "model_key": "sk-secret"}


async def test_an_answer_says_what_it_was_given_used_and_wanted(start_house: Any, ear: Any) -> None:
    async with ScriptedModel([LOOK, DONE]).serving() as model:
        async with start_house(THINKER, **of(model)) as house:
            await house.ask("what does t1 cost?")
            first, second = await house.rows("model_call")
            (context,) = await house.rows("context")
            (read,) = await house.rows("tool_call")
    assert (first["outcome"], second["outcome"]) == ("wants-tools", "answered")
    assert (first["selected"], first["source"]) == ("openai/scripted", "model")
    assert first["more"]["tools"] == first["more"]["wants"] == ["look_at"]
    assert (first["more"]["messages"], second["more"]["messages"]) == (2, 4)
    assert first["tokens_in"] > 0
    assert first["tokens_out"] > 0
    assert second["more"]["characters"] > first["more"]["characters"] > 0
    assert context["strategy"] == "model"
    ear.hung("chat", [first, second])
    ear.hung("execute_tool", [read])
    assert not [word for word in ("Ada", "You look", "sk-secret") if word in json.dumps([first, second])]


async def test_what_a_model_was_not_shown_is_said(start_house: Any) -> None:
    async with ScriptedModel([LOOK, DONE]).serving() as model:
        async with start_house(THINKER, **of(model)) as house:
            house.shelf.things["t1"] = "x" * 20_000
            await house.ask()
            (context,) = await house.rows("context")
    assert [(left["key"], left["why"]) for left in context["omitted"]] == [("result:look_at", "budget")]
    assert context["omitted"][0]["bytes"] > 8_000


async def test_a_model_that_fails_says_how_and_that_the_playbook_answered_instead(
    start_house: Any, ear: Any
) -> None:
    async with ScriptedModel([{"status": 500}]).serving() as model:
        async with start_house(THINKER, **of(model)) as house:
            await house.ask()
            rows = await house.rows("model_call")
            (context,) = await house.rows("context")
    assert {row["outcome"] for row in rows} == {"failed"}
    assert (context["strategy"], context["outcome"]) == ("playbook-instead", "answered")
    ear.hung("chat", rows)


@pytest.mark.parametrize("said", ["", "\ud800", "\0" * 40])
async def test_an_answer_that_is_none_is_a_row_all_the_same(start_house: Any, ear: Any, said: str) -> None:
    body = {
        "id": "x", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 3},
    }  # fmt: skip
    async with ScriptedModel([{"raw": json.dumps(body).encode()}]).serving() as model:
        async with start_house(THINKER, **of(model)) as house:
            await house.ask()
            rows = await house.rows("model_call")
    assert rows
    ear.hung("chat", rows)


async def test_a_reservation_that_is_refused_or_cut_is_a_decision(start_house: Any) -> None:
    async with ScriptedModel([DONE]).serving() as model:
        async with start_house(THINKER, **of(model)) as house:
            await house.ask(tokens=20)
            (refused,) = await house.rows("budget")
            assert await house.rows("model_call") == []
    assert (refused["outcome"], refused["more"]["limit"]) == ("refused", 20)
    assert "20 of 20 are left" in refused["reason"]


async def test_a_budget_says_how_much_less_was_given() -> None:
    budget = Budget(100, minutes=Minutes("orders", "t1"))
    await budget.hold(50, 30)
    await budget.hold(1, 30)
    with pytest.raises(BudgetExhausted):
        await budget.hold(1, 30)
    assert budget.minutes is not None
    cut, refused = budget.minutes.open
    assert (cut.outcome, cut.tokens_given, cut.more["wanted"]) == ("cut", 20, 31)
    assert (refused.outcome, refused.tokens_given) == ("refused", 0)
