"""Reasoning with a model, over real HTTP through LiteLLM: tools, validation, budget, and the playbook behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshwright.agent import Agent, Job
from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import BudgetExhausted, PeerTimedOut, PeerUnreachable
from meshwright.findings import Finding, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.model import Model
from meshwright.outbound.peer import Answer
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring, ScriptedModel
from meshwright.toolserver import Access

# LiteLLM and what it brings warn about themselves at import; that is theirs to mend.
pytestmark = [pytest.mark.usefixtures("model_clients"), pytest.mark.filterwarnings("ignore")]

FINDING = {
    "reply": "It costs 10.",
    "claims": [{"text": "t1 costs 10", "evidence": [{"source": "tool:workshop.look_at", "quote": "10"}]}],
}


async def playbook(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="by the book")


async def ask(model: ScriptedModel, start: Any, *, tokens: int = 50_000) -> dict[str, Any]:
    """One subtask to an agent that reasons with `model`; its Finding."""
    finding = (await answer_of(model, start, tokens=tokens)).data[0]
    assert isinstance(finding, dict)
    return finding


async def answer_of(model: ScriptedModel, start: Any, *, tokens: int = 50_000, seconds: float = 30) -> Answer:
    settings = Settings(tools="http://workshop", model="openai/scripted", model_url=model.url, model_key="k")  # type: ignore[arg-type]
    ring, mesh = Keyring("orders", "workshop"), InProcess({})
    agent = Agent("orders", playbook=playbook, instructions="You look at things.")
    mesh.apps["http://orders"] = agent_app(agent, settings, ring.identity("orders"), mesh.client())
    access = Access({"orders": ("workshop.*",)}, {})
    tools = ring.identity("workshop", open_to_strangers=False)
    mesh.apps["http://workshop"] = tool_app(start().server(), settings, tools, access)
    async with mesh.running():
        directory = Directory(["http://orders"], mesh.client(), ring.identity("operator"))
        await directory.refresh()
        part = {"subtask": {"id": "s", "skill": "order-status", "instruction": "what does t1 cost?"}}
        (orders,) = directory.candidates("order-status")
        return await orders.ask(part, by=Deadline.after(seconds), tokens=tokens)


async def test_a_model_reads_with_tools_and_its_answer_is_validated(workshop: Any) -> None:
    script = [{"tool": "look_at", "arguments": {"thing_id": "t1"}}, f"Here: ```{json.dumps(FINDING)}```"]
    async with ScriptedModel(script).serving() as model:
        finding = await ask(model, workshop)
    assert (finding["reply"], finding["mode"]) == ("It costs 10.", "model")
    assert finding["usage"]["tools"] == ["workshop.look_at"]
    assert finding["usage"]["tokens"] > 0
    assert [t["function"]["name"] for t in model.asked[0]["tools"]] == ["look_at"]


async def test_a_model_sees_no_write_tool_and_cannot_call_one(workshop: Any) -> None:
    script = [{"tool": "paint", "arguments": {"thing_id": "t1", "colour": "red"}}, json.dumps(FINDING)]
    async with ScriptedModel(script).serving() as model:
        finding = await ask(model, workshop)
    assert "there is no tool paint" in json.dumps(model.asked[1]["messages"])
    assert finding["usage"]["tools"] == []


async def test_an_answer_that_does_not_validate_may_be_mended_once_told(workshop: Any) -> None:
    async with ScriptedModel(["It is cheap!", json.dumps(FINDING)]).serving() as model:
        finding = await ask(model, workshop)
    assert finding["mode"] == "model"
    assert "does not validate" in json.dumps(model.asked[1]["messages"])


@pytest.mark.parametrize(
    "script", [["never any JSON"], [{"status": 500}], [{"status": 429}], [{"status": 401}]]
)
async def test_when_the_model_fails_the_playbook_answers_and_says_why(
    workshop: Any, script: list[Any]
) -> None:
    async with ScriptedModel(script).serving() as model:
        answer = await answer_of(model, workshop)
    finding = answer.data[0]
    assert (finding["reply"], finding["mode"]) == ("by the book", "playbook")
    assert answer.notes["degraded"] == ["model"]
    assert "the model was not used" in finding["facts"]["fallback"]


async def test_a_model_that_hangs_leaves_the_playbook_time_to_answer(workshop: Any) -> None:
    async with ScriptedModel([{"hang": True}]).serving() as model:
        await _warm(model)
        answer = await answer_of(model, workshop, seconds=4)
    finding = answer.data[0]
    assert (finding["reply"], finding["mode"]) == ("by the book", "playbook")
    assert answer.notes["degraded"] == ["model"]
    assert answer.notes["usage"]["tokens"] >= model.used > 0


async def test_a_budget_too_small_for_the_question_costs_nothing(workshop: Any) -> None:
    async with ScriptedModel([json.dumps(FINDING)]).serving() as model:
        finding = await ask(model, workshop, tokens=20)
    assert model.asked == []
    assert "tokens are needed" in finding["facts"]["fallback"]


async def test_a_hung_model_is_left_at_the_deadline_and_hears_of_it() -> None:
    async with ScriptedModel([{"hang": True}]).serving() as server:
        model, budget = Model("openai/scripted", server.url, "k"), Budget(10_000)
        await _warm(server)
        with pytest.raises(PeerTimedOut):
            await model.chat([{"role": "user", "content": "hi"}], by=Deadline.after(1), budget=budget)
        await server.hung_up.wait()
    assert budget.spent > 0
    assert budget.reserved == 0


async def test_a_model_server_that_is_not_there_is_an_error_in_words() -> None:
    model = Model("openai/scripted", "http://127.0.0.1:9", "k")
    with pytest.raises(PeerUnreachable, match="openai/scripted"):
        await model.chat([{"role": "user", "content": "hi"}], by=Deadline.after(20), budget=Budget())


async def test_the_answer_never_costs_more_than_was_reserved() -> None:
    async with ScriptedModel(["a few words"]).serving() as server:
        budget = Budget(300)
        model = Model("openai/scripted", server.url, "k")
        await model.chat([{"role": "user", "content": "hi"}], by=Deadline.after(20), budget=budget)
        with pytest.raises(BudgetExhausted):
            await model.chat([{"role": "user", "content": "x" * 2000}], by=Deadline.after(20), budget=budget)
    assert server.asked[0]["max_tokens"] < 300
    assert 0 < budget.spent <= 300


async def _warm(server: ScriptedModel) -> None:
    """Import LiteLLM before a deadline is measured."""
    import litellm

    assert litellm is not None
    assert server.url
