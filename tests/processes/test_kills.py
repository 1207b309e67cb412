"""kill -9 while a ticket runs: a degraded answer with a named gap before the deadline, and the process comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import httpx
import pytest

from meshwright.deadline import Deadline
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.testing import RunningMesh

SECONDS = 12.0
TICKET = "I am Ada Nobody, zip 00000. Where is my order #W0000001? How long does a refund take?"


@pytest.mark.parametrize(
    "victim", ["triage", "orders", "returns", "accounts", "advisor", "standby", "aggregator"]
)
async def test_a_specialist_killed_in_the_middle_costs_a_named_gap_not_the_answer(
    mesh: RunningMesh, victim: str
) -> None:
    async with http_client() as http:
        directory = Directory([mesh.urls["orchestrator"]], http, mesh.operator())
        assert await directory.wait_for(["handle-ticket"], Deadline.after(20)) == []
        peer = directory.candidates("handle-ticket")[0]
        by = Deadline.after(SECONDS)
        asked = asyncio.ensure_future(peer.ask({}, text=TICKET, by=by))
        await asyncio.sleep(0)
        os.kill(mesh.pids()[victim], signal.SIGKILL)
        answer = await asked
        report: dict[str, Any] = answer.data[0]
        assert by.remaining > 0
        assert report["outcome"] in ("done", "degraded", "escalated")
        asked_in_vain = [s for s in report["steps"] if s["outcome"] in ("gap", "stand-in")]
        assert len(report["gaps"]) + len(report["unread"]) >= len(asked_in_vain)
        # the mesh is whole again before the next victim
        await _back(mesh, victim, http)


async def _back(mesh: RunningMesh, name: str, http: Any) -> None:
    by = Deadline.after(60)
    while not by.expired:
        try:
            if (await http.get(mesh.urls[name] + "/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0)  # it is being restarted
    raise AssertionError(f"{name} did not come back")
