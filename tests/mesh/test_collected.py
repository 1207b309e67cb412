"""What agents tell of their decisions is asked for, held against what they said before, and kept; what is not to be had is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse

from meshwright.agent import Job
from meshwright.database import open_database
from meshwright.findings import Finding, Subtask
from meshwright.records.chain import tree
from meshwright.records.decision import Decision, digest

Rows = list[dict[str, Any]]


async def newest(team: Any) -> str:
    found: str = (await team.operator("GET", "/runs")).json()["runs"][0]["id"]
    return found


async def chain_of(team: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await team.operator("GET", f"/runs/{await newest(team)}/chain")).json()
    return found


def told_by(chain: dict[str, Any], agent: str) -> Rows:
    return [row for row in chain["decisions"] if row["agent"] == agent]


class Liar:
    """An agent whose `/decisions` are what `tells` makes of the true ones; else it is what it was."""

    def __init__(self, app: Any, tells: Callable[[Rows], Any]) -> None:
        self.app, self.tells = app, tells
        #: How often it was asked.
        self.asked = 0

    @property
    def state(self) -> Any:
        return self.app.state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/decisions":
            await self.app(scope, receive, send)
            return
        self.asked += 1
        body = bytearray()

        async def keep(message: Any) -> None:
            body.extend(message.get("body", b""))

        await self.app(scope, receive, keep)
        rows = json.loads(body)["decisions"]
        answer = self.tells(rows)
        document = answer if isinstance(answer, dict) else {"agent": "orders", "decisions": answer}
        await JSONResponse(document)(scope, receive, send)


async def lied_to(team: Any, tells: Callable[[Rows], Any]) -> dict[str, Any]:
    """The chain of a run, one agent of which tells lies of it afterwards."""
    await team.report("paint t1 red")
    team.mesh.apps["http://orders"] = Liar(team.mesh.apps["http://orders"], tells)
    return await chain_of(team)


def sealed(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A row with other contents, and the digest that these have."""
    body = {**{name: value for name, value in row.items() if name != "digest"}, **changes}
    decision = Decision.model_validate(body)
    return {**json.loads(decision.row()), "digest": digest(decision.row())}


async def test_what_agents_told_of_a_run_that_has_ended_is_kept_for_when_they_are_gone(
    start_team: Any,
) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        first = await chain_of(team)
        for agent in ("triage", "orders", "aggregator"):
            del team.mesh.apps[f"http://{agent}"]
        second = await chain_of(team)
    assert first["missing"] == second["missing"] == []
    assert {row["agent"] for row in first["decisions"]} == {"orchestrator", "triage", "orders", "aggregator"}
    assert second["decisions"] == first["decisions"]


async def test_of_an_agent_that_is_gone_before_anybody_looked_it_is_said_what_is_missing(
    start_team: Any,
) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        del team.mesh.apps["http://orders"]
        chain = await chain_of(team)
    (gone,) = chain["missing"]
    named = {
        one for row in chain["decisions"] if row.get("selected") == "Orders" for one in row.get("below", ())
    }
    assert (gone["agent"], set(gone["ids"])) == ("Orders", named)
    assert "cannot be reached" in gone["why"]
    assert told_by(chain, "triage")


@pytest.mark.parametrize(
    ("tells", "why"),
    [
        pytest.param(
            lambda rows: [{**row, "outcome": "refused"} for row in rows], "digest", id="other contents"
        ),
        pytest.param(
            lambda rows: [sealed(row, agent="triage") for row in rows],
            "triage decided it",
            id="in another's name",
        ),
        pytest.param(
            lambda rows: [sealed(row, run="another") for row in rows], "another run", id="of another run"
        ),
        pytest.param(
            lambda rows: [{**row, "surprise": 1} for row in rows], "cannot be read", id="unknown fields"
        ),
        pytest.param(lambda rows: [], "no such decision", id="nothing"),
        pytest.param(lambda rows: [*rows, *([{}] * 10_000)], "10003 decisions", id="ten thousand"),
        pytest.param(lambda rows: {"decisions": "many"}, "cannot be read", id="no list"),
        pytest.param(lambda rows: {"agent": "orders"}, "cannot be read", id="no decisions"),
        pytest.param(lambda rows: ["x" * 7_000_000], "more than is read", id="too much"),
    ],
)
async def test_what_an_agent_forges_is_refused_and_named(
    start_team: Any, tells: Callable[[Rows], Any], why: str
) -> None:
    async with start_team() as team:
        chain = await lied_to(team, tells)
        database = await open_database(team.settings.database_of("orchestrator"))
        kept = await database.execute(
            "SELECT id FROM decisions WHERE agent = 'orders' OR outcome = 'refused'"
        )
        await database.close()
    assert told_by(chain, "orders") == []
    assert {each["agent"] for each in chain["missing"]} == {"Orders"}
    assert {why in each["why"] for each in chain["missing"]} == {True}
    assert sum(len(each["ids"]) for each in chain["missing"]) == 3
    assert kept == []
    assert chain["intact"] is True


