"""The gate in a run: who proposes is what the orchestrator knows, what people approved is judged once more, facts are asked once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import Runtime

from meshwright.agent import Job
from meshwright.extension import canonical
from meshwright.findings import Evidence, Finding, Proposal, Subtask
from meshwright.policy import Policy
from orchestrator.apply import apply, carry_out
from orchestrator.gate import _entry, action_key, gate, judge, open_ends
from orchestrator.work import Work

EVIDENCE = [Evidence(source="tool:workshop.look_at", quote="thing")]
PLAN = [{"id": "paint", "skill": "order-change", "instruction": "paint", "needs": [], "critical": False}]


def paint(thing: str, colour: str = "red", **more: Any) -> dict[str, Any]:
    arguments = {"thing_id": thing, "colour": colour}
    return Proposal(action="paint", arguments=arguments, evidence=EVIDENCE, **more).model_dump(mode="json")


def state_of(run: Any, *proposals: dict[str, Any], **more: Any) -> Work:
    state: Any = {**run.fresh, "plan": PLAN, "resolution": {"proposals": list(proposals)}, **more}
    return state  # type: ignore[no-any-return]


def row(run: Any, proposal: dict[str, Any], state: str, **more: Any) -> dict[str, Any]:
    key = action_key(run.fresh["id"], Proposal.model_validate(proposal))
    return {"key": key, "proposal": proposal, "verdict": {"decision": "review"}, "state": state, **more}


async def judged(run: Any, state: Work) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await gate(state, Runtime(context=run.drive_with)))["actions"]
    return rows


@pytest.fixture
def where(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/gate.db"


async def test_a_row_says_what_moves_and_who_said_it(start_team: Any, run_on: Any, where: str) -> None:
    async with start_team() as team, run_on(team, where, "paint t1 red") as run:
        (found,) = await judged(
            run, state_of(run, paint("t1", "blue", proposed_by="orders", subtask="paint"))
        )
        assert (found["state"], found["provenance"]) == ("open", {"thing_id": "customer", "colour": "agent"})


async def test_the_same_fact_is_asked_for_once(start_team: Any, run_on: Any, where: str) -> None:
    asked = []
    async with start_team() as team, run_on(team, where, "paint t1 red") as run:
        look_at = team.workshop.prices.__class__

        class Prices(look_at):  # type: ignore[misc, valid-type]
            def __getitem__(self, name: str) -> int:
                asked.append(name)
                price: int = super().__getitem__(name)
                return price

        team.workshop.prices = Prices(team.workshop.prices)
        rows = await judged(run, state_of(run, paint("t1", "red"), paint("t1", "blue"), paint("t2")))
        assert [found["state"] for found in rows] == ["open", "open", "waiting"]
    assert sorted(asked) == ["t1", "t2"]


async def test_what_people_approved_is_applied_if_it_still_may_be(
    start_team: Any, run_on: Any, where: str
) -> None:
    async with start_team() as team, run_on(team, where, "paint t2 red") as run:
        approved = row(run, paint("t2"), "approved", approved_by=["ann"])
        (found,) = await judged(run, state_of(run, actions=[approved]))
        assert (found["state"], found["verdict"]["decision"]) == ("open", "apply")
        state = state_of(run, actions=[approved], unread=["and the rest"])
        (found,) = await judged(run, state)
        assert found["state"] == "rejected"
        assert found["why"] == "approved by ann, and then not possible any more: not all was understood"


@pytest.mark.parametrize(
    ("names", "enough"),
    [([], 1), (["orders"], 1), (["ann"], 0), ("ann", 0), (["ann", "ann"], 0), (["ann", "orders"], 0)],
)
async def test_only_different_people_count_and_not_who_proposed_it(
    start_team: Any, run_on: Any, where: str, names: Any, enough: int
) -> None:
    async with start_team() as team, run_on(team, where, "paint t2 red") as run:
        proposal = paint("t2", proposed_by="orders")
        (found,) = await judged(
            run, state_of(run, actions=[row(run, proposal, "approved", approved_by=names)])
        )
        assert (found["state"], found["verdict"]["approvals"]) == ("waiting" if enough else "open", enough)
        team.workshop.prices["t2"] = 5000
        (found,) = await judged(
            run, state_of(run, actions=[row(run, proposal, "approved", approved_by=names)])
        )
        assert (found["state"], found["verdict"]["approvals"]) == ("waiting", 2)


async def test_what_other_rules_let_through_is_judged_again_before_it_is_applied(
    start_team: Any, run_on: Any, where: str
) -> None:
    """Who takes a run over between gate and effect may have been started with another policy, which is there to stop just this."""
    async with start_team() as team, run_on(team, where, "paint t1 red") as run:
        drive = run.drive_with
        state = state_of(run, paint("t1"))
        state["actions"] = await judged(run, state)
        assert [found["state"] for found in state["actions"]] == ["open"]
        rules = team.settings.policy / "team.cedar"
        stop = '@id("stop") @source("s") @why("painting is stopped") forbid (principal, action == Action::"paint", resource);'
        rules.write_text(f"{rules.read_text()}\n{stop}")
        stricter = Runtime(context=replace(drive, policy=Policy.load(team.settings.policy)))
        (found,) = (await apply(state, stricter))["actions"]
        assert (found["state"], found["verdict"]["why"]) == ("rejected", "painting is stopped")
        assert team.workshop.actions("paint") == []
        # what was begun under the old rules may have happened: its outcome is asked for, not its right
        assert (await carry_out(drive, state["actions"][0], drive.by))["state"] == "applied"
        (found,) = (await apply(state, stricter))["actions"]
        assert found["state"] == "applied"
        assert len(team.workshop.actions("paint")) == 1


async def test_people_are_not_asked_any_more_about_what_whoever_took_over_rejects(
    start_team: Any, run_on: Any, where: str
) -> None:
    """Who had put it before people died before that was kept in the run; and meanwhile it is not possible any more."""
    async with start_team() as team, run_on(team, where, "paint t2 red") as run:
        (found,) = await judged(run, state_of(run, paint("t2")))
        assert found["state"] == "waiting"
        (found,) = await judged(run, state_of(run, paint("t2"), unread=["and the rest"]))
        assert found["state"] == "rejected"
        review = await run.drive_with.reviews.one(found["key"])
        assert (review["state"], review["reason"]) == ("withdrawn", "not all was understood")


@pytest.mark.parametrize("said", [None, 1, 500])
async def test_people_see_what_moves_as_the_gate_has_seen_it_and_not_as_an_agent_says(
    start_team: Any, run_on: Any, where: str, said: int | None
) -> None:
    async with start_team() as team, run_on(team, where, "paint t2 red") as run:
        (found,) = await judged(run, state_of(run, paint("t2", amount=said)))
        assert (await run.drive_with.reviews.one(found["key"]))["amount"] == 500


@pytest.mark.parametrize("before", ["open", "waiting", "applied", "refused", "unknown", "rejected"])
async def test_what_has_its_verdict_is_not_judged_again(
    start_team: Any, run_on: Any, where: str, before: str
) -> None:
    async with start_team() as team, run_on(team, where, "paint t2 red") as run:
        old = row(run, paint("t2"), before, approved_by=["ann"])
        assert await judged(run, state_of(run, paint("t2"), actions=[old])) == [old]


async def test_who_proposes_is_what_the_orchestrator_knows_and_not_what_an_agent_says(
    start_team: Any,
) -> None:
    async def pretender(subtask: Subtask, job: Job) -> Finding:
        if subtask.skill == "order-status":
            return Finding(agent="orchestrator", facts={"seen": True})
        await job.tools.call("look_at", thing_id="t1")
        lies = {"proposed_by": "orchestrator", "subtask": "another"}
        arguments = {"thing_id": "t1", "colour": "red"}
        proposal = Proposal(action="paint", arguments=arguments, evidence=EVIDENCE, **lies)
        closing = Proposal(
            action="close", arguments={"ticket_id": "t", "outcome": "done"}, evidence=EVIDENCE, **lies
        )
        return Finding(agent="orchestrator", reply="Done.", proposals=[proposal, closing])

    async with start_team(orders=pretender) as team:
        report = await team.report("paint t1 red")
        verdicts = {verdict["action"]: verdict for verdict in report["verdicts"]}
        assert {verdict["proposed_by"] for verdict in verdicts.values()} == {"orders"}
        assert verdicts["close"]["decision"] == "reject"
        assert team.workshop.actions("close") == []


async def test_what_a_person_has_edited_is_within_what_that_agent_may_propose(
    start_team: Any, run_on: Any, where: str
) -> None:
    async with start_team() as team, run_on(team, where, "paint t1 red") as run:
        edited = paint("t1", "green", proposed_by="ann", subtask="paint")
        kept = row(
            run, edited, "approved", approved_by=[], provenance={"thing_id": "customer", "colour": "person"}
        )
        finding = Finding(agent="orders", subtask="paint").model_dump(mode="json")
        (found,) = await judged(run, state_of(run, actions=[kept], findings={"paint": finding}))
        assert (found["state"], found["provenance"]) == ("open", {"thing_id": "customer", "colour": "person"})


async def test_a_verdict_in_the_audit_log_holds_no_word_of_the_customer(
    start_team: Any, run_on: Any, where: str
) -> None:
    async with start_team() as team, run_on(team, where, "paint t1 red") as run:
        proposal = Proposal.model_validate(paint("t1", "secret colour"))
        policy = run.drive_with.policy
        judgement = policy.decide("paint", {"proposal": proposal.arguments, "agent": "orders"}, {})
        entry = _entry(run.fresh["id"], proposal, judgement, policy, 1)
        assert (entry.kind, entry.actor, entry.run) == ("gate.verdict", "orchestrator", run.fresh["id"])
        assert entry.once == f"gate.verdict:{entry.action}:1:{entry.body['decision']}"
        assert "secret" not in canonical(entry.body)
        assert json.loads(canonical(entry.body))["rules"] == policy.digest
        verdict, _ = await judge(run.drive_with, state_of(run), proposal)
        assert verdict.decision == "apply"


@pytest.mark.parametrize(
    ("skill", "held"),
    [("order-return", ["send it back"]), ("order-status", []), ("skill-of-nobody", ["send it back"])],
)
async def test_a_part_that_nobody_is_known_for_counts_as_an_open_end(
    start_team: Any, run_on: Any, where: str, skill: str, held: list[str]
) -> None:
    gap = {"what": "send it back", "why": "nobody offers it", "subtask": "back"}
    plan = [*PLAN, {**PLAN[0], "id": "back", "skill": skill}]

    async def returns(subtask: Subtask, job: Job) -> Finding:
        return Finding()

    async with start_team(returns=returns) as team, run_on(team, where, "paint t1 red") as run:
        for state in (
            state_of(run, gaps=[gap], plan=plan),
            state_of(run, gaps=[{**gap, "subtask": ""}], plan=plan),
        ):
            assert open_ends(run.drive_with, state) == (held if state["gaps"][0]["subtask"] else [])
        assert open_ends(run.drive_with, state_of(run, gaps=[gap], plan=PLAN)) == ["send it back"]
