"""One request is one trace, told to a backend over OTLP: who called whom, what each span is, and nothing that anybody said."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from meshwright.records.telemetry import Telemetry
from meshwright.testing import lifespan_of
from meshwright.testing.backend import Told, TraceBackend, observation
from orchestrator.server import orchestrator_app

Listening = Callable[[], Any]
#: Spans of a workflow with one change.
MOST = 25
THEIRS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def listening() -> Listening:
    """A backend that hears this process while the body lasts; what was sent is there when it ends."""

    @asynccontextmanager
    async def listen() -> AsyncIterator[TraceBackend]:
        async with TraceBackend().serving() as backend:
            telemetry = Telemetry("mesh", backend.exporter())
            telemetry.start()
            try:
                yield backend
            finally:
                await asyncio.to_thread(telemetry.stop)

    return listen


async def send(
    team: Any, text: str, *, known: bool = True, headers: dict[str, str] | None = None, **more: str
) -> dict[str, Any]:
    """One message by a client without a trace of its own, as a process that is known or as a stranger; the task."""
    headers = dict(headers or {})
    if known:
        headers["authorization"] = f"Bearer {team.ring.signer('operator').token('orchestrator')}"
    message = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}], **more}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with team.mesh.client() as client:
        answer = await client.post(
            "http://orchestrator/", json=call, headers={"a2a-version": "1.0", **headers}
        )
    task: dict[str, Any] = answer.json()["result"]["task"]
    return task


def require_whole(backend: TraceBackend) -> Told:
    """The root of the one trace that arrived, with one id on all; who starts after somebody tells some of it again, and tells the same."""
    assert backend.wrong == []
    assert len({span.trace for span in backend.spans}) == 1
    assert backend.orphans() == []
    assert len({(span.id, span.parent, span.name) for span in backend.spans}) == len(
        {s.id for s in backend.spans}
    )
    (root,) = {span.id: span for span in backend.spans if not span.parent}.values()
    for key in ("mesh.correlation.id", "session.id"):
        assert {span.attributes.get(key) for span in backend.spans} == {root.attributes[key]}
    return root


async def test_a_workflow_is_one_trace_and_each_span_is_what_langfuse_takes_it_for(
    start_team: Any, listening: Listening
) -> None:
    async with listening() as backend:
        async with start_team() as team:
            task = await send(team, "paint t1 red")
    root = require_whole(backend)
    assert root.name == "invoke_workflow orchestrator"
    notes = task["status"]["message"]["metadata"] if "message" in task["status"] else task["metadata"]
    assert notes["urn:meshwright:extension:mesh:v1"]["correlation"] == root.attributes["mesh.correlation.id"]
    assert root.attributes["session.id"] == task["contextId"]
    assert root.attributes["a2a.task.state"] == "TASK_STATE_COMPLETED"
    seen = [observation(span) for span in backend.spans]
    assert Counter(each["type"] for each in seen) == {"CHAIN": 2, "AGENT": 8, "TOOL": 4, "GUARDRAIL": 1}
    assert {each["session"] for each in seen} == {task["contextId"]}
    assert {each["level"] for each in seen} == {"DEFAULT"}
    assert len(backend.spans) <= MOST
    (gate,) = [span for span in backend.spans if span.name == "gate"]
    assert gate.attributes["mesh.verdicts"] == ["paint: open"]


async def test_nothing_that_was_said_or_signed_stands_on_a_span(
    start_team: Any, listening: Listening
) -> None:
    secret = "ada.lovelace@example.org"
    async with listening() as backend:
        async with start_team() as team:
            await send(team, f"please write to {secret} t1")  # read by nobody, handed over to a person
            told = {"baggage": f"user.email={secret},session.id={secret}", "x-mesh-run": secret}
            await send(team, "paint t1 crimson", contextId=secret, headers=told)
    sent = b"".join(backend.bodies)
    for word in (secret, "lovelace", "please write", "crimson", "Bearer ", "eyJ", "It can be painted"):
        assert word.encode() not in sent
    assert b"execute_tool paint" in sent


async def test_a_stranger_begins_a_trace_of_ours_and_theirs_is_only_noted(
    start_team: Any, listening: Listening
) -> None:
    async with listening() as backend:
        async with start_team() as team:
            baggage = "mesh.correlation.id=forged-by-a-stranger,session.id=forged"
            await send(team, "paint t1 red", known=False, headers={"traceparent": THEIRS, "baggage": baggage})
    root = require_whole(backend)
    assert root.trace not in THEIRS
    assert root.attributes["mesh.upstream.traceparent"] == THEIRS
    assert b"forged" not in b"".join(backend.bodies)


async def test_who_is_known_is_continued(start_team: Any, listening: Listening) -> None:
    async with listening() as backend:
        async with start_team() as team:
            await send(
                team,
                "paint t1 red",
                headers={"traceparent": THEIRS, "baggage": "mesh.correlation.id=their-own-id"},
            )
    assert {span.trace for span in backend.spans} == {THEIRS.split("-")[1]}
    assert {span.attributes["mesh.correlation.id"] for span in backend.spans} == {"their-own-id"}
    assert {span.parent for span in backend.orphans()} == {THEIRS.split("-")[2]}


async def test_a_run_that_waited_for_a_person_goes_on_in_its_trace_in_another_process(
    start_team: Any, listening: Listening
) -> None:
    async with listening() as backend:
        async with start_team(operators=("operator", "ann")) as team:
            task = await send(team, "paint t2 gold")
            (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
            reborn = orchestrator_app(team.settings, team.ring.identity("orchestrator"), team.mesh.client())
            team.mesh.apps["http://orchestrator"] = reborn
            async with lifespan_of(reborn):
                while (await team.operator("GET", "/readyz")).status_code != 200:
                    await asyncio.sleep(0)
                yes = {"decision": "approve"}
                answer = await team.operator("POST", f"/reviews/{review['id']}", name="ann", json=yes)
                assert answer.status_code == 200
                while (await team.operator("GET", f"/runs/{review['run']}")).json()["outcome"] == "waiting":
                    await asyncio.sleep(0)
    root = require_whole(backend)
    assert root.attributes["a2a.task.id"] == task["id"]
    later = [s for s in backend.spans if s.parent == root.id and s.name == "invoke_workflow orchestrator"]
    assert len(later) == 1, "the decision's turn is a child of the first"
    waits = [s.attributes.get("mesh.outcome") for s in backend.spans if s.name == "review"]
    assert sorted(waits, key=str) == [None, "waits"]
    assert [s.name for s in backend.spans].count("execute_tool paint") == 2, "who did what people approved"
    (word,) = [s for s in backend.spans if s.name == "decide"]
    assert (word.parent, word.attributes["mesh.outcome"]) == (root.id, "approve")


async def test_a_failed_agent_is_seen_where_it_failed(start_team: Any, listening: Listening) -> None:
    async def breaks(subtask: Any, job: Any) -> Any:
        raise RuntimeError("ada.lovelace@example.org")

    async with listening() as backend:
        async with start_team(orders=breaks) as team:
            await send(team, "paint t1 red")
    require_whole(backend)
    failed = {(s.name, s.attributes["error.type"], s.status) for s in backend.spans if s.failed}
    assert ("invoke_agent orders", "RuntimeError", "") in failed
    assert ("invoke_agent Orders", "PeerUnreachable", "") in failed
    assert b"lovelace" not in b"".join(backend.bodies)


async def test_what_was_worked_off_is_counted_and_timed(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        await send(team, "paint t1 red")
        told = (await client.get("http://orchestrator/metrics")).text.splitlines()
    assert 'meshwright_work_total{state="TASK_STATE_COMPLETED"} 1' in told
    assert "meshwright_tasks_held 0" in told
    (seconds,) = [
        float(line.split()[1]) for line in told if line.startswith("meshwright_work_seconds_total ")
    ]
    assert 0 < seconds < 20


async def test_without_a_listener_the_id_is_there_all_the_same(start_team: Any) -> None:
    async with start_team() as team:
        await send(team, "paint t1 red")
        seen: list[httpx.Request] = team.mesh.seen
        hops = [r for r in seen if r.headers.get("mcp-method") == "tools/call" or r.url.host == "aggregator"]
        ids = {r.headers["baggage"] for r in hops if "baggage" in r.headers}
    assert len(ids) == 1
