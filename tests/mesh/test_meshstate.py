"""What the orchestrator tells of its mesh: who is there and how, who called whom; from peers that may say anything."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshwright.budget import Amount
from meshwright.clipping import clipped
from meshwright.database import Database, open_database
from meshwright.ledger import Account, reserve, settle, spent_today
from meshwright.outbound.readiness import LATELY, Load, Look, Sightings, read
from meshwright.records.decision import Call, Decision, Kind
from meshwright.records.decisions import write
from meshwright.records.traffic import EDGES, TIMES, Edge, activity, heard, quantile


async def mesh(team: Any, query: str = "?fresh=1") -> dict[str, Any]:
    while (answer := await team.operator("GET", f"/mesh{query}")).status_code == 503:
        pass  # it still starts
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def named(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["name"] == name)


def call(number: int, agent: str, to: str, kind: Kind = "agent_call", **said: Any) -> Decision:
    """A call that was made just now."""
    said = {"outcome": "answered", "ms": 10, "at": time.time() - 1, **said}
    what = {"selected": to} if kind == "agent_call" else {"call": Call(tool="look_at", server=to)}
    return Decision(id=f"d{number:024x}", kind=kind, agent=agent, **what, **said)


async def keep(database: Database, *decisions: Decision, heard: bool = False) -> None:
    await database.write(lambda tx: write(tx, decisions, heard=heard))


async def noted(home: Path, process: str, *decisions: Decision) -> None:
    """Put decisions where a process keeps its own."""
    database = await open_database(f"sqlite:///{home}/{process}.db")
    await keep(database, *decisions)
    await database.close()


async def test_every_agent_and_tool_server_is_shown_from_its_card_and_with_its_state(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        page = await mesh(team)
        assert {row["name"] for row in page["agents"]} == {
            *("orchestrator", "triage", "orders", "standby", "aggregator")
        }
        orders = named(page["agents"], "orders")
        assert (orders["title"], orders["status"], orders["breaker"]) == ("Orders", "ready", "closed")
        assert orders["version"]
        assert "order-change" in orders["skills"]
        assert orders["replicas"] == 1
        assert orders["load"]["limit"] >= 1
        assert orders["budget"] == {"tokens": 0, "token_limit": None, "micros": 0, "micro_limit": None}
        [tools] = page["tools"]
        assert (tools["name"], tools["status"], tools["replicas"]) == ("workshop", "ready", 1)
        assert "look_at" in tools["tools"]
        assert page["unheard"] == []


async def test_many_who_look_at_once_cause_one_look(start_team: Any) -> None:
    async with start_team() as team:
        await mesh(team)
        before = [request.url.path for request in team.mesh.seen].count("/activity")
        pages = await asyncio.gather(*(mesh(team, "") for _ in range(20)))
        assert len({page["at"] for page in pages}) == 1
        assert [request.url.path for request in team.mesh.seen].count("/activity") == before


async def test_of_one_who_is_gone_the_last_word_stays(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        before = (await mesh(team))["edges"]
        team.mesh.down.add("http://orders")
        page = await mesh(team)
        assert page["unheard"] == ["orders"]
        assert page["edges"] == before


async def test_a_request_leaves_its_calls_in_the_mesh(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        page = await mesh(team)
        seen = {(e["from"], e["to"], e["kind"]): (e["calls"], e["failed"]) for e in page["edges"]}
        assert seen == {
            ("orchestrator", "triage", "agent"): (1, 0),
            ("orchestrator", "orders", "agent"): (2, 0),
            ("orchestrator", "aggregator", "agent"): (1, 0),
            ("orchestrator", "workshop", "tool"): (3, 0),
            ("orders", "workshop", "tool"): (1, 0),
        }
        assert named(page["agents"], "orders")["latency"]["p95_ms"] >= 0
        team.mesh.down.add("http://orders")
        await team.report("paint t1 blue")
        failed = {(e["from"], e["to"]): e["failed"] for e in (await mesh(team))["edges"]}
        assert failed["orchestrator", "orders"] >= 1


async def test_who_called_whom_comes_from_the_rows_of_everybody(start_team: Any, tmp_path: Path) -> None:
    async with start_team() as team:
        await mesh(team)
        failed = call(3, "orchestrator", "Orders", outcome="timed-out", ms=900)
        await noted(tmp_path, "orchestrator", *(call(n, "orchestrator", "Orders", ms=n * 10) for n in (1, 2)))
        off = (call(n, "orchestrator", "Orders", outcome=o) for n, o in ((6, "not-asked"), (7, "called-off")))
        await noted(tmp_path, "orchestrator", *off)
        await noted(tmp_path, "orchestrator", failed, call(4, "orchestrator", "workshop", "effect", ms=7))
        await noted(tmp_path, "orchestrator", call(8, "orchestrator", "orders", ms=20))  # by its other name
        await noted(tmp_path, "orders", call(5, "orders", "workshop", "tool_call", ms=3))
        page = await mesh(team)
        seen = {
            (e["from"], e["to"], e["kind"]): (e["calls"], e["failed"], e["p95_ms"]) for e in page["edges"]
        }
        assert len(seen) == len(page["edges"])
        assert seen[("orchestrator", "orders", "agent")] == (4, 1, 20)
        assert seen[("orchestrator", "workshop", "tool")] == (1, 0, 7)
        assert seen[("orders", "workshop", "tool")] == (1, 0, 3)
        assert named(page["agents"], "orders")["latency"] == {
            "calls": 4,
            "failed": 1,
            "p50_ms": 20,
            "p95_ms": 20,
        }
        assert page["tools"][0]["latency"] == {"calls": 2, "failed": 0, "p50_ms": 3, "p95_ms": 7}


async def test_the_sick_the_gone_the_leaving_and_the_cold_are_told_apart(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.down.add("http://standby")
        team.mesh.apps["http://orders"].state.readiness.draining = True
        team.mesh.apps["http://triage"].state.readiness.waits("graph", "starting")
        page = await mesh(team)
        status = {row["name"]: row["status"] for row in page["agents"]}
        assert status == {
            "orchestrator": "ready",
            "aggregator": "ready",
            "standby": "stale",
            "orders": "draining",
            "triage": "cold",
        }
        assert named(page["agents"], "triage")["cold"] is True
        assert named(page["agents"], "standby")["replicas"] == 0
        assert "cannot be reached" in named(page["agents"], "standby")["why"]
        assert page["unheard"] == ["standby"]


async def test_one_who_hangs_is_silent_and_keeps_nobody_else_from_being_shown(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.hangs |= {"http://orders", "http://workshop"}
        page = await mesh(team)
        orders = named(page["agents"], "orders")
        assert (orders["status"], orders["load"]) == ("silent", None)
        assert named(page["agents"], "triage")["status"] == "ready"
        assert [row["status"] for row in page["tools"]] == ["unreachable"]


async def test_a_tool_server_that_only_agents_use_is_there_as_they_tell(start_team: Any) -> None:
    async with start_team() as team:
        inner = team.mesh.apps["http://orders"]
        tools = {
            "library": {"state": "open"},
            "workshop": {"state": "closed"},
            "x" * 500: {"state": "closed"},
        }

        async def app(scope: Any, receive: Any, send: Any) -> None:
            told = JSONResponse({"ready": True, "tools": tools})
            await (told if scope.get("path") == "/readyz" else inner)(scope, receive, send)

        team.mesh.apps["http://orders"] = app
        await mesh(team)
        rows = (await mesh(team))["tools"]
        assert [row["name"] for row in rows][:2] == ["workshop", "library"]
        assert (rows[1]["status"], rows[1]["breaker"], rows[1]["why"]) == ("used", "open", "used by orders")
        assert len(rows[2]["name"]) == 120
        team.mesh.apps["http://orders"] = inner


async def test_only_operators_see_the_mesh_and_only_those_of_it_what_an_agent_did(start_team: Any) -> None:
    async with start_team() as team:
        async with team.mesh.client() as client:
            assert (await client.get("http://orchestrator/mesh")).status_code == 403
            assert (await client.get("http://orders/activity")).status_code == 403
            known = {"authorization": f"Bearer {team.ring.signer('triage').token('orders')}"}
            assert (await client.get("http://orders/activity", headers=known)).status_code == 403
            token = team.ring.signer("orchestrator").token("orders")
            headers = {"authorization": f"Bearer {token}"}
            answer = await client.get("http://orders/activity?hours=2", headers=headers)
            assert answer.json()["agent"] == "orders"
            for wrong in ("0", "25", "-1", "1e9", "²", "9" * 5000):
                refused = await client.get("http://orders/activity", params={"hours": wrong}, headers=headers)
                assert refused.status_code == 400
        assert (await team.operator("GET", "/mesh?hours=x")).status_code == 400


#: What is no activity.
NONSENSE = (
    b"[1, 2",
    b"[]",
    b'{"since": "soon", "complete": true}',
    b'{"since": 1, "complete": true, "calls": [{"to": "x", "kind": "bank", "calls": 1, "failed": 0, "ms": []}]}',
    b'{"since": 1, "complete": true, "calls": [{"to": "x", "kind": "agent", "calls": -5, "failed": 0, "ms": []}]}',
    b'{"since": 1, "complete": true, "calls": [' + b"[" * 5000,
    b"x" * 300_000,
)


async def test_an_agent_that_tells_nonsense_of_itself_is_as_if_it_told_nothing(start_team: Any) -> None:
    async with start_team() as team:
        inner, told = team.mesh.apps["http://orders"], b""

        async def lying(scope: Any, receive: Any, send: Any) -> None:
            app = Response(told) if scope.get("path") == "/activity" else inner
            await app(scope, receive, send)

        assert (await mesh(team))["unheard"] == []
        team.mesh.apps["http://orders"] = lying
        for told in NONSENSE:
            page = await mesh(team)
            assert page["unheard"] == ["orders"], told[:80]
        team.mesh.apps["http://orders"] = inner


async def test_names_that_a_peer_tells_are_cut_and_show_what_they_hide(start_team: Any) -> None:
    calls = [{"to": "\u202eevil\x07" + "x" * 500, "kind": "agent", "calls": 1, "failed": 9, "ms": [5]}]

    async def told(request: Request) -> JSONResponse:
        return JSONResponse({"since": 1, "complete": True, "calls": calls, "budget": None})

    async with start_team() as team:
        inner = team.mesh.apps["http://orders"]
        liar = Starlette(routes=[Route("/activity", told)])

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await (liar if scope.get("path") == "/activity" else inner)(scope, receive, send)

        await mesh(team)
        team.mesh.apps["http://orders"] = app
        [edge] = [e for e in (await mesh(team))["edges"] if e["from"] == "orders"]
        assert edge["to"].startswith("\ufffdevil\ufffdxxx")
        assert len(edge["to"]) == 120
        assert edge["failed"] == 1
        team.mesh.apps["http://orders"] = inner


async def test_a_look_counts_the_instances_that_answer_and_adds_up_their_load() -> None:
    now = [100.0]
    met = Sightings(lambda: now[0])
    met.note(Look(instance="a", load=Load(1, 16, 0)))
    met.note(Look(instance="b", load=Load(2, 16, 3)))
    met.note(Look(instance="a", load=Load(4, 16, 0)))
    assert (len(met.lately()), met.load) == (2, Load(6, 32, 3))
    met.note(Look(instance="b", draining=True))
    assert len(met.lately()) == 1
    now[0] += LATELY + 1
    assert met.lately() == []
    for number in range(5000):
        met.note(Look(instance=f"i{number}"))
    assert len(met.lately()) == 100


@pytest.mark.parametrize(
    "document",
    [
        *(None, [], "ready", {"places": "many"}, {"places": {"taken": "1", "limit": 2, "waiting": 3}}),
        *({"instance": 7}, {"instance": "a b"}, {"instance": "x" * 65}, {"places": {"taken": -1}}),
        {"waiting_for": ["graph"], "draining": "no"},
        *({"tools": ["a"]}, {"tools": {"a": "closed"}}, {"tools": {"a": {"state": ["open"]}}}),
    ],
)
def test_what_a_look_does_not_understand_was_not_said(document: Any) -> None:
    assert read(503, document) == Look()


async def test_calls_are_read_from_a_bounded_sample_that_says_since_when_it_counts(url: str) -> None:
    database = await open_database(url)
    now = time.time()
    old = call(0, "me", "orders", at=now - 7200)
    rows = [call(n, "me", "orders", at=now - 60 + n / 1000, ms=n % 100) for n in range(1, 10_101)]
    other = [call(20_000, "you", "orders"), call(20_001, "me", "bank", "tool_call", outcome="failed")]
    await keep(database, old, *other)
    found = await activity(database, "me", 1)
    assert found.complete
    assert [(c.to, c.calls, c.failed) for c in found.calls] == [("bank", 1, 1)]
    for start in range(0, len(rows), 1000):
        await keep(database, *rows[start : start + 1000])
    found = await activity(database, "me", 1)
    assert not found.complete
    assert now - 61 < found.since < now - 50
    [bank, orders] = sorted(found.calls, key=lambda each: each.to)
    assert (bank.calls, orders.failed, len(orders.ms)) == (1, 0, TIMES)
    assert 9_990 <= orders.calls <= 10_000
    assert abs((quantile([Edge("", "agent", orders.calls, 0, orders.ms)], 0.95) or 0) - 95) <= 1
    await database.close()


async def test_what_was_spent_today_is_that_of_the_day_or_of_all_tasks(url: str) -> None:
    database = await open_database(url)
    used = Amount(100, 7)

    async def spend(key: str, account: Account) -> None:
        await database.write(lambda tx: reserve(tx, key, [account], used, used, 60))
        await database.write(lambda tx: settle(tx, key, used))

    await spend("1", Account("task", "orders/t/m", 500, 500))
    await spend("2", Account("task", "orders-2/t/m", 500, 500))
    await spend("3", Account("run", "r", 500, 500))
    spent = await database.read(lambda tx: spent_today(tx, "orders"))
    assert (spent.tokens, spent.micros, spent.token_limit) == (100, 7, None)
    runs = await database.read(lambda tx: spent_today(tx, "orchestrator", runs=True))
    assert runs.tokens == 100
    await spend("4", Account("agent", "orders", 1000, None, daily=True))
    spent = await database.read(lambda tx: spent_today(tx, "orders"))
    assert (spent.tokens, spent.token_limit, spent.micro_limit) == (100, 1000, None)
    await database.close()


def test_quantiles_of_several_callers_weigh_by_their_calls() -> None:
    few, many = Edge("x", "agent", 10, 0, [1000]), Edge("x", "agent", 990, 0, [10, 20])
    assert quantile([few, many], 0.5) == 20 or quantile([few, many], 0.5) == 10
    assert quantile([few, many], 0.98) == 20
    assert quantile([few, many], 1.0) == 1000
    assert quantile([], 0.5) is None
    assert quantile([Edge("x", "agent", 3, 3, [])], 0.5) is None


def test_a_text_of_a_peer_is_cut_before_it_is_read_through() -> None:
    assert clipped("a" * 10**6) == "a" * 119 + "…"
    assert clipped(None) == "None"
    assert heard({"since": 0, "complete": True, "calls": [{}] * (EDGES + 1)}) is None
