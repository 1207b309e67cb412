"""An agent that needs an effect to go on proposes it, waits at no cost, and goes on with what became of it."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.budget import Amount
from meshwright.errors import InvalidRequest
from meshwright.findings import Finding, Proposal, Subtask
from orchestrator.questions import MAX_QUESTIONS


def painting(propose: Any, seen: list[Any] | None = None, *, again: bool = False) -> Any:
    """A playbook that paints what it is told, looks at it before and after, and says what it saw."""

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        thing, colour = subtask.instruction.split()
        before = await job.tools.call("look_at", thing_id=thing)
        settled = await job.propose(propose(thing, colour))
        after = await job.tools.call("look_at", thing_id=thing)
        if seen is not None:
            seen.append((before["colour"], settled.state, after["colour"], settled.receipt, settled.why))
        proposals = [propose(thing, colour)] if again else []
        return Finding(reply=f"It was {before['colour']}, {settled.state}.", proposals=proposals)

    return playbook


async def test_a_proposal_in_the_middle_of_work_is_applied_and_the_agent_goes_on_with_the_receipt(
    start_team: Any, propose: Any
) -> None:
    seen: list[Any] = []
    async with start_team(orders=painting(propose, seen)) as team:
        report = await team.report("orders t1 red")
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    assert seen == [("grey", "applied", "red", {"summary": "t1 is red", "replayed": False}, "")]
    assert report["outcome"] == "done"
    assert [step["outcome"] for step in report["steps"]][1:3] == ["asked", "answered"]
    assert report["applied"][0]["summary"] == "t1 is red"


async def test_what_was_applied_in_the_middle_and_is_proposed_again_at_the_end_happens_once(
    start_team: Any, propose: Any
) -> None:
    async with start_team(orders=painting(propose, again=True)) as team:
        report = await team.report("orders t1 red")
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    assert (report["outcome"], len(report["verdicts"])) == ("done", 1)


async def test_a_tool_says_to_a_playbook_that_runs_again_what_it_said_before(
    start_team: Any, propose: Any
) -> None:
    async with start_team(orders=painting(propose)) as team:
        await team.report("orders t1 red")
        # the agent before, the gate, the agent after: its first look was not repeated
        assert team.workshop.looks == 3


async def test_a_refusal_is_told_and_the_agent_finds_another_way(start_team: Any, propose: Any) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        for colour in ("green", "puce", "red"):
            settled = await job.propose(propose("t1", colour))
            told.append((colour, settled.state, settled.why))
            if settled.state == "applied":
                return Finding(reply=f"It is {colour}.")
        raise AssertionError

    told: list[tuple[str, str, str]] = []
    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    assert told[-3:] == [
        ("green", "refused", "we are out of green"),
        ("puce", "rejected", "no such colour"),
        ("red", "applied", ""),
    ]
    assert report["reply"].startswith("It is red.")


async def test_the_same_proposal_after_a_rejection_gets_the_same_answer_and_no_new_verdict(
    start_team: Any, propose: Any
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        for _ in range(20):
            settled = await job.propose(propose("t1", "puce"))
        return Finding(reply=settled.why)

    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
        assert team.workshop.actions("paint") == []
    assert len(report["verdicts"]) == 1
    assert [step["outcome"] for step in report["steps"]].count("asked") == 1


async def test_a_proposal_that_nothing_supports_is_not_passed_on(start_team: Any, propose: Any) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        settled = await job.propose(propose("t1", "red", evidence=[]))
        return Finding(reply=f"{settled.state}: {settled.why}")

    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
        assert team.workshop.actions("paint") == []
    assert report["verdicts"] == []
    assert "rejected: no evidence that holds supports it" in report["reply"]


async def test_who_proposed_is_who_was_asked_whatever_the_agent_says_of_itself(
    start_team: Any, propose: Any
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        await job.propose(propose("t1", "red", proposed_by="orchestrator", subtask="another"))
        return Finding()

    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
    assert report["verdicts"][0]["proposed_by"] == "orders"


async def test_an_agent_that_asks_for_ever_becomes_a_gap_and_its_task_is_cancelled(
    start_team: Any, propose: Any
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        for number in range(100):
            await job.propose(propose("t1", f"puce {number}"))
        return Finding()

    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
        (task,) = (await team.rpc("orders", "ListTasks", {}, who="orchestrator"))["tasks"]
        while task["status"]["state"] != "TASK_STATE_CANCELED":
            task = await team.rpc("orders", "GetTask", {"id": task["id"]}, who="orchestrator")
    assert len(report["verdicts"]) == MAX_QUESTIONS
    assert any("asked 8 times in the middle of it, and once more" in gap["why"] for gap in report["gaps"])


@pytest.mark.parametrize(
    "arguments", [{"x": math.nan}, {"x": "y" * 20_000}, {"x": object()}, {"x": "\ud800"}]
)
async def test_arguments_that_are_no_json_or_too_many_are_refused_to_the_playbook_itself(
    start_team: Any, arguments: dict[str, Any]
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        try:
            await job.propose(Proposal(action="paint", arguments=arguments))
        except InvalidRequest as error:
            return Finding(reply=str(error))
        raise AssertionError

    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
    assert "arguments" in report["reply"]


async def test_questions_of_several_parts_are_settled_together_and_none_waits_for_another(
    start_team: Any, propose: Any
) -> None:
    book = painting(propose)
    async with start_team(orders=book, returns=book, accounts=book) as team:
        report = await team.report("orders t1 red\nreturns t3 blue\naccounts t4 gold")
        assert len(team.workshop.actions("paint")) == 3
    assert report["outcome"] == "done"


async def test_of_two_agents_that_want_different_things_of_the_same_a_person_chooses_one(
    start_team: Any, propose: Any
) -> None:
    seen: list[Any] = []
    book = painting(propose, seen)
    async with start_team(orders=book, returns=book) as team:
        task = await team.sent("orders t1 red\nreturns t1 blue")
        assert team.workshop.actions("paint") == []
        reviews = (await team.operator("GET", "/reviews")).json()["reviews"]
        assert len(reviews) == 2
        blue = next(each for each in reviews if each["arguments"]["colour"] == "blue")
        shown = (await team.operator("GET", f"/reviews/{blue['id']}")).json()
        assert {side["arguments"]["colour"] for side in shown["conflict"]["sides"]} == {"red", "blue"}
        await team.operator(
            "POST", f"/reviews/{blue['id']}", json={"decision": "approve", "hash": blue["hash"]}
        )
        await team.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "blue"}]
    assert sorted(state for _, state, *_ in seen) == ["applied", "rejected"]


async def test_nobody_is_asked_any_more_about_the_side_that_was_not_chosen(
    start_team: Any, propose: Any
) -> None:
    book = painting(propose)
    async with start_team(orders=book, returns=book, accounts=book) as team:
        await team.sent("orders t1 red\nreturns t1 blue\naccounts t2 gold")
        reviews = {
            r["arguments"]["colour"]: r for r in (await team.operator("GET", "/reviews")).json()["reviews"]
        }
        word = {"decision": "approve", "hash": reviews["blue"]["hash"]}
        await team.operator("POST", f"/reviews/{reviews['blue']['id']}", json=word)
        red = reviews["red"]
        while red["state"] == "open":
            red = (await team.operator("GET", f"/reviews/{red['id']}")).json()
        assert (red["state"], red["reason"]) == ("withdrawn", "the other side was chosen")
        (left,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        assert left["arguments"]["colour"] == "gold"


async def test_two_agents_that_want_the_same_of_the_same_get_it_once(start_team: Any, propose: Any) -> None:
    book = painting(propose)
    async with start_team(orders=book, returns=book) as team:
        report = await team.report("orders t1 red\nreturns t1 red")
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    assert report["outcome"] == "done"


async def test_an_answer_comes_with_fresh_time_and_tokens_and_what_was_spent_is_charged(
    start_team: Any, propose: Any
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        given.append((job.budget.limit > 0, job.by.remaining > 1))
        await (await job.budget.hold(1, 50)).settle(Amount(50))
        settled = await job.propose(propose("t1", "red"))
        return Finding(reply=settled.state)

    given: list[tuple[bool, bool]] = []
    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
    assert given == [(True, True)] * 2
    assert report["usage"]["tokens"] == 100


async def test_two_proposals_at_once_are_answered_one_after_the_other(start_team: Any, propose: Any) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        both = await asyncio.gather(
            job.propose(propose("t1", "red")), job.propose(propose("t3", "blue")), return_exceptions=True
        )
        return Finding(reply=" ".join(each.state for each in both))  # type: ignore[union-attr]

    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
        assert len(team.workshop.actions("paint")) == 2
    assert report["reply"].startswith("applied applied")


async def test_no_except_or_group_of_a_playbook_swallows_a_question(start_team: Any, propose: Any) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        try:
            async with asyncio.TaskGroup() as group, asyncio.timeout(5):
                red = group.create_task(job.propose(propose("t1", "red")))
                group.create_task(job.tools.call("look_at", thing_id="t1"))
                await red
        except Exception as error:  # noqa: BLE001 - that is the point
            return Finding(reply=f"swallowed {error!r}")
        finally:
            tidied.append(True)
        return Finding(reply=red.result().state)

    tidied: list[bool] = []
    async with start_team(orders=playbook) as team:
        report = await team.report("orders paint it")
    assert report["reply"].startswith("applied")
    assert len(tidied) == 2


async def test_a_risky_proposal_waits_for_a_person_while_the_rest_of_the_ticket_goes_on(
    start_team: Any, propose: Any
) -> None:
    async with start_team(orders=painting(propose), returns=painting(propose)) as team:
        task = await team.sent("orders t2 gold\nreturns t1 red")
        assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]


async def test_what_a_person_approves_is_applied_and_the_agent_goes_on_where_it_asked(
    start_team: Any, propose: Any
) -> None:
    seen: list[Any] = []
    async with start_team(orders=painting(propose, seen)) as team:
        task = await team.sent("orders t2 gold")
        assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        await team.operator(
            "POST", f"/reviews/{review['id']}", json={"decision": "approve", "hash": review["hash"]}
        )
        report = await team.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]
    assert seen == [("grey", "applied", "gold", {"summary": "t2 is gold", "replayed": False}, "")]
    assert report["outcome"] == "done"


async def test_what_a_person_edits_is_told_to_the_agent_with_what_was_done_instead(
    start_team: Any, propose: Any
) -> None:
    seen: list[Any] = []
    async with start_team(orders=painting(propose, seen)) as team:
        task = await team.sent("orders t2 gold")
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        edit = {"decision": "edit", "reason": "red suits it", "hash": review["hash"]}
        edit["arguments"] = {"thing_id": "t1", "colour": "red"}  # which nobody has to approve
        assert (await team.operator("POST", f"/reviews/{review['id']}", json=edit)).status_code == 200
        report = await team.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    ((_, state, _, receipt, why),) = seen
    assert (state, receipt["summary"]) == ("applied", "t1 is red")
    assert "edited by reviewer: red suits it" in why
    assert [verdict["state"] for verdict in report["verdicts"]] == ["edited", "applied"]


async def test_what_a_person_rejects_is_told_to_the_agent_with_their_reason(
    start_team: Any, propose: Any
) -> None:
    seen: list[Any] = []
    async with start_team(orders=painting(propose, seen)) as team:
        task = await team.sent("orders t2 gold")
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        verdict = {"decision": "reject", "reason": "too shiny"}
        await team.operator("POST", f"/reviews/{review['id']}", json=verdict)
        report = await team.ended(task["id"])
        assert team.workshop.actions("paint") == []
    assert seen[0][1] == "rejected"
    assert "too shiny" in seen[0][4]
    assert report["outcome"] == "escalated"


async def test_a_decision_about_what_cannot_be_a_review_leaves_the_task_waiting(
    start_team: Any, propose: Any, url: str
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        return Finding(reply=(await job.propose(propose("t2", "gold"))).state)

    async with start_team(database=url, orders=playbook) as team:
        message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "orders paint it"}]}
        sent = await team.rpc("orchestrator", "SendMessage", {"message": message}, who="operator")
        word = {"review": "a\0b", "decision": "reject", "reason": "no"}
        message |= {"messageId": "m2", "taskId": sent["task"]["id"], "parts": [{"data": word}]}
        told = await team.rpc("orchestrator", "SendMessage", {"message": message}, who="operator")
        assert told["task"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert "there is no review" in told["task"]["status"]["message"]["parts"][0]["text"]


async def test_a_client_that_cancels_while_a_proposal_waits_ends_the_agents_task_too(
    start_team: Any, propose: Any
) -> None:
    async with start_team(orders=painting(propose)) as team:
        task = await team.sent("orders t2 gold")
        await team.rpc("orchestrator", "CancelTask", {"id": task["id"]})
        (theirs,) = (await team.rpc("orders", "ListTasks", {}, who="orchestrator"))["tasks"]
        while theirs["status"]["state"] != "TASK_STATE_CANCELED":
            theirs = await team.rpc("orders", "GetTask", {"id": theirs["id"]}, who="orchestrator")
