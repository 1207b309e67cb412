"""Each call of an agent is one decision in its span: a tool that was read, an agent that was asked, whatever became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, PeerTaskFailed, ToolRefused
from meshwright.findings import Finding, Subtask
from meshwright.outbound.answers import decisions_in
from meshwright.outbound.toolbox import Toolbox
from meshwright.records.minutes import Minutes


async def looks(subtask: Subtask, job: Job) -> Finding:
    """Looks at what it is told to, one after the other."""
    found = {}
    for thing in subtask.instruction.split():
        try:
            found[thing] = await job.tools.call("look_at", thing=thing)
        except ToolRefused as refusal:
            found[thing] = {"no": str(refusal)}
    return Finding(reply="I looked.", facts=found)


async def asks(subtask: Subtask, job: Job) -> Finding:
    return await job.peers.ask("order-return", subtask.instruction, details={"thing": "t1"})


async def asks_nobody(subtask: Subtask, job: Job) -> Finding:
    return await job.peers.ask("no-such-skill", subtask.instruction)


async def breaks(subtask: Subtask, job: Job) -> Finding:
    await job.tools.call("look_at", thing="t1")
    raise PeerTaskFailed("orders", "it cannot be done")


async def test_a_read_says_with_what_it_was_called_and_what_it_told(start_house: Any, ear: Any) -> None:
    async with start_house(looks) as house:
        answer = await house.ask("t1 nothing")
        told, refused = await house.rows("tool_call")
        assert (told["selected"], told["outcome"], told["call"]["server"]) == ("look_at", "answered", "shelf")
        assert told["call"]["arguments"] == {"thing": "t1"}
        assert told["call"]["result"] == {"thing": "t1", "about": {"price": 10}}
        assert told["deadline_ms"] > 0
        assert (refused["outcome"], refused["call"]["error"]) == ("refused", "ToolRefused")
        assert "there is no nothing" in refused["reason"]
        assert "ada@" not in refused["reason"]
        ear.hung("execute_tool", [told, refused])
        assert set(decisions_in(answer.notes)) == {row["id"] for row in await house.rows()}


async def test_the_same_question_twice_is_two_decisions(start_house: Any, ear: Any) -> None:
    async with start_house(looks) as house:
        await house.ask("t1 t1 t1")
        rows = await house.rows("tool_call")
        assert len({row["id"] for row in rows}) == 3
        ear.hung("execute_tool", rows)


async def test_a_tool_that_nobody_offers_was_called_too(start_house: Any, ear: Any) -> None:
    async def calls(subtask: Subtask, job: Job) -> Finding:
        return Finding(facts=await job.tools.call("no_such_tool"))

    async with start_house(calls) as house:
        with pytest.raises(MeshError):
            await house.ask()
        (row,) = await house.rows("tool_call")
        assert (row["selected"], row["outcome"], row["call"].get("server", "")) == (
            "no_such_tool",
            "failed",
            "",
        )
        ear.hung("execute_tool", [row])


async def test_a_read_that_is_called_off_with_its_turn_was_made(start_house: Any, ear: Any) -> None:
    async def hangs(subtask: Subtask, job: Job) -> Finding:
        job_mesh.hangs.add("http://shelf")
        return Finding(facts=await job.tools.call("look_at", thing="t1"))

    async with start_house(hangs) as house:
        job_mesh = house.mesh
        with pytest.raises(MeshError):
            await house.ask(seconds=0.4)
        rows = await house.kept("tool_call")
        assert [row["outcome"] for row in rows] in (["called-off"], ["timed-out"])
        assert "Error" not in rows[0]["reason"], "a person reads it"
        ear.hung("execute_tool", rows)


async def test_what_a_turn_that_failed_has_done_is_kept(start_house: Any) -> None:
    async with start_house(breaks) as house:
        with pytest.raises(PeerTaskFailed) as failure:
            await house.ask()
        kinds = [row["kind"] for row in await house.rows()]
        assert sorted(kinds) == ["context", "tool_call"]
        assert len(decisions_in(failure.value.notes)) == 2
        (context,) = await house.rows("context")
        assert context["outcome"] == "failed"


async def test_an_agent_that_is_asked_names_what_it_decided(start_house: Any, ear: Any) -> None:
    async with start_house(asks, looks) as house:
        await house.ask("t1")
        (call,), (route,) = await house.rows("agent_call"), await house.rows("route")
        theirs = await house.rows(name="returns")
        assert sorted(call["below"]) == sorted(row["id"] for row in theirs)
        assert {row["task"] for row in theirs} == {call["remote"]}
        assert {row["correlation"] for row in theirs} == {call["correlation"]} != {""}
        assert (call["parent"], call["selected"], call["outcome"]) == (
            route["id"],
            route["selected"],
            "answered",
        )
        assert {piece["key"] for piece in route["passed"]} == {"instruction", "details.thing"}
        ear.hung("invoke_agent", [call], others=1)  # the test's own, which nobody writes down


async def test_why_nobody_was_asked_is_a_decision(start_house: Any) -> None:
    async with start_house(asks_nobody) as house:
        with pytest.raises(MeshError):
            await house.ask()
        (route,) = await house.rows("route")
        assert (route["outcome"], route.get("selected", "")) == ("failed", "")
        assert "no agent offers the skill" in route["reason"]
        assert await house.rows("agent_call") == []


async def test_a_question_of_a_peer_is_a_decision_of_both_turns(start_house: Any) -> None:
    async def wants_to_know(subtask: Subtask, job: Job) -> Finding:
        return Finding(reply=await job.ask("Which colour?"))

    async with start_house(asks, wants_to_know) as house:
        answer = await house.ask(hears=True)
        assert answer.asks is not None
        assert len(decisions_in(answer.notes)) == len(await house.rows()) == 3
        content = {"answers": {"id": answer.asks.id, "text": "red"}}
        await house.ask(content=content, answers=(answer.task_id, answer.asks.id))
        calls = await house.rows("agent_call")
        assert [(row.get("turn", 1), row["outcome"]) for row in calls] == [
            (1, "asked"),
            (2, "answered"),
        ]
        assert [row["outcome"] for row in await house.rows("context")] == ["asked", "answered"]
        assert [row["outcome"] for row in await house.rows("route")] == ["asked", "answered"]


async def test_a_try_that_is_made_again_is_a_call_of_its_own(start_house: Any, ear: Any) -> None:
    async with start_house(asks) as house:

        async def comes_back() -> None:
            while not [
                each for each in house.mesh.seen if (each.method, each.url.host) == ("POST", "returns")
            ]:
                await asyncio.sleep(0)
            house.mesh.down.clear()

        await house.ask(name="returns")
        house.mesh.seen.clear()
        house.mesh.down.add("http://returns")
        coming = asyncio.create_task(comes_back())
        await house.ask()
        await coming
        calls = await house.rows("agent_call")
        assert [call["outcome"] for call in calls] == ["failed", "answered"]
        assert {call["parent"] for call in calls} == {row["id"] for row in await house.rows("route")}
        ear.hung("invoke_agent", calls, others=2)


async def test_what_is_taken_from_the_notebook_was_not_called_again(start_house: Any, ear: Any) -> None:
    async def reads_and_asks(subtask: Subtask, job: Job) -> Finding:
        await job.tools.call("look_at", thing="t1")
        return Finding(reply=await job.ask("Which colour?"))

    async with start_house(reads_and_asks) as house:
        answer = await house.ask(hears=True)
        content = {"answers": {"id": answer.asks.id, "text": "red"}}
        await house.ask(content=content, answers=(answer.task_id, answer.asks.id))
        rows = await house.rows("tool_call")
        assert (len(rows), house.shelf.looks) == (1, 1)
        ear.hung("execute_tool", rows)
        again = [
            piece
            for row in await house.rows("context")
            for piece in row["passed"]
            if piece["key"] == "notebook"
        ]
        assert [piece["source"] for piece in again] == ["earlier turns"]


GOOD = "d0123456789abcdef01234567"
LIES: list[Any] = [
    None, "d" * 25, {"d": 1}, 7, [GOOD, None, 7, [GOOD], {}, GOOD.upper(), GOOD + "0", GOOD[:-1], GOOD + "\n", "\ud800"],
]  # fmt: skip


@pytest.mark.parametrize("said", LIES, ids=str)
def test_what_cannot_be_an_id_is_not_taken_for_one(said: Any) -> None:
    assert decisions_in({"decisions": said}) == ((GOOD,) if isinstance(said, list) else ())
    assert len(decisions_in({"decisions": [GOOD] * 1_000})) == 256


async def says_what_it_leaves_out(subtask: Subtask, job: Job) -> Finding:
    job.omitted("order.notes", "relevance", size=120)
    job.omitted("ada@example.org", "personal")
    return Finding(reply="Done.")


async def test_an_agent_says_what_it_was_given_and_what_it_left_out(start_house: Any) -> None:
    async with start_house(says_what_it_leaves_out) as house:
        await house.ask("look")
        (context,) = await house.rows("context")
        assert {piece["key"] for piece in context["passed"]} == {"instruction", "text"}
        assert context["passed"][0]["bytes"] == 4
        assert [(left["key"], left["why"]) for left in context["omitted"]] == [
            ("order.notes", "relevance"),
            ("[e-mail]", "personal"),
        ]
        assert context["omitted"][0]["bytes"] == 120
        assert "look" not in str(context["passed"])


async def test_a_reason_that_is_none_is_an_error_of_its_author(start_house: Any) -> None:
    async def makes_one_up(subtask: Subtask, job: Job) -> Finding:
        job.omitted("notes", "laziness")  # type: ignore[arg-type]
        return Finding()

    async with start_house(makes_one_up) as house:
        with pytest.raises(MeshError, match="internal"):
            await house.ask()


async def test_what_is_told_on_a_span_is_nobodys_word(start_house: Any, ear: Any) -> None:
    async with start_house(looks) as house:
        house.shelf.things["t1"] = {"owner_name": "Ada Lovelace", "note": "call +49 30 901820"}
        await house.ask("t1 ada@example.org")
        assert not [w for w in ("Lovelace", "901820", "ada@") if w in ear.all()]


async def test_a_quiet_session_leaves_neither_span_nor_row(start_house: Any, ear: Any) -> None:
    async with start_house() as house:
        minutes = Minutes("orders", "t1")
        box = Toolbox(["http://shelf"], house.mesh.client(), house.ring.identity("orders"))
        session = box.session(by=Deadline.after(20), minutes=minutes, quiet=True)
        assert (await session.call("look_at", thing="t1"))["thing"] == "t1"
        assert session.used == ["shelf.look_at"]
        assert (minutes.open, ear.calls("execute_tool")) == ([], [])
        await box.session(by=Deadline.after(20)).call("look_at", thing="t1")
        assert [decisions for _, decisions in ear.calls("execute_tool")] == [()]
