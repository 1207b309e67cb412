"""Who answers when the first in line cannot, and that the answer says so: to people in its steps, to machines in its metadata."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import agent_cards
from meshwright.agent import Agent, Job, Playbook
from meshwright.card import card_of, offered
from meshwright.extension import URI
from meshwright.findings import Finding, Split, Subtask
from meshwright.inbound.front import Front
from meshwright.inbound.server import agent_app
from meshwright.testing import lifespan_of

LOOK = Subtask(id="look", skill="order-status", instruction="look at it")


async def only_look(subtask: Subtask, job: Job) -> Split:
    return Split(subtasks=[LOOK])


async def second(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="The second one looked.")


@asynccontextmanager
async def cold(team: Any, name: str, playbook: Playbook) -> AsyncIterator[threading.Event]:
    """Put the agent `name` back to where it still starts; it goes on once the event is set."""
    go, url = threading.Event(), f"http://{name}"
    settings = team.settings.model_copy(update={"database": "memory:"})
    app = agent_app(Agent(name, playbook=playbook), settings, team.ring.identity(name), team.mesh.client())

    def build() -> Starlette:
        go.wait(20)
        return app

    front = Front(name, offered(card_of(name), 0), None, build, lambda: None)
    async with lifespan_of(front):
        team.mesh.apps[url] = front
        try:
            yield go
        finally:
            go.set()


def step_of(report: dict[str, Any], subtask: str = "look") -> dict[str, Any]:
    [step] = [step for step in report["steps"] if step["subtask"] == subtask]
    return dict(step)


async def breakers(team: Any) -> dict[str, tuple[str, str]]:
    peers = (await team.operator("GET", "/peers")).json()["peers"]
    return {peer["name"]: (peer["status"], peer["breaker"]) for peer in peers}


async def test_an_agent_that_starts_anew_is_waited_for_and_nothing_is_lacking(start_team: Any) -> None:
    async with start_team(triage=only_look) as team:
        await team.report("look")
        async with cold(team, "orders", second) as go:
            asked = asyncio.create_task(team.report("look"))
            while not asked.done() and not any(
                r.url.host == "orders" and r.url.path == "/readyz" for r in team.mesh.seen[-3:]
            ):
                await asyncio.sleep(0)
            go.set()
            report = await asked
        assert (report["outcome"], report["degraded"]) == ("done", [])
        assert "The second one looked." in report["reply"]
        assert step_of(report)["attempts"][-1]["outcome"] == "answered"


async def test_one_that_stays_cold_costs_a_share_of_the_deadline_and_the_stand_in_says_so(
    start_team: Any,
) -> None:
    async with start_team(triage=only_look) as team:
        async with cold(team, "orders", second):
            for _ in range(6):  # more often than a breaker bears
                report = await team.report("look", seconds=3)
                step = step_of(report)
                assert (step["outcome"], step["attempts"][0]["outcome"]) == ("stand-in", "cold")
                assert set(step["degraded"]) == {"peer-cold", "stand-in"}
                assert set(report["degraded"]) == {"peer-cold", "stand-in"}
                assert any("still starting" in gap["why"] for gap in report["gaps"])
            assert (await breakers(team))["orders"] == ("cold", "closed")


async def test_a_cold_agent_is_passed_over_while_another_offers_the_same(
    start_team: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin(tmp_path, monkeypatch)
    async with start_team(triage=only_look, orders=second, painters=second) as team:
        await team.report("look")
        async with cold(team, "orders", second):
            first = step_of(await team.report("look", seconds=3))
            again = step_of(await team.report("look", seconds=3))
    assert [a["outcome"] for a in first["attempts"]] == ["cold", "answered"]
    assert [a["outcome"] for a in again["attempts"]] == ["passed over: cold", "answered"]
    assert [set(step["degraded"]) for step in (first, again)] == [{"peer-cold", "alternate"}] * 2


def twin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second agent with the skills of `orders`, called painters: later in the order of the settings."""
    (folder / "agent_cards").mkdir()
    card = json.loads(agent_cards.path("orders").read_text())
    (folder / "agent_cards" / "painters.json").write_text(json.dumps({**card, "name": "Painters"}))
    monkeypatch.chdir(folder)


