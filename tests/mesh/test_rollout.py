"""Old build, new build, old build again, with runs in flight: each goes on from its facts, and none ends in silence."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from meshwright.agent import Job
from meshwright.errors import LeaseLost
from meshwright.findings import Evidence, Finding, Proposal, Subtask
from meshwright.reviews.word import Word
from meshwright.tasks.snapshot import Claim
from meshwright.tasks.turn import Postponed
from orchestrator.aggregate import aggregate
from orchestrator.apply import apply, carry_out
from orchestrator.checkpoints import Checkpoints
from orchestrator.delegate import delegate, ready
from orchestrator.finish import finish
from orchestrator.gate import gate
from orchestrator.graph import after_apply, after_delegate, after_plan, build
from orchestrator.plan import plan
from orchestrator.questions import put
from orchestrator.resume import ready_to_go_on, upcast
from orchestrator.review import review
from orchestrator.schema import schema_of
from orchestrator.work import NEWEST, SCHEMA_VERSION, Drive, Said, Work, new_work

EVIDENCE = [Evidence(source="tool:workshop.look_at", quote="thing")]


async def look(state: Work) -> dict[str, Any]:
    """A node that only the next build has."""
    return {"round": state["round"]}


async def to_the_people(state: Work) -> str:
    found = await after_apply(state)
    return {"review": "people", "finish": "look"}.get(found, found)


def next_build(saver: Any) -> Any:
    """The graph of a build that renamed `gate` and `review` and looks once more before it finishes."""
    graph = StateGraph(Work, context_schema=Drive)
    nodes = {
        "plan": plan,
        "delegate": delegate,
        "aggregate": aggregate,
        "judge": gate,
        "apply": apply,
        "people": review,
        "look": look,
        "finish": finish,
    }
    for name, node in nodes.items():
        graph.add_node(name, node)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", after_plan, ["delegate", "aggregate"])
    after = {"delegate": "delegate", "gate": "judge", "aggregate": "aggregate"}
    graph.add_conditional_edges("delegate", after_delegate, after)
    graph.add_edge("aggregate", "judge")
    graph.add_edge("judge", "apply")
    graph.add_conditional_edges("apply", to_the_people, ["delegate", "people", "plan", "look"])
    graph.add_edge("people", "judge")
    graph.add_edge("look", "finish")
    graph.add_edge("finish", END)
    return graph.compile(checkpointer=saver)


async def gate_of_the_first(state: Work, runtime: Any) -> dict[str, Any]:
    """It judged what had no row yet, and nothing again."""
    judged = await gate(state, runtime)
    known = {row["key"]: row for row in state["actions"]}
    return {"actions": [known.get(row["key"], row) for row in judged["actions"]]}


async def first_after_delegate(state: Work) -> str:
    return "delegate" if ready(state) else "aggregate"


def first_build(saver: Any) -> Any:
    """The graph as the first build had it: what people approved was applied at once, and no agent asked in the middle of work."""
    graph = StateGraph(Work, context_schema=Drive)
    for node in (plan, delegate, aggregate, apply, review, finish):
        graph.add_node(node.__name__, node)
    graph.add_node("gate", gate_of_the_first)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", after_plan, ["delegate", "aggregate"])
    graph.add_conditional_edges("delegate", first_after_delegate, ["delegate", "aggregate"])
    graph.add_edge("aggregate", "gate")
    graph.add_edge("gate", "apply")
    graph.add_conditional_edges("apply", after_apply, ["review", "plan", "finish"])
    graph.add_edge("review", "apply")
    graph.add_edge("finish", END)
    return graph.compile(checkpointer=saver)


def done(team: Any) -> list[int]:
    return [len(team.workshop.actions(name)) for name in ("paint", "reply", "close")]


@pytest.mark.parametrize("there", ["plan", "delegate", "aggregate", "gate", "apply", "finish"])
@pytest.mark.parametrize("back", ["judge", "apply", "look", "finish"])
async def test_old_then_new_then_old_again(
    start_team: Any, run_on: Any, url: str, there: str, back: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build, before=there)
        await run.drive(next_build, before=back)
        state = await run.drive(build)
        assert (state["outcome"], done(team)) == ("done", [1, 1, 1])


@pytest.mark.parametrize("builds", [(build, next_build, build), (next_build, build, next_build)])
async def test_a_run_that_waits_for_a_person_waits_in_every_build_and_goes_on_in_any(
    start_team: Any, run_on: Any, url: str, builds: Any
) -> None:
    async with start_team() as team, run_on(team, url, "paint t2 gold") as run:
        for each in builds:
            state = await run.drive(each)
            assert "__interrupt__" in state
        (review_row,) = await run.reviews.queue()
        await run.reviews.decide(review_row["id"], Word("approve"), by="ann")
        state = await run.drive(builds[1])
        assert (state["outcome"], done(team)) == ("done", [1, 1, 1])


async def test_what_was_approved_and_not_judged_again_waits_for_a_build_that_judges_it(
    start_team: Any, run_on: Any, url: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t2 gold") as run:
        await run.drive(build)
        (waits,) = await run.reviews.queue()
        await run.reviews.decide(waits["id"], Word("approve"), by="ann")
        await run.drive(build, before="gate")
        with pytest.raises(Postponed, match="needs a newer build"):
            await run.drive(first_build, reads=1)
        assert done(team) == [0, 0, 0]
        state = await run.drive(build)
        assert (state["outcome"], done(team)) == ("done", [1, 1, 1])


async def test_a_build_that_did_not_look_at_the_schema_would_lose_it(
    start_team: Any, run_on: Any, url: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t2 gold") as run:
        await run.drive(build)
        (waits,) = await run.reviews.queue()
        await run.reviews.decide(waits["id"], Word("approve"), by="ann")
        await run.drive(build, before="gate")
        state = await run.drive(first_build)
        assert (state["outcome"], done(team)) == ("done", [0, 1, 1])


@pytest.mark.parametrize("there", ["plan", "delegate", "aggregate", "gate", "apply", "finish"])
async def test_what_the_first_build_can_do_it_does_after_a_newer_one(
    start_team: Any, run_on: Any, url: str, there: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build, before=there)
        state = await run.drive(first_build, reads=1)
        assert (state["outcome"], done(team)) == ("done", [1, 1, 1])


async def test_a_run_that_waits_for_one_person_goes_on_in_the_first_build(
    start_team: Any, run_on: Any, url: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t2 gold") as run:
        await run.drive(build)
        assert "__interrupt__" in await run.drive(first_build, reads=1)
        assert "__interrupt__" in await run.drive(build)


ROW = {"key": "k", "state": "waiting", "verdict": {"decision": "review", "approvals": 1}}


@pytest.mark.parametrize(
    "change",
    [
        {"actions": [ROW | {"state": "approved"}]},
        {"actions": [ROW | {"verdict": {"decision": "review", "approvals": 2}}]},
        {"actions": [ROW | {"conflict": {"kind": "actions"}}]},
        {"questions": {"p1": {"asks": {}}}},
    ],
    ids=["to be judged again", "two people", "two sides", "a question"],
)
def test_what_an_older_build_would_get_wrong_has_a_schema_that_it_puts_back(change: Any) -> None:
    assert schema_of({**new_work("r", "hi"), **change}) == NEWEST
    ended = [{**row, "state": "rejected"} for row in change.get("actions", [ROW])]
    assert schema_of({**new_work("r", "hi"), "actions": ended}) == SCHEMA_VERSION
    assert schema_of({**new_work("r", "hi"), "actions": [ROW]}) == SCHEMA_VERSION


async def test_a_finished_run_is_not_driven_again(start_team: Any, run_on: Any, url: str) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build)
        state = await run.drive(next_build)
        assert (state["outcome"], done(team)) == ("done", [1, 1, 1])


async def test_who_lost_the_run_writes_no_checkpoint(start_team: Any, run_on: Any, url: str) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build, before="aggregate")
        run.claim = Claim(run.claim.task_id, run.claim.token - 1)
        with pytest.raises(LeaseLost):
            await run.drive(build)
        assert done(team) == [0, 0, 0]


async def dying(state: Work) -> dict[str, Any]:
    raise MemoryError("as if the process were killed here")


def dies_in(name: str) -> Any:
    """A build in which this node is the end of the process."""

    def made(saver: Any) -> Any:
        graph = StateGraph(Work, context_schema=Drive)
        for node in (plan, delegate, aggregate, gate, apply, finish):
            graph.add_node(node.__name__, dying if node.__name__ == name else node)
        graph.add_edge(START, "plan")
        for one, next_one in itertools.pairwise(("plan", "delegate", "aggregate", "gate", "apply", "finish")):
            graph.add_edge(one, next_one)
        graph.add_edge("finish", END)
        return graph.compile(checkpointer=saver)

    return made


@pytest.mark.parametrize("there", ["plan", "delegate", "aggregate", "gate", "apply", "finish"])
async def test_what_is_done_again_before_each_death_is_no_progress(
    start_team: Any, run_on: Any, url: str, there: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build, before=there)
        await run.database.execute("UPDATE tasks SET claims = 2")
        with pytest.raises(MemoryError):
            await run.drive(dies_in(there))
        assert await claims(run) == 2
        await run.drive(build)
        assert await claims(run) == 0


async def test_a_grant_that_is_issued_again_before_each_death_is_no_progress(
    start_team: Any, run_on: Any, url: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        state = await run.drive(build, before="apply")
        await run.database.execute("UPDATE tasks SET claims = 2")
        (row,) = state["actions"]
        await carry_out(run.drive_with, row, run.drive_with.by)
        assert (await claims(run), done(team)) == (2, [1, 0, 0])


async def claims(run: Any) -> int:
    found: int = (await run.database.execute("SELECT claims FROM tasks"))[0]["claims"]
    return found


@pytest.mark.parametrize("word", [Word("reject", "no"), Word("approve")], ids=["no", "yes"])
@pytest.mark.parametrize("early", [True, False], ids=["before it is judged again", "after"])
async def test_what_people_were_asked_they_decide_also_where_who_asked_died_and_the_verdict_is_another(
    start_team: Any, run_on: Any, url: str, word: Word, early: bool
) -> None:
    async with start_team() as team, run_on(team, url, "paint t2 gold") as run:
        state = await run.drive(build, before="gate")
        await gate(state, Runtime(context=run.drive_with))  # and its process dies
        team.workshop.prices["t2"] = 10
        (waits,) = await run.reviews.queue()
        if early:
            await run.reviews.decide(waits["id"], word, by="ann")
        else:
            assert "__interrupt__" in await run.drive(build)
            assert done(team) == [0, 0, 0]
            await run.reviews.decide(waits["id"], word, by="ann")
        await run.drive(build)
        assert len(team.workshop.actions("paint")) == (word.decision == "approve")


async def test_what_is_not_json_is_refused_and_the_channel_named(
    start_team: Any, run_on: Any, url: str
) -> None:
    async def odd(state: Work) -> dict[str, Any]:
        return {"topic": object()}

    def broken(saver: Any) -> Any:
        graph = StateGraph(Work, context_schema=Drive)
        graph.add_node("odd", odd)
        graph.add_edge(START, "odd")
        return graph.compile(checkpointer=saver)

    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        with pytest.raises(TypeError, match="topic"):
            await run.drive(broken)


async def test_a_run_keeps_only_what_it_needs_to_go_on(start_team: Any, run_on: Any, url: str) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build)
        rows = await run.database.execute("SELECT count(*) AS n FROM run_checkpoints")
        assert rows[0]["n"] <= 2
        saver = Checkpoints(run.database)
        assert len([c async for c in saver.alist(run.config)]) == rows[0]["n"]
        await saver.adelete_thread(run.drive_with.run)
        assert await ready_to_go_on(build(saver), run.config) is False


async def test_a_run_goes_on_from_its_last_step_also_where_the_clock_is_behind(
    start_team: Any, run_on: Any, url: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build, before="gate")
        for row in await run.database.execute("SELECT id, body FROM run_checkpoints"):
            known, later = row["id"], f"f{row['id'][1:]}"  # as of a replica whose clock is ahead by centuries
            children = "UPDATE run_checkpoints SET parent = ? WHERE parent = ?"
            await run.database.execute(children, later, known)
            sql = "UPDATE run_checkpoints SET id = ?, body = ? WHERE id = ?"
            await run.database.execute(sql, later, row["body"].replace(known, later), known)
        for there in ("apply", "finish"):
            await run.drive(build, before=there)
            found = await Checkpoints(run.database).aget_tuple(run.config)
            assert f"branch:to:{there}" in found.checkpoint["channel_values"]
        assert ((await run.drive(build))["outcome"], done(team)) == ("done", [1, 1, 1])
        rows = await run.database.execute("SELECT id FROM run_checkpoints")
        assert [c.checkpoint["id"] async for c in Checkpoints(run.database).alist(run.config)][1:] == [
            found.checkpoint["id"]
        ]
        assert len(rows) == 2


def test_an_older_state_is_brought_up_to_date_and_a_newer_one_waits_for_its_build() -> None:
    old = {"id": "r", "request": "hi", "round": 1, "plan": []}
    new = upcast(old)
    assert (new["schema_version"], new["gaps"], new["unread"], new["round"]) == (SCHEMA_VERSION, [], [], 1)
    with pytest.raises(Postponed, match="needs a newer build"):
        upcast({"schema_version": NEWEST + 1})


async def test_a_run_with_an_older_state_goes_on(start_team: Any, run_on: Any, url: str) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build, before="gate")
        rows = await run.database.execute("SELECT id, body FROM run_checkpoints")
        for row in rows:
            body = row["body"].replace('"schema_version": 1, ', "").replace('"unread": [], ', "")
            await run.database.execute("UPDATE run_checkpoints SET body = ? WHERE id = ?", body, row["id"])
        state = await run.drive(build)
        assert (state["outcome"], state["schema_version"], done(team)) == ("done", SCHEMA_VERSION, [1, 1, 1])


@pytest.mark.parametrize(
    ("what", "becomes", "why"),
    [
        ("body", "'torn'", "is damaged"),
        ("notes", "'['", "is damaged"),
        ("body", "replace(body, '\"checkpoint\": ', '\"other\": ')", "is damaged"),
        ("body", "replace(body, '\"versions_seen\": ', '\"other\": ')", "is damaged"),
        ("body", "replace(body, '\"actions\": ', '\"other\": ')", "its state lacks actions"),
        (
            "body",
            "replace(body, '\"schema_version\": 1', '\"schema_version\": null')",
            "schema None.*damaged",
        ),
        ("body", "replace(body, '\"format\": 1', '\"format\": 9')", "format 9.*needs a newer build"),
    ],
)
async def test_a_run_whose_checkpoint_cannot_be_read_is_put_back_with_the_reason(
    start_team: Any, run_on: Any, url: str, what: str, becomes: str, why: str
) -> None:
    async with start_team() as team, run_on(team, url, "paint t1 red") as run:
        await run.drive(build, before="gate")
        kept = await run.database.execute(f"SELECT id, {what} AS was FROM run_checkpoints")
        await run.database.execute(f"UPDATE run_checkpoints SET {what} = {becomes}")
        with pytest.raises(Postponed, match=why):
            await run.drive(build)
        for row in kept:
            await run.database.execute(
                f"UPDATE run_checkpoints SET {what} = ? WHERE id = ?", row["was"], row["id"]
            )
        assert ((await run.drive(build))["outcome"], done(team)) == ("done", [1, 1, 1])


async def test_a_question_that_waits_in_a_node_that_is_gone_is_still_put_and_answered(
    start_team: Any, run_on: Any, url: str
) -> None:
    async def asks(subtask: Subtask, job: Job) -> Finding:
        if subtask.skill == "order-status":
            return Finding(facts={"seen": True}, reply="I looked.")
        await job.tools.call("look_at", thing_id="t1")
        colour = await job.ask("Which colour?")
        proposal = Proposal(action="paint", arguments={"thing_id": "t1", "colour": colour}, evidence=EVIDENCE)
        return Finding(reply="It can be painted.", proposals=[proposal])

    async with start_team(orders=asks) as team, run_on(team, url, "paint t1 red") as run:
        assert "__interrupt__" in await run.drive(build)
        state = await run.drive(next_build)
        asked = put(state)
        assert asked is not None
        run.drive_with = replace(run.drive_with, said=Said(asked.id, "red"))
        state = await run.drive(next_build)
        assert (state["outcome"], done(team)) == ("done", [1, 1, 1])
