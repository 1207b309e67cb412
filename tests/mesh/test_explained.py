"""Why a run came to what it came to, read by an operator: who was asked and why, on what, what the tools said, and who was believed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from meshwright.agent import Job
from meshwright.database import Database, open_database
from meshwright.deadline import Deadline
from meshwright.findings import Claim, Evidence, Finding, Gap, Proposal, Split, Subtask
from meshwright.records.chain import tree, why
from meshwright.records.decision import digest
from meshwright.testing import lifespan_of
from orchestrator.inquiry import FLOOR, ask
from orchestrator.server import orchestrator_app

EVIDENCE = [Evidence(source="tool:workshop.look_at", quote="thing")]
#: Two paintings of one thing exclude each other, and whoever was asked for `order-change` has the say.
ONE_PAINTING = """
targets = ["thing_id"]
actions = ["authority"]
[owners]
paint = ["order-change"]
"""


async def newest(team: Any) -> str:
    found: str = (await team.operator("GET", "/runs")).json()["runs"][0]["id"]
    return found


async def chain_of(team: Any, run: str = "") -> dict[str, Any]:
    answer = await team.operator("GET", f"/runs/{run or await newest(team)}/chain")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def only(chain: dict[str, Any], kind: str, **said: Any) -> list[dict[str, Any]]:
    return [
        row
        for row in chain["decisions"]
        if row["kind"] == kind and all(row.get(name) == value for name, value in said.items())
    ]


async def a_painter(subtask: Subtask, job: Job) -> Finding:
    """Proposes what the words say, and has looked at the thing."""
    thing, colour = subtask.details["thing"]
    await job.tools.call("look_at", thing_id=thing)
    paint = Proposal(action="paint", arguments={"thing_id": thing, "colour": colour}, evidence=EVIDENCE)
    return Finding(reply="It can be painted.", proposals=[paint])


async def test_the_five_things_that_must_be_known_of_a_run_are_in_its_chain(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
    assert chain["missing"] == []
    assert chain["intact"] is True
    # who was asked, and why, and why not the others
    (route,) = only(chain, "route", subtask="paint")
    assert (route["selected"], route["reason"]) == ("Orders", "offers order-change")
    assert [(one["name"], one["score"], one.get("why_not")) for one in route["options"]] == [
        ("Orders", 1, None),
        ("Standby", 2, "it only stands in"),
    ]
    # what it was told, and what not
    assert [(one["key"], one["source"]) for one in route["passed"]] == [
        *(("request", "request"), ("instruction", "split"), ("details.thing", "split")),
        ("facts.look", "finding:look"),
    ]
    assert route["passed"][0]["bytes"] == len("paint t1 red")
    assert [(one["key"], one["why"]) for one in route["omitted"]] == [("rest.look", "relevance")]
    # which tools were called, with what, and what they returned
    (read,) = only(chain, "tool_call")
    assert (read["agent"], read["call"]["tool"]) == ("orders", "look_at")
    assert (read["call"]["arguments"], read["call"]["result"]) == (
        {"thing_id": "t1"},
        {"thing_id": "t1", "price": 10},
    )
    # the verdict on what facts, and the effect
    (gate,) = only(chain, "gate", selected="paint")
    assert (gate["outcome"], gate["policy"]) == ("allow", "painting")
    assert gate["more"]["facts"]["thing"] == {
        "tool": "look_at",
        "told": {"price": 10},
        "keyed": read["call"]["keyed"],
    }
    (effect,) = only(chain, "effect", selected="paint")
    assert (effect["outcome"], effect["parent"], effect["action"]) == ("applied", gate["id"], gate["action"])
    # the whole chain, across all hops, under one id
    assert {row["correlation"] for row in chain["decisions"]} == {chain["run"]["correlation"]}
    assert {row["run"] for row in chain["decisions"]} == {chain["run"]["id"]}
    assert {row["agent"] for row in chain["decisions"]} == {"orchestrator", "triage", "orders", "aggregator"}
    roots = tree(chain["decisions"])
    assert [root.decision["kind"] for root in roots] == ["plan", "final"]


async def test_each_call_answers_to_one_decision_and_what_was_done_says_what_it_follows_from(
    start_team: Any,
) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
        run = chain["run"]["id"]
        (effect,) = only(chain, "effect", selected="paint")
        found = await team.operator("GET", f"/actions/{effect['action']}")
        assert found.json() == {"action": effect["action"], "run": run}
        assert (await team.operator("GET", "/actions/none")).status_code == 404
        assert (await team.operator("GET", "/actions/x", name="orders")).status_code == 403
        assert (await team.operator("GET", "/runs/none/chain")).status_code == 404
        assert (await team.operator("GET", f"/runs/{run}/chain", name="orders")).status_code == 403
    told = [(row["kind"], row["agent"]) for row in why(chain["decisions"], effect["action"])]
    assert ("tool_call", "orders") in told
    assert [kind for kind, agent in told if agent == "orchestrator"] == [
        *("plan", "route", "agent_call", "route", "agent_call", "gate", "effect")
    ]
    assert len(only(chain, "agent_call")) == len({row["remote"] for row in only(chain, "agent_call")}) == 4
    assert [row["outcome"] for row in only(chain, "final")] == ["done"]


async def test_of_whom_nobody_was_asked_for_want_of_time_it_is_not_said_that_another_came_first(
    start_team: Any, run_on: Any, tmp_path: Path
) -> None:
    look = Subtask(id="look", skill="order-status", instruction="look at it")
    async with start_team() as team, run_on(team, f"sqlite:///{tmp_path}/run.db", "paint t1 red") as run:
        await ask(run.drive_with, look, Deadline.after(FLOOR / 2), parent="", context=lambda told: None)
        (route,) = run.drive_with.minutes.open
    assert {(option.name, option.why_not) for option in route.options} == {
        ("Orders", "no time was left"),
        ("Standby", "no time was left"),
    }


async def test_a_wrong_answer_of_one_who_stood_in_shows_who_should_have_answered_and_why_not(
    start_team: Any,
) -> None:
    async def breaks(subtask: Subtask, job: Job) -> Finding:
        raise RuntimeError("no")

    async def guesses(subtask: Subtask, job: Job) -> Finding:
        return Finding(reply="It is green already.")

    async with start_team(orders=breaks, standby=guesses) as team:
        report = await team.report("paint t1 red")
        chain = await chain_of(team)
    assert "It is green already." in report["reply"]
    (route,) = only(chain, "route", subtask="paint")
    assert (route["outcome"], route["selected"]) == ("stand-in", "Standby")
    assert route["options"][0]["name"] == "Orders"
    assert "INTERNAL" in route["options"][0]["why_not"] or "internal" in route["options"][0]["why_not"]
    assert set(route["more"]["degraded"]) >= {"stand-in"}
    assert {(row["selected"], row["outcome"]) for row in only(chain, "agent_call", subtask="paint")} == {
        ("Orders", "failed"),
        ("Standby", "answered"),
    }
    (final,) = only(chain, "final")
    assert "stand-in" in final["more"]["degraded"]


async def disagree(team_of: Any, tmp_path: Any, table: str, words: str) -> dict[str, Any]:
    """The chain of a run in which two agents want one thing in two colours."""

    async def split(subtask: Subtask, job: Job) -> Split:
        thing = subtask.instruction.split()[1:]
        parts = [
            Subtask(id=name, skill=name, instruction="do it", details={"thing": thing})
            for name in ("order-change", "x")
        ]
        return Split(
            topic="paint",
            subtasks=[parts[0], parts[1].model_copy(update={"id": "other", "skill": "order-status"})],
        )

    async def painter(subtask: Subtask, job: Job) -> Finding:
        if subtask.skill != "order-status":
            return await a_painter(subtask, job)
        thing, _ = subtask.details["thing"]
        await job.tools.call("look_at", thing_id=thing)
        paint = Proposal(
            action="paint",
            arguments={"thing_id": thing, "colour": "black"},
            evidence=EVIDENCE,
            confidence=0.5,
        )
        return Finding(proposals=[paint], claims=[Claim(text="black", about="thing:t1", value="black")])

    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "conflicts.toml").write_text(table)
    async with team_of(triage=split, orders=painter) as team:
        await team.ask(words, hears=True)
        return await chain_of(team)


async def test_a_disagreement_shows_both_sides_and_which_was_believed_and_why(
    start_team: Any, tmp_path: Any
) -> None:
    chain = await disagree(start_team, tmp_path, ONE_PAINTING, "paint t1 red")
    (conflict,) = only(chain, "resolve_conflict")
    assert (conflict["outcome"], conflict["strategy"], conflict["selected"]) == (
        "chosen",
        "authority",
        "orders: paint",
    )
    sides = {side["arguments"]["colour"]: side for side in conflict["sides"]}
    assert sides["red"]["chosen"] is True
    assert "chosen" not in sides["black"]
    assert sides["black"]["confidence"] == 0.5
    assert sides["black"]["evidence"] == ["tool:workshop.look_at"]
    (merge,) = only(chain, "agent_call", subtask="merge")
    assert conflict["parent"] == merge["id"]
    (done,) = only(chain, "effect", selected="paint")
    assert done["action"] in conflict["more"]["actions"]
    assert conflict in why(chain["decisions"], done["action"])


async def test_what_nobody_settled_shows_both_sides_at_the_verdict_and_who_it_waits_for(
    start_team: Any, tmp_path: Any
) -> None:
    chain = await disagree(start_team, tmp_path, 'targets = ["thing_id"]\n', "paint t1 red")
    (conflict,) = only(chain, "resolve_conflict")
    assert (conflict["outcome"], conflict["strategy"]) == ("open", "person")
    assert len(conflict["sides"]) == 2
    assert {row["outcome"] for row in only(chain, "gate", selected="paint")} == {"review"}
    assert chain["intact"] is None, "it has not ended"


async def test_a_review_the_next_day_is_part_of_the_chain_with_who_said_what(start_team: Any) -> None:
    async with start_team(operators=("operator", "ann")) as team:
        await team.ask("paint t2 gold", hears=True)
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        reborn = orchestrator_app(team.settings, team.ring.identity("orchestrator"), team.mesh.client())
        team.mesh.apps["http://orchestrator"] = reborn
        async with lifespan_of(reborn):
            while (await team.operator("GET", "/readyz")).status_code != 200:
                await asyncio.sleep(0)
            yes = {"decision": "approve", "reason": "it suits the hall"}
            assert (
                await team.operator("POST", f"/reviews/{review['id']}", name="ann", json=yes)
            ).status_code == 200
            while (await team.operator("GET", f"/runs/{review['run']}")).json()["outcome"] == "waiting":
                await asyncio.sleep(0)
            chain = await chain_of(team)
    before, after = only(chain, "gate", selected="paint")
    (said,) = only(chain, "review")
    assert (said["outcome"], said["person"], said["reason"]) == ("approve", "ann", "it suits the hall")
    assert said["source"] == "person"
    assert (before["outcome"], before["reason"], after["outcome"]) == ("review", "it is expensive", "allow")
    (effect,) = only(chain, "effect", selected="paint")
    assert [said["parent"], after["parent"], effect["parent"]] == [before["id"], said["id"], after["id"]]
    assert (effect["person"], said["correlation"]) == ("ann", chain["run"]["correlation"])
    assert review["decision"] == before["id"]
    assert chain["intact"] is True


async def test_an_edit_and_a_refusal_say_who_and_what_was_changed(start_team: Any) -> None:
    async with start_team(operators=("operator", "ann")) as team:
        await team.ask("paint t2 gold", hears=True)
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        word = {"decision": "edit", "reason": "silver", "arguments": {"thing_id": "t2", "colour": "silver"}}
        assert (
            await team.operator("POST", f"/reviews/{review['id']}", name="ann", json=word)
        ).status_code == 200
        while not (waiting := (await team.operator("GET", "/reviews")).json()["reviews"]):
            await asyncio.sleep(0)
        no = {"decision": "reject", "reason": "no silver either"}
        await team.operator("POST", f"/reviews/{waiting[0]['id']}", json=no)
        while (await team.operator("GET", f"/runs/{review['run']}")).json()["outcome"] == "waiting":
            await asyncio.sleep(0)
        chain = await chain_of(team)
    edit, refusal = only(chain, "review")
    assert edit["more"]["edited"]["colour"] == "silver"
    assert edit["more"]["before"]["colour"] == "gold"
    assert edit["more"]["became"] == waiting[0]["id"] == refusal["action"]
    assert (refusal["outcome"], refusal["person"]) == ("reject", "operator")
    told = why(chain["decisions"], waiting[0]["id"])
    assert [row["id"] for row in told if row["kind"] == "review"] == [edit["id"], refusal["id"]]
    assert "agent_call" in {row["kind"] for row in told}


async def test_a_part_that_nobody_can_do_and_one_that_lacks_what_it_needs_are_decisions_too(
    start_team: Any,
) -> None:
    async def split(subtask: Subtask, job: Job) -> Split:
        look = Subtask(id="look", skill="order-status", instruction="look", critical=True)
        paint = Subtask(id="paint", skill="order-change", instruction="paint", needs=["look"])
        return Split(
            subtasks=[look, paint, Subtask(id="fly", skill="flying", instruction="fly")], unread=["hm"]
        )

    async def knows_nothing(subtask: Subtask, job: Job) -> Finding:
        return Finding(gaps=[Gap(what="look", why="it is dark")])

    async with start_team(triage=split, orders=knows_nothing) as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
    (plan,) = only(chain, "plan")
    assert plan["more"]["unread"] == {"pieces": 1, "characters": 2}
    assert [part["id"] for part in plan["more"]["parts"]] == ["look", "fly", "paint"]
    (lacks,) = only(chain, "route", subtask="paint")
    assert (lacks["outcome"], lacks["reason"]) == ("gap", "it needs look, which was not answered")
    (stood_in,) = only(chain, "route", subtask="fly")
    assert stood_in["selected"] == "Standby"


async def test_facts_about_a_person_are_left_out_where_a_part_does_not_need_them(start_team: Any) -> None:
    async def split(subtask: Subtask, job: Job) -> Split:
        first = Subtask(id="who", skill="order-status", instruction="who is it")
        second = Subtask(id="paint", skill="order-change", instruction="paint it")
        return Split(
            subtasks=[
                first,
                second.model_copy(update={"needs": ["other"]}),
                first.model_copy(update={"id": "other"}),
            ]
        )

    async def knows(subtask: Subtask, job: Job) -> Finding:
        facts = {"customer": {"email": "ada@example.org"}} if subtask.id == "who" else {"seen": True}
        return Finding(reply="I know.", facts=facts)

    async with start_team(triage=split, orders=knows) as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
    (route,) = only(chain, "route", subtask="paint")
    left_out = {one["key"]: one["why"] for one in route["omitted"]}
    assert left_out == {"finding.who": "personal", "rest.other": "relevance"}
    assert "ada@example.org" not in str(chain["decisions"])


async def test_the_row_of_a_run_that_has_ended_cannot_be_changed_unseen(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
        (route,) = only(chain, "route", subtask="paint")
        database = await open_database(team.settings.database_of("orchestrator"))
        await changed(database, route["id"], "Orders", "Aliens")
        assert (await chain_of(team))["intact"] is False
        await changed(database, route["id"], "Aliens", "Orders")
        assert (await chain_of(team))["intact"] is True
        await database.execute("DELETE FROM decisions WHERE id = ?", route["id"])
        assert (await chain_of(team))["intact"] is False
        await database.close()


async def changed(database: Database, row: str, old: str, new: str) -> None:
    """A row that somebody changes with care: its digest is right."""
    (found,) = await database.execute("SELECT body FROM decisions WHERE id = ?", row)
    body = found["body"].replace(old, new)
    await database.execute("UPDATE decisions SET body = ?, digest = ? WHERE id = ?", body, digest(body), row)