async def test_the_next_owner_answers_for_one_that_is_lost_and_a_good_end_does_not_hide_it(
    start_team: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin(tmp_path, monkeypatch)
    async with start_team(triage=only_look, painters=second) as team:
        assert (await team.ask("look")).notes["degraded"] == []
        team.mesh.down.add("http://orders")
        answer = await team.ask("look")
    report = answer.data[0]
    assert (report["outcome"], step_of(report)["peer"]) == ("done", "Painters")
    assert answer.notes["outcome"] == "done"
    assert answer.notes["degraded"] == report["degraded"] == ["alternate", "peer-unreachable"]


async def test_a_stand_in_for_one_skill_goes_before_one_for_any(
    start_team: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin(tmp_path, monkeypatch)
    file = tmp_path / "agent_cards" / "painters.json"
    card = json.loads(file.read_text())
    card["skills"] = [{**card["skills"][0], "id": "look-instead", "tags": ["fallback:order-status"]}]
    file.write_text(json.dumps(card))
    async with start_team(triage=only_look, painters=second) as team:
        await team.report("look")
        team.mesh.down.add("http://orders")
        report = await team.report("look")
        assert [a["peer"] for a in step_of(report)["attempts"]] == ["Orders", "Painters"]
        team.mesh.down.add("http://painters")
        report = await team.report("look")
        assert [a["peer"] for a in step_of(report)["attempts"]] == ["Orders", "Painters", "Standby"]


async def test_when_nobody_answers_the_gap_is_a_degradation_with_the_reason_of_each(start_team: Any) -> None:
    async with start_team(triage=only_look) as team:
        await team.report("look")
        team.mesh.down |= {"http://orders", "http://standby"}
        report = await team.report("look")
    assert step_of(report)["outcome"] == "gap"
    assert report["degraded"] == ["gap", "peer-unreachable"]


async def test_an_agent_that_has_too_much_to_do_is_named_and_its_breaker_stays_closed(
    start_team: Any,
) -> None:
    async def full(request: Request) -> JSONResponse:
        return JSONResponse(
            {}, 429, {"retry-after": "0"}
        )  # at once, so that every try gets there and says so

    async with start_team(triage=only_look) as team:
        await team.report("look")
        team.mesh.apps["http://orders"] = Starlette(routes=[Route("/", full, methods=["POST"])])
        for _ in range(6):
            report = await team.report("look")
            assert report["degraded"] == ["peer-overloaded", "stand-in"]
        assert (await breakers(team))["orders"][1] == "closed"


async def test_what_an_agent_notes_of_its_own_answer_is_passed_up(start_team: Any) -> None:
    async def noted(request: Request) -> JSONResponse:
        body = await request.json()
        part = {"data": Finding(reply="As well as I could.").model_dump(mode="json")}
        task = {
            "id": "t",
            "contextId": "c",
            "status": {"state": "TASK_STATE_COMPLETED"},
            "artifacts": [{"artifactId": "a", "parts": [part]}],
            "metadata": {URI: {"degraded": ["old-index", "x" * 100]}},
        }
        answer = {"jsonrpc": "2.0", "id": body["id"], "result": {"task": task}}
        return JSONResponse(answer)

    async with start_team(triage=only_look) as team:
        await team.report("look")
        team.mesh.apps["http://orders"] = Starlette(routes=[Route("/", noted, methods=["POST"])])
        answer = await team.ask("look")
    assert answer.notes["degraded"] == ["old-index", "x" * 40]
    assert answer.data[0]["outcome"] == "done"


async def test_a_skill_that_nobody_is_known_for_is_declared_though_somebody_stands_in(
    start_team: Any,
) -> None:
    async def unheard_of(subtask: Subtask, job: Job) -> Split:
        return Split(subtasks=[Subtask(id="look", skill="fly", instruction="fly")])

    async with start_team(triage=unheard_of) as team:
        report = await team.report("fly")
    assert step_of(report)["outcome"] == "stand-in"
    assert report["degraded"] == ["no-peer", "stand-in"]


async def test_a_part_that_nobody_can_be_asked_for_is_a_step_of_its_own(
    start_team: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard_of(subtask: Subtask, job: Job) -> Split:
        return Split(subtasks=[Subtask(id="look", skill="fly", instruction="fly")])

    twin(tmp_path, monkeypatch)  # who would stand in does not offer it
    card = json.loads(agent_cards.path("standby").read_text())
    card["skills"][0]["tags"] = ["read"]
    (tmp_path / "agent_cards" / "standby.json").write_text(json.dumps(card))
    async with start_team(triage=unheard_of) as team:
        report = await team.report("fly")
    assert step_of(report)["outcome"] == "gap"
    assert report["degraded"] == ["gap"]


async def test_a_task_that_waits_for_a_person_says_already_what_is_lacking(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "paint t2 gold"}]}
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
        answer = await client.post("http://orchestrator/", json=body, headers={"a2a-version": "1.0"})
        notes = answer.json()["result"]["task"]["metadata"][URI]
    assert (notes["outcome"], notes["degraded"]) == ("waiting", [])
