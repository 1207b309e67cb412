"""An agent that asks agents divides what it was given, comes back to what it asked before, and leaves nothing behind that nobody wants."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.budget import Budget
from meshwright.errors import DeadlineExceeded, DelegationLoop, NoPeer, PeerTaskFailed, PeerTimedOut
from meshwright.findings import Finding, Subtask
from meshwright.origin import Origin


def asking(skill: str, **more: Any) -> Any:
    """A playbook that asks for `skill` and passes the answer on."""

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        found = await job.peers.ask(skill, subtask.instruction, **more)
        return Finding(reply=f"I asked. {found.reply}")

    return playbook


async def test_what_a_peer_finds_comes_back_with_what_it_cost_and_who_was_asked(team: Any, hand: Any) -> None:
    returns = hand(spends=120)
    await team.start("returns", returns.playbook)
    await team.start("orders", asking("order-return", details={"order": "#W1"}), peers=["returns"])
    answer = await team.ask("orders", "send it back", tokens=1000, origin=None)
    assert answer.data[0]["reply"] == "I asked. seen: send it back"
    assert answer.notes["usage"]["tokens"] == 120
    assert answer.data[0]["usage"]["tools"] == ["Returns.order-return"]
    subtask, job = returns.jobs[0]
    assert (subtask.skill, subtask.details, job.caller) == ("order-return", {"order": "#W1"}, "orders")
    assert job.budget.limit == 600


async def test_a_question_gets_a_share_of_the_time_so_that_some_is_left_to_answer(
    team: Any, hand: Any
) -> None:
    returns = hand()
    await team.start("returns", returns.playbook)
    colleagues = await team.colleagues("returns", seconds=10)
    await colleagues.ask("order-return", "look", share=0.5)
    assert returns.jobs[0][1].by.remaining < 5


async def test_a_peer_that_hangs_costs_its_share_and_is_told_to_stop(team: Any, hand: Any) -> None:
    returns = hand(waits=True)
    await team.start("returns", returns.playbook)
    colleagues = await team.colleagues("returns", seconds=2)
    with pytest.raises(PeerTimedOut):
        await colleagues.ask("order-return", "look", share=0.3)
    await returns.stopped.wait()
    assert colleagues.by.remaining > 1


async def test_questions_asked_at_once_never_share_a_token(team: Any, hand: Any) -> None:
    returns = hand(spends=100, waits=True)
    await team.start("returns", returns.playbook)
    colleagues = await team.colleagues("returns", budget=Budget(1000))
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(colleagues.ask("order-return", f"look {number}", share=0.5))
        while len(returns.jobs) < 3:
            await asyncio.sleep(0)
        budget = colleagues.budget
        assert sum(job.budget.limit for _, job in returns.jobs) == budget.reserved == 500 + 250 + 125
        returns.gate.set()
    assert (budget.spent, budget.reserved) == (300, 0)


async def test_a_peer_that_does_not_say_what_it_used_is_charged_what_it_was_given(team: Any) -> None:
    async def broken(subtask: Subtask, job: Job) -> Finding:
        raise RuntimeError("it broke")

    await team.start("returns", broken)
    colleagues = await team.colleagues("returns", budget=Budget(1000))
    with pytest.raises(Exception, match="internal error"):
        await colleagues.ask("order-return", "look", share=0.5)
    assert (colleagues.budget.spent, colleagues.budget.reserved) == (500, 0)


async def test_who_does_the_work_again_comes_back_to_the_task_that_it_asked_for(team: Any, hand: Any) -> None:
    returns = hand(waits=True)
    await team.start("returns", returns.playbook)
    moved = asyncio.Event()
    first = await team.colleagues("returns", origin=Origin("t1", "r1", moved=moved.is_set))
    asked = asyncio.create_task(first.ask("order-return", "look"))
    await returns.began.wait()
    moved.set()  # this process stops, and another takes the task over
    asked.cancel()
    await asyncio.wait({asked})
    second = await team.colleagues("returns")
    again = asyncio.create_task(second.ask("order-return", "look"))
    returns.gate.set()
    assert (await again).reply == "seen: look"
    assert len(returns.jobs) == 1
    assert not returns.stopped.is_set()


async def test_the_same_question_twice_in_one_job_is_two_questions(team: Any, hand: Any) -> None:
    returns = hand()
    await team.start("returns", returns.playbook)
    colleagues = await team.colleagues("returns")
    for _ in range(2):
        await colleagues.ask("order-return", "look")
    assert len(returns.jobs) == 2


async def test_a_cancelled_job_cancels_what_it_asked_of_others(team: Any, hand: Any) -> None:
    returns = hand(waits=True)
    await team.start("returns", returns.playbook)
    colleagues = await team.colleagues("returns")
    asked = asyncio.create_task(colleagues.ask("order-return", "look"))
    await returns.began.wait()
    asked.cancel()
    await returns.stopped.wait()


async def test_another_owner_of_the_skill_answers_when_the_first_cannot(team: Any, hand: Any) -> None:
    async def failing(subtask: Subtask, job: Job) -> Finding:
        raise DeadlineExceeded("not today")

    accounts = hand()
    await team.start("returns", failing)
    await team.start("spare", accounts.playbook, card="returns")
    colleagues = await team.colleagues("returns", "spare")
    assert (await colleagues.ask("order-return", "look")).reply == "seen: look"
    assert colleagues.used == ["Returns.order-return", "Returns.order-return"]


async def test_nobody_to_ask_is_an_error_in_words(team: Any, hand: Any) -> None:
    returns = hand()
    await team.start("returns", returns.playbook)
    await team.start("orders", asking("order-return"))
    with pytest.raises(PeerTaskFailed, match="MESHWRIGHT_PEERS"):
        await team.ask("orders")
    colleagues = await team.colleagues("returns")
    with pytest.raises(NoPeer, match="no agent offers the skill 'flying'"):
        await colleagues.ask("flying", "fly")


async def test_three_agents_in_a_row_are_fine_and_each_knows_who_stands_above(team: Any, hand: Any) -> None:
    accounts = hand()
    await team.start("accounts", accounts.playbook)
    await team.start("returns", asking("profile-read"), peers=["accounts"])
    await team.start("orders", asking("order-return"), peers=["returns"])
    answer = await team.ask("orders", "who is it?")
    assert answer.data[0]["reply"] == "I asked. I asked. seen: who is it?"


async def test_two_agents_that_ask_one_another_end_with_an_error_that_names_the_loop(team: Any) -> None:
    await team.start("orders", asking("order-return"), peers=["returns"])
    await team.start("returns", asking("order-status"), peers=["orders"])
    with pytest.raises(DelegationLoop, match="orders → returns → orders"):
        await team.ask("orders")


async def test_without_keys_a_loop_ends_as_well(keyless: Any) -> None:
    await keyless.start("orders", asking("order-return"), peers=["returns"])
    await keyless.start("returns", asking("order-status"), peers=["orders"])
    with pytest.raises(DelegationLoop, match="orders → returns → orders"):
        await keyless.ask("orders")


async def test_a_chain_deeper_than_allowed_ends_with_an_error(team: Any, hand: Any) -> None:
    await team.start("accounts", hand().playbook, depth=1)
    await team.start("returns", asking("profile-read"), peers=["accounts"])
    await team.start("orders", asking("order-return"), peers=["returns"])
    with pytest.raises(DelegationLoop, match="2 agents stand above"):
        await team.ask("orders")


async def test_how_urgent_a_request_is_goes_with_it_to_every_agent(team: Any, hand: Any) -> None:
    returns = hand()
    await team.start("returns", returns.playbook)
    seen: list[Origin] = []

    async def looking(subtask: Subtask, job: Job) -> Finding:
        seen.append(job.peers.origin)  # type: ignore[attr-defined]
        return await job.peers.ask("order-return", "look")

    await team.start("orders", looking, peers=["returns"])
    await team.ask("orders", origin=Origin(run="r7", priority="low"))
    assert (seen[0].run, seen[0].priority) == ("r7", "low")
    assert returns.jobs[0][1].run == "r7"
