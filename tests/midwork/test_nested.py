"""What an agent's own peers ask goes up through it to the top, and the answer comes back down to the task that asked."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.errors import PeerError, ToolRefused
from meshwright.findings import Finding, Subtask
from meshwright.testing import lifespan_of


async def passing_on(subtask: Subtask, job: Job) -> Finding:
    """Looks, asks a peer, looks again, and asks something of its own."""
    await job.tools.call("look_at", thing_id="t1")
    found = await job.peers.ask("order-return", subtask.instruction)
    after = await job.tools.call("look_at", thing_id="t1")
    size = await job.ask("Which size?") if "size" in subtask.instruction else "no size"
    return Finding(reply=f"{found.reply} It is {after['colour']}, {size}.")


def below(propose: Any) -> Any:
    """Proposes, and then has a question."""

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        settled = await job.propose(propose(*subtask.instruction.split()[:2]))
        colour = await job.ask("Which frame?") if "frame" in subtask.instruction else "none"
        return Finding(reply=f"{settled.state}, frame {colour}.")

    return playbook


async def test_a_peers_proposal_is_applied_through_two_levels(start_team: Any, propose: Any) -> None:
    async with start_team(orders=passing_on, returns=below(propose)) as team:
        report = await team.report("orders t1 red")
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
        (theirs,) = (await team.rpc("returns", "ListTasks", {}, who="orders"))["tasks"]
        assert theirs["status"]["state"] == "TASK_STATE_COMPLETED"
    assert report["reply"].startswith("applied, frame none. It is red, no size.")
    # the one that was asked answers for what its peers propose; they are named for people
    assert report["verdicts"][0]["proposed_by"] == "orders"


async def test_proposals_and_questions_of_both_levels_follow_one_another(
    start_team: Any, propose: Any
) -> None:
    async with start_team(orders=passing_on, returns=below(propose)) as team:
        task = await team.sent("orders t1 red frame size")
        message = task["status"]["message"]["parts"]
        assert message[0]["text"] == "Which frame?"
        assert message[1]["data"]["asks"]["via"] == ["returns", "orders"]
        task = await team.sent("wooden", taskId=task["id"])
        assert task["status"]["message"]["parts"][0]["text"] == "Which size?"
        task = await team.sent("large", taskId=task["id"])
        report = await team.ended(task["id"])
        assert len(team.workshop.actions("paint")) == 1
        assert len((await team.rpc("returns", "ListTasks", {}, who="orders"))["tasks"]) == 1
    assert report["reply"].startswith("applied, frame wooden. It is red, large.")
    assert [step["outcome"] for step in report["steps"]][1:5] == ["asked", "asked", "asked", "answered"]


async def test_a_review_of_a_peers_proposal_says_through_whom_it_came(start_team: Any, propose: Any) -> None:
    async with start_team(orders=passing_on, returns=below(propose)) as team:
        task = await team.sent("orders t2 gold")
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        assert review["proposed_by"] == "orders"
        await team.operator("POST", f"/reviews/{review['id']}", json={"decision": "reject", "reason": "no"})
        report = await team.ended(task["id"])
        assert team.workshop.actions("paint") == []
    assert report["reply"].startswith("rejected, frame none.")


async def test_any_replica_goes_on_with_an_answer(start_team: Any, propose: Any) -> None:
    async with start_team(orders=passing_on, returns=below(propose)) as team, AsyncExitStack() as replicas:
        task = await team.sent("orders t1 red frame size")
        for name in ("orders", "returns"):
            other = team.app(name)
            await replicas.enter_async_context(lifespan_of(other))
            team.mesh.apps[f"http://{name}"] = other
        task = await team.sent("wooden", taskId=task["id"])
        heir = team.orchestrator()
        await replicas.enter_async_context(lifespan_of(heir))
        team.mesh.apps["http://orchestrator"] = heir
        task = await team.sent("large", taskId=task["id"])
        report = await team.ended(task["id"])
        assert len(team.workshop.actions("paint")) == 1
    assert report["reply"].startswith("applied, frame wooden. It is red, large.")


async def test_a_cancel_goes_down_to_whoever_waits_at_the_bottom(start_team: Any, propose: Any) -> None:
    async with start_team(orders=passing_on, returns=below(propose)) as team:
        task = await team.sent("orders t2 gold")
        await team.rpc("orchestrator", "CancelTask", {"id": task["id"]})
        for name, who in (("orders", "orchestrator"), ("returns", "orders")):
            (theirs,) = (await team.rpc(name, "ListTasks", {}, who=who))["tasks"]
            while theirs["status"]["state"] != "TASK_STATE_CANCELED":
                theirs = await team.rpc(name, "GetTask", {"id": theirs["id"]}, who=who)


async def test_an_agent_that_fails_leaves_nobody_waiting_below_it(start_team: Any, propose: Any) -> None:
    turns: list[str] = []

    async def failing(subtask: Subtask, job: Job) -> Finding:
        turns.append(subtask.instruction)
        if len(turns) > 1:
            raise ToolRefused("not today")
        return await passing_on(subtask, job)

    async with start_team(orders=failing, returns=below(propose)) as team:
        report = await team.report("orders t1 red frame")
        (theirs,) = (await team.rpc("returns", "ListTasks", {}, who="orders"))["tasks"]
        while theirs["status"]["state"] != "TASK_STATE_CANCELED":
            theirs = await team.rpc("returns", "GetTask", {"id": theirs["id"]}, who="orders")
        assert len(team.workshop.actions("paint")) == 1
    assert any("lost when it was answered" in gap["why"] for gap in report["gaps"])
    assert report["applied"][0]["summary"] == "t1 is red", "what was applied is said all the same"


@pytest.mark.parametrize("late", [False, True], ids=["a bug", "no time"])
async def test_an_agent_that_breaks_or_is_late_leaves_nobody_waiting_below_it_either(
    start_team: Any, propose: Any, late: bool
) -> None:
    turns: list[str] = []

    async def failing(subtask: Subtask, job: Job) -> Finding:
        turns.append(subtask.instruction)
        if len(turns) > 1:
            await asyncio.sleep(max(job.by.remaining, 0) if late else 0)
            raise LookupError("a bug")
        return await passing_on(subtask, job)

    async with start_team(orders=failing, returns=below(propose)) as team:
        await team.report("orders t1 red frame", seconds=4)
        (theirs,) = (await team.rpc("returns", "ListTasks", {}, who="orders"))["tasks"]
        while theirs["status"]["state"] != "TASK_STATE_CANCELED":
            theirs = await team.rpc("returns", "GetTask", {"id": theirs["id"]}, who="orders")


async def test_a_peer_that_is_lost_when_it_is_answered_is_an_error_of_the_question(
    start_team: Any, propose: Any
) -> None:
    async def careful(subtask: Subtask, job: Job) -> Finding:
        try:
            return await passing_on(subtask, job)
        except PeerError as error:
            return Finding(reply=f"lost: {error}")

    async with start_team(orders=careful, returns=below(propose)) as team:
        task = await team.sent("orders t1 red frame")
        (theirs,) = (await team.rpc("returns", "ListTasks", {}, who="orders"))["tasks"]
        await team.rpc("returns", "CancelTask", {"id": theirs["id"]}, who="orders")
        await team.sent("wooden", taskId=task["id"])
        report = await team.ended(task["id"])
        assert len(team.workshop.actions("paint")) == 1
    assert "lost: Returns" in report["reply"]


async def test_it_works_on_both_engines(start_team: Any, propose: Any, url: str) -> None:
    async with start_team(url, orders=passing_on, returns=below(propose)) as team:
        task = await team.sent("orders t1 red frame size")
        for words in ("wooden", "large"):
            task = await team.sent(words, taskId=task["id"])
        report = await team.ended(task["id"])
        assert len(team.workshop.actions("paint")) == 1
    assert report["reply"].startswith("applied, frame wooden. It is red, large.")


async def test_who_comes_back_to_a_task_hears_what_it_asks_meanwhile(start_team: Any, propose: Any) -> None:
    began, gate = asyncio.Event(), asyncio.Event()

    async def slow(subtask: Subtask, job: Job) -> Finding:
        began.set()
        await gate.wait()
        return Finding(reply=(await job.propose(propose("t1", "red"))).state)

    async with start_team(returns=slow) as team:
        subtask = {"id": "s", "skill": "order-return", "instruction": "t1 red"}
        message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"data": {"subtask": subtask}}]}
        how = {"returnImmediately": True}
        task = (await team.rpc("returns", "SendMessage", {"message": message, "configuration": how}))["task"]
        await began.wait()
        peer = await team.peer("returns", "order-return")
        by = Deadline.after(10)
        coming = asyncio.ensure_future(peer.ask({}, by=by, remote=task["id"], hears=True))
        while not any(b"SubscribeToTask" in request.content for request in team.mesh.seen):
            await asyncio.sleep(0)
        gate.set()
        assert (await coming).asks.proposal.action == "paint"
        assert by.remaining > 5
