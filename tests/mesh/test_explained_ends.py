"""However a run ends, its last decision says so, nothing that was decided is lost, and the audit log holds what it was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from meshwright.agent import Job
from meshwright.database import open_database
from meshwright.findings import Finding, Subtask

Rows = list[dict[str, Any]]


async def chain_of(team: Any) -> dict[str, Any]:
    (run, *_) = (await team.operator("GET", "/runs")).json()["runs"]
    found: dict[str, Any] = (await team.operator("GET", f"/runs/{run['id']}/chain")).json()
    return found


def only(chain: dict[str, Any], kind: str) -> Rows:
    return [row for row in chain["decisions"] if row["kind"] == kind]


async def sealed(team: Any, run: str) -> dict[str, Any]:
    """What the audit log holds of the end of a run; it stands there once."""
    database = await open_database(team.settings.database_of("orchestrator"))
    rows = await database.execute("SELECT payload FROM audit_log WHERE kind = 'run.ended' AND run = ?", run)
    await database.close()
    (row,) = rows
    found: dict[str, Any] = json.loads(row["payload"])
    return found


async def call(team: Any, method: str, **params: Any) -> dict[str, Any]:
    token = team.ring.signer("operator").token("orchestrator")
    headers = {"a2a-version": "1.0", "authorization": f"Bearer {token}"}
    document = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with team.mesh.client() as client:
        answer = await client.post("http://orchestrator/", json=document, headers=headers)
    found: dict[str, Any] = answer.json()["result"]
    return found


async def test_a_run_that_is_done_ends_with_one_decision(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
        held = await sealed(team, chain["run"]["id"])
    (final,) = only(chain, "final")
    assert (final["outcome"], final["more"]["actions"], final["more"]["parts"]) == ("done", {"applied": 1}, 2)
    own = [row for row in chain["decisions"] if row["task"] == chain["run"]["task_id"]]
    assert (held["outcome"], held["decisions"]) == ("done", len(own))


async def test_what_a_request_was_not_answered_for_is_the_reason_of_its_end(start_team: Any) -> None:
    async with start_team() as team:
        said = []
        for request in ("sing me a song", "paint t1 red"):
            await team.report(request)
            said += [row["reason"] for row in only(await chain_of(team), "final")]
        team.mesh.down.add("http://orders")
        await team.report("paint t1 blue")
        said += [row["reason"] for row in only(await chain_of(team), "final")]
    assert said[:2] == ["1 piece was not understood", "everything was answered"]
    assert said[2].startswith("2 things are missing: stands in: Orders: cannot be reached")


async def test_a_run_that_its_client_cancels_ends_with_its_reviews(start_team: Any) -> None:
    async with start_team() as team:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "paint t2 gold"}]}
        task = (await call(team, "SendMessage", message=message))["task"]
        await call(team, "CancelTask", id=task["id"])
        chain = await chain_of(team)
        held = await sealed(team, chain["run"]["id"])
    (final,), (review,) = only(chain, "final"), only(chain, "review")
    assert (final["outcome"], final["reason"], held["outcome"]) == (
        "canceled",
        "the client cancelled it",
        "canceled",
    )
    assert (review["outcome"], review.get("person")) == ("withdrawn", None)
    report = chain["run"]["report"]
    assert (report["outcome"], report["why"]) == ("canceled", "the client cancelled it")
    assert [row["state"] for row in report["verdicts"]] == ["called-off"]
    assert chain["intact"] is True


async def test_a_run_whose_task_fails_over_it_ends_with_its_task(start_team: Any) -> None:
    async with start_team(operators=("operator", "ann")) as team:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "paint t2 gold"}]}
        task = (await call(team, "SendMessage", message=message))["task"]
        database = await open_database(team.settings.database_of("orchestrator"))
        damaged = 'replace(body, \'"topic": "paint"\', \'"topic": 5\')'
        await database.execute(f"UPDATE run_checkpoints SET body = {damaged}")
        await database.close()
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        word = {"decision": "approve", "hash": review["hash"]}
        await team.operator("POST", f"/reviews/{review['id']}", name="ann", json=word)
        while task["status"]["state"] != "TASK_STATE_FAILED":
            task = await call(team, "GetTask", id=task["id"])
        chain = await chain_of(team)
        held = await sealed(team, chain["run"]["id"])
    (final,) = only(chain, "final")
    assert (chain["run"]["state"], final["outcome"], held["outcome"]) == ("failed", "failed", "failed")
    assert final["reason"].startswith("internal error; the log of orchestrator has it under")
    assert chain["intact"] is True


async def test_what_was_underway_when_the_time_was_up_is_told(start_team: Any) -> None:
    async def hangs(subtask: Subtask, job: Job) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async with start_team(orders=hangs, standby=hangs) as team:
        report = await team.report("paint t1 red", seconds=1.5)
        chain = await chain_of(team)
    assert report["outcome"] == "escalated"
    assert {row["subtask"] for row in only(chain, "route")} >= {"split", "look"}
    calls = [row for row in only(chain, "agent_call") if row["subtask"] == "look"]
    assert {row["outcome"] for row in calls} <= {"timed-out", "called-off"}
    assert calls
    (final,) = only(chain, "final")
    assert final["outcome"] == "escalated"
    assert chain["intact"] is True


async def test_a_plan_that_takes_too_long_is_one_that_was_called_off_or_unread(start_team: Any) -> None:
    async def hangs(subtask: Subtask, job: Job) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async with start_team(triage=hangs) as team:
        await team.report("paint t1 red", seconds=1.5)
        chain = await chain_of(team)
    (plan,), (route,) = only(chain, "plan"), only(chain, "route")
    assert plan["outcome"] in ("called-off", "unread")
    assert route["parent"] == plan["id"]
    assert chain["intact"] is True


async def test_a_request_that_there_is_no_room_for_says_so_in_its_chain(start_team: Any) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def holds_the_place(subtask: Subtask, job: Job) -> Finding:
        began.set()
        await go_on.wait()
        return Finding(reply="I looked.", facts={"seen": True})

    async with start_team(at_once=1, orders=holds_the_place) as team:
        first = asyncio.ensure_future(team.report("paint t1 red"))
        await began.wait()
        report = await team.report("paint t1 blue", seconds=4)  # told after four fifths of it
        chain = await chain_of(team)
        go_on.set()
        await first
    assert "too much is asked" in report["reply"]
    assert chain["run"]["request"] == "paint t1 blue"
    assert {row["kind"] for row in chain["decisions"]} == {"gate", "effect", "final"}
    (final,) = only(chain, "final")
    assert final["more"]["degraded"] == ["overloaded"]
    assert {row["parent"] for row in only(chain, "gate")} == {final["id"]}
    assert chain["intact"] is True


async def test_who_gets_less_than_their_share_of_the_money_is_said_with_how_much_it_was(
    start_team: Any,
) -> None:
    async with start_team() as team:
        await team.report("paint t1 red", tokens=1)
        chain = await chain_of(team)
    refused = [row for row in only(chain, "budget") if row["agent"] == "orchestrator"]
    assert {(row["selected"], row["outcome"]) for row in refused} >= {
        ("Triage", "refused"),
        ("Orders", "refused"),
    }
    assert all("spent or held" in row["reason"] for row in refused), (
        "of an agent that never answered it is held"
    )
    routes = {row["id"] for row in only(chain, "route")}
    assert {row["parent"] for row in refused} <= routes
    assert chain["run"]["state"] == "done", "a playbook needs none"