async def test_what_nobody_asked_about_does_not_get_into_a_chain(start_team: Any) -> None:
    def more(rows: Rows) -> Rows:
        strange = {"id": "d" + 24 * "0", "task": "somewhere-else"}
        return [*rows, sealed(rows[0], **strange), *rows, {"id": 7}, *[None, "row", []]]  # type: ignore[list-item]

    async with start_team() as team:
        chain = await lied_to(team, more)
    assert len(told_by(chain, "orders")) == 3
    assert chain["missing"] == []


async def test_two_agents_that_claim_one_decision_are_neither_believed(start_team: Any) -> None:
    stolen: list[str] = []

    async with start_team() as team:
        await team.report("paint t1 red")
        database = await open_database(team.settings.database_of("orchestrator"))
        rows = await database.execute("SELECT id, body FROM decisions WHERE kind = 'agent_call'")
        calls = {json.loads(row["body"])["subtask"]: json.loads(row["body"]) for row in rows}
        stolen += calls["split"]["below"]
        body = {**calls["look"], "below": [*calls["look"]["below"], *stolen]}
        await database.execute("UPDATE decisions SET body = ? WHERE id = ?", json.dumps(body), body["id"])
        await database.close()

        def steals(rows: Rows) -> Rows:
            return [*rows, sealed(rows[0], id=stolen[0])]

        team.mesh.apps["http://orders"] = Liar(team.mesh.apps["http://orders"], steals)
        chain = await chain_of(team)
    assert stolen[0] not in {row["id"] for row in chain["decisions"]}
    assert stolen[0] in {one for each in chain["missing"] for one in each["ids"]}


async def test_what_an_agent_did_whose_answer_was_lost_is_part_of_the_chain(start_team: Any) -> None:
    async def nonsense(subtask: Subtask, job: Job) -> Finding:
        await job.tools.call("look_at", thing_id="t1")
        raise RuntimeError("lost")

    async with start_team(orders=nonsense) as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
    reads = [row for row in told_by(chain, "orders") if row["kind"] == "tool_call"]
    assert reads
    calls = [row for row in chain["decisions"] if row["kind"] == "agent_call" and row["selected"] == "Orders"]
    assert {row["task"] for row in reads} <= {row["remote"] for row in calls}
    (root, *_) = tree(chain["decisions"])
    below = [node.decision["id"] for _, node in root.walk()]
    assert {row["id"] for row in reads} <= set(below)


async def test_an_agent_is_asked_once_for_a_run_that_has_ended(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        liar = Liar(team.mesh.apps["http://orders"], lambda rows: rows)
        team.mesh.apps["http://orders"] = liar
        for _ in range(3):
            assert (await chain_of(team))["missing"] == []
    assert liar.asked == 1


async def test_of_an_agent_that_does_not_let_us_read_it_is_said_what_to_change(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        app = team.mesh.apps["http://orders"]

        async def closed(scope: Any, receive: Any, send: Any) -> None:
            asked = scope["type"] == "http" and scope["path"] == "/decisions"
            await (JSONResponse({}, 403) if asked else app)(scope, receive, send)

        team.mesh.apps["http://orders"] = closed
        chain = await chain_of(team)
    (closed_one,) = chain["missing"]
    assert closed_one["agent"] == "Orders"
    assert "name orchestrator under `readers` in its trust file" in closed_one["why"]
