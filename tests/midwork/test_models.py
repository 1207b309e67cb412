"""A model's write tools: it calls one as any other function, and gets what became of the proposal as its result."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from meshwright.agent import Agent, Job
from meshwright.findings import Finding, Subtask
from meshwright.testing import ScriptedModel, lifespan_of

# LiteLLM and what it brings warn about themselves at import; that is theirs to mend.
pytestmark = [pytest.mark.usefixtures("model_clients"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """Import LiteLLM before a deadline is measured."""
    import litellm

    assert litellm is not None


LOOK = {"tool": "look_at", "arguments": {"thing_id": "t1"}}
DONE = json.dumps({"reply": "It is painted."})


def painted(colour: str, thing: str = "t1") -> dict[str, Any]:
    return {"tool": "paint", "arguments": {"thing_id": thing, "colour": colour}}


async def by_the_book(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="by the book")


def painter(*proposes: str, playbook: Any = by_the_book) -> Agent:
    return Agent("orders", playbook=playbook, instructions="You paint.", proposes=proposes)


def results(model: ScriptedModel) -> list[str]:
    """What the model was told by its tools, by the time of its last request."""
    return [m["content"] for m in model.asked[-1]["messages"] if m["role"] == "tool"]


async def test_a_write_tool_is_a_function_whose_result_is_the_receipt(start_team: Any) -> None:
    async with ScriptedModel([LOOK, painted("red"), DONE]).serving() as model:
        async with start_team(model=model.url, orders=painter("pai*")) as team:
            report = await team.report("orders paint it red")
            assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    assert [t["function"]["name"] for t in model.asked[0]["tools"]] == ["look_at", "paint"]
    assert json.loads(results(model)[1]) == {
        "state": "applied",
        "receipt": {"summary": "t1 is red", "replayed": False},
    }
    assert len(model.asked) == 3, "what was said before the proposal was not asked and paid for again"
    assert report["reply"].startswith("It is painted.")


async def test_a_model_that_is_refused_may_try_another_way(start_team: Any) -> None:
    script = [LOOK, painted("green"), painted("puce"), painted("blue"), DONE]
    async with ScriptedModel(script).serving() as model:
        async with start_team(model=model.url, orders=painter("paint")) as team:
            await team.report("orders paint it")
            assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "blue"}]
    said = [json.loads(result) for result in results(model)[1:]]
    assert [each["state"] for each in said] == ["refused", "rejected", "applied"]
    assert said[0]["why"] == "we are out of green"


async def test_what_a_model_proposes_before_it_has_read_anything_is_not_passed_on(start_team: Any) -> None:
    async with ScriptedModel([painted("red"), DONE]).serving() as model:
        async with start_team(model=model.url, orders=painter("paint")) as team:
            report = await team.report("orders paint it red")
            assert team.workshop.actions("paint") == []
    assert "no evidence that holds supports it" in results(model)[0]
    assert report["verdicts"] == []


async def test_a_write_tool_that_an_agent_may_not_propose_is_not_there(start_team: Any) -> None:
    async with ScriptedModel([LOOK, painted("red"), DONE]).serving() as model:
        async with start_team(model=model.url, orders=painter("polish")) as team:
            await team.report("orders paint it red")
            assert team.workshop.actions("paint") == []
    assert results(model)[1] == "error: there is no tool paint"


async def test_another_replica_goes_on_with_what_was_said_while_a_person_decided(start_team: Any) -> None:
    async with ScriptedModel([LOOK, painted("gold", "t2"), DONE]).serving() as model:
        async with start_team(model=model.url, orders=painter("paint")) as team, AsyncExitStack() as replicas:
            task = await team.sent("orders paint it gold")
            asked = len(model.asked)
            other = team.app("orders")
            await replicas.enter_async_context(lifespan_of(other))
            team.mesh.apps["http://orders"] = other
            (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
            await team.operator(
                "POST", f"/reviews/{review['id']}", json={"decision": "approve", "hash": review["hash"]}
            )
            await team.ended(task["id"])
            assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]
    assert (asked, len(model.asked)) == (2, 3)


async def test_when_the_model_fails_after_a_proposal_the_playbook_gets_the_same_answer(
    start_team: Any, propose: Any
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        settled = await job.propose(propose("t1", "red"))
        return Finding(reply=f"by the book: {settled.state}")

    async with ScriptedModel([LOOK, painted("red"), {"status": 401}]).serving() as model:
        async with start_team(model=model.url, orders=painter("paint", playbook=playbook)) as team:
            report = await team.report("orders paint it red")
            assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    assert report["reply"].startswith("by the book: applied")
    assert len(report["verdicts"]) == 1
