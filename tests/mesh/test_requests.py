"""The way of a request through a whole mesh in one process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.errors import PeerTaskFailed
from meshwright.findings import Finding, Proposal, Split, Subtask


async def test_a_request_is_split_answered_gated_applied_and_explained(start_team: Any) -> None:
    async with start_team() as team:
        report = await team.report("paint t1 red")
        assert report["outcome"] == "done"
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
        assert [step["peer"] for step in report["steps"]] == ["Triage", "Orders", "Orders", "Aggregator"]
        assert report["steps"][2]["tools"] == ["workshop.look_at"]
        assert report["steps"][2]["told"] == ["look"]
        assert report["verdicts"][0]["decision"] == "apply"
        assert report["applied"][0]["summary"] == "t1 is red"
        assert "t1 is red" in team.workshop.actions("reply")[0]["text"]
        assert len(team.workshop.actions("close")) == 1


async def test_what_is_not_understood_is_not_applied_and_goes_to_a_person(start_team: Any) -> None:
    async with start_team() as team:
        report = await team.report("sing me a song")
        assert report["outcome"] == "escalated"
        assert team.workshop.actions("paint") == []
        assert "sing me a song" in team.workshop.actions("escalate")[0]["reason"]


async def test_what_is_too_long_to_be_read_is_not_understood(start_team: Any) -> None:
    """Whoever splits a request reads its first 8,000 characters; the end of it may take back the beginning."""
    async with start_team() as team:
        report = await team.report("paint t1 red" + " " * 8000 + "no, leave it as it is")
        assert report["unread"] == ["no, leave it as it is"]
        assert report["outcome"] == "escalated"
        assert team.workshop.actions("paint") == []
        await team.report("paint t1 red" + " " * 7980 + "\n" * 200)
        assert len(team.workshop.actions("paint")) == 1


async def test_a_lost_specialist_leaves_a_named_gap_and_the_stand_in_answers(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.down.add("http://orders")
        report = await team.report("paint t1 blue")
        assert report["outcome"] == "escalated"
        assert [s["outcome"] for s in report["steps"] if s["subtask"] == "paint"] == ["stand-in"]
        assert any("cannot be reached" in gap["why"] for gap in report["gaps"])
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]


async def test_a_hung_specialist_costs_its_share_of_the_deadline_and_no_more(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.hangs.add("http://orders")
        report = await team.report("paint t1 blue", seconds=4)
        assert {a["outcome"] for s in report["steps"] for a in s["attempts"] if a["peer"] == "Orders"} == {
            "timed out"
        }
        assert any("Orders" in gap["why"] for gap in report["gaps"])


async def test_without_the_aggregator_nothing_is_applied_and_the_answer_says_so(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.down.add("http://aggregator")
        report = await team.report("paint t1 blue")
        assert "final check" in " ".join(gap["what"] for gap in report["gaps"])
        assert len(team.workshop.actions("paint")) == 1


async def test_without_triage_a_person_gets_the_whole_request(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.down.add("http://triage")
        report = await team.report("paint t1 blue")
        assert report["outcome"] == "escalated"
        assert report["unread"] == ["paint t1 blue"]


async def test_a_specialist_that_answers_nonsense_is_a_named_gap(start_team: Any) -> None:
    async def nonsense(subtask: Subtask, job: Job) -> Finding:
        return Finding.model_construct(reply=3, proposals="all of them", facts={})

    async with start_team(orders=nonsense) as team:
        report = await team.report("paint t1 red")
        assert team.workshop.actions("paint") == []
        assert any("Orders" in gap["why"] for gap in report["gaps"])


async def test_a_specialist_that_breaks_leaks_nothing_of_what_broke(start_team: Any) -> None:
    async def breaks(subtask: Subtask, job: Job) -> Finding:
        raise ZeroDivisionError("secret-table-name")

    async with start_team(orders=breaks) as team:
        report = await team.report("paint t1 red")
        assert "secret-table-name" not in str(report)
        assert any("internal error" in a["outcome"] for s in report["steps"] for a in s["attempts"])


async def test_a_specialist_that_swallows_its_cancellation_holds_nobody_up(start_team: Any) -> None:
    release = asyncio.Event()

    async def stubborn(subtask: Subtask, job: Job) -> Finding:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Finding(reply="too late")

    async with start_team(orders=stubborn) as team:
        try:
            report = await team.report("paint t1 red", seconds=3)
        finally:
            release.set()  # or it would hold the end of the test up
        assert report["outcome"] == "escalated"


async def test_a_proposal_without_evidence_does_not_reach_the_gate(start_team: Any) -> None:
    async def boasts(subtask: Subtask, job: Job) -> Finding:
        return Finding(proposals=[Proposal(action="paint", arguments={"thing_id": "t1", "colour": "red"})])

    async with start_team(orders=boasts) as team:
        report = await team.report("paint t1 red")
        assert report["verdicts"] == []
        assert any("without evidence" in gap["why"] for gap in report["gaps"])


async def test_an_empty_or_endless_ticket_is_refused_in_words(start_team: Any) -> None:
    async with start_team() as team:
        with pytest.raises(PeerTaskFailed, match="the ticket is empty"):
            await team.ask("  ")
        with pytest.raises(PeerTaskFailed, match="at most 20000"):
            await team.ask("x" * 20_001)


async def test_twenty_requests_at_once_are_twenty_answers(start_team: Any) -> None:
    async with start_team() as team:
        reports = await asyncio.gather(*(team.report(f"paint t1 colour{n}", seconds=60) for n in range(20)))
        assert {report["outcome"] for report in reports} == {"done"}
        assert len(team.workshop.actions("paint")) == 20


async def test_deadline_budget_and_run_travel_with_every_hop(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red", seconds=9)
        hops = [r for r in team.mesh.seen if r.method == "POST"]
        left = [int(r.headers["x-mesh-deadline-ms"]) for r in hops]
        assert left[0] <= 9000
        assert max(left[1:]) < left[0]
        agents = [r for r in hops if r.url.path == "/" and r.url.host != "orchestrator"]
        assert len({r.headers["x-mesh-run"] for r in agents}) == 1
        assert all(r.headers["x-mesh-budget-tokens"] for r in agents)
        assert all(r.headers["authorization"].startswith("Bearer ") for r in hops)


async def test_an_announced_change_that_was_not_made_is_not_in_the_reply(start_team: Any) -> None:
    async def half_read(subtask: Subtask, job: Job) -> Split:
        look = Subtask(id="look", skill="order-status", instruction="look")
        part = Subtask(id="p", skill="order-change", instruction="paint", details={"thing": ["t1", "red"]})
        return Split(subtasks=[look, part], unread=["but only on Sundays"])

    async with start_team(triage=half_read) as team:
        report = await team.report("paint t1 red but only on Sundays")
        assert (report["verdicts"][0]["decision"], report["outcome"]) == ("reject", "escalated")
        assert "It can be painted" not in report["reply"]
        assert "I looked." in report["reply"]
        assert team.workshop.actions("paint") == []
