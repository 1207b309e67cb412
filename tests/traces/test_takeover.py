"""A real mesh of thirteen processes: the orchestrator is killed in the middle, a person decides in another one's life; one trace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from evals.complete import rows_in
from meshwright.inbound.identity import Identity
from meshwright.records.complete import flaws
from meshwright.testing import RunningMesh, running_mesh
from meshwright.testing.backend import TraceBackend
from shop.demo import tickets

#: Seconds that any one thing may take.
PATIENCE = 40
#: Of the same customer.
MORE = " I want to return the Rain Jacket from order #W4347361. When does the refund of a return arrive?"
EVERYBODY = {"orchestrator", "triage", "accounts", "orders", "returns", "advisor", "aggregator", "orderbook"}


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` finds, once it finds something. Nobody answers while a process is not there."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if found := await look():
                    return found
            except httpx.TransportError:
                pass
            await asyncio.sleep(0)


class Desk:
    """A running mesh, as its customer calls it and its operator asks it."""

    def __init__(self, mesh: RunningMesh, http: httpx.AsyncClient) -> None:
        self._mesh, self._http = mesh, http

    async def request(self, method: str, path: str, *, who: Identity | None = None, **more: Any) -> Any:
        identity = who or self._mesh.operator()
        headers = {**identity.authorization("orchestrator"), "a2a-version": "1.0"}
        url = self._mesh.urls["orchestrator"] + path
        answer = await self._http.request(method, url, headers=headers, **more)
        return answer.json() if answer.status_code == 200 else None

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await self.request("POST", "/", who=self._mesh.customer(), json=body) or {}).get("result")

    async def state(self, task_id: str, *wanted: str) -> str:
        task = await self.call("GetTask", {"id": task_id})
        state = str(task["status"]["state"]) if task else ""
        return state if state in wanted else ""

    def kill(self, name: str, how: signal.Signals) -> None:
        os.kill(self._mesh.pids()[name], how)


@asynccontextmanager
async def desk_of(home: Path, backend: TraceBackend) -> AsyncIterator[Desk]:
    running = running_mesh(home, env=backend.environment(1000))
    mesh = await asyncio.to_thread(running.__enter__)
    try:
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            yield Desk(mesh, http)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_one_trace_through_a_kill_and_a_review_and_nothing_in_it_that_was_said(
    tmp_path: Path, backend: TraceBackend
) -> None:
    async def arrived(name: str, **attributes: Any) -> bool:
        found = [s for s in backend.spans if s.name == name and attributes.items() <= s.attributes.items()]
        return bool(found)

    async with desk_of(tmp_path, backend) as desk:
        # a person has to look at changes that come to so much together
        ticket = tickets(tmp_path / "shop.db", 7)[7] + MORE
        desk.kill("accounts", signal.SIGSTOP)
        message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": ticket}]}
        sent = await desk.call(
            "SendMessage", {"message": message, "configuration": {"returnImmediately": True}}
        )
        task = sent["task"]["id"]
        await until(lambda: arrived("plan"))
        desk.kill("orchestrator", signal.SIGKILL)
        desk.kill("accounts", signal.SIGCONT)
        await until(lambda: desk.state(task, "TASK_STATE_INPUT_REQUIRED"))
        await until(lambda: arrived("review"))
        desk.kill("orchestrator", signal.SIGKILL)
        waiting = (await until(lambda: desk.request("GET", "/reviews")))["reviews"]
        for review in waiting:
            where, word = f"/reviews/{review['id']}", {"decision": "approve", "reason": "ok"}
            await until(lambda where=where, word=word: desk.request("POST", where, json=word))  # type: ignore[misc]
        await until(lambda: desk.state(task, "TASK_STATE_COMPLETED"))

    assert backend.wrong == []
    (root,) = {span.id: span for span in backend.spans if not span.parent}.values()
    assert root.attributes["a2a.task.id"] == root.attributes["mesh.correlation.id"] == task
    assert 2 in {span.attributes.get("mesh.attempt") for span in backend.spans if span.id == root.id}
    assert {span.trace for span in backend.spans} == {root.trace}
    assert backend.orphans() == []
    assert {span.process for span in backend.spans} == EVERYBODY
    (rows,) = rows_in(tmp_path).values()
    assert [str(flaw) for flaw in flaws(backend.spans, rows)] == []
    assert Counter((score["name"], score["value"]) for score in backend.scores.values()) >= Counter(
        [("gate", "review"), ("gate", "allow"), ("review", "approve"), ("outcome", "done")]
    )

    said = b"".join(backend.bodies)
    keys = [json.loads(file.read_text())["d"] for file in (tmp_path / "keys").glob("*.json")]
    assert len(keys) >= 12
    words = [word for word in ticket.replace(",", " ").split() if "@" in word or len(word) > 9]
    for secret in (*keys, *words, "Bearer", "eyJ"):
        assert secret.strip(".?!;:").encode() not in said, secret
