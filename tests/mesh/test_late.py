"""Time that passes before the work begins is not given back to it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Subtask
from meshwright.outbound.directory import Directory
from meshwright.testing import lifespan_of
from orchestrator.server import orchestrator_app

#: Seconds for which another process holds the store, and seconds that the caller allows.
HELD, GIVEN = 1.0, 20


async def test_a_message_that_waits_for_the_store_has_less_time_for_its_work(
    start_team: Any, tmp_path: Path
) -> None:
    left: list[float] = []

    async def punctual(subtask: Subtask, job: Job) -> Finding:
        left.append(job.by.remaining)
        return Finding(reply="done")

    async with start_team(orders=punctual) as team:
        directory = Directory(["http://orders"], team.mesh.client(), team.ring.identity("operator"))
        await directory.refresh()
        (orders,) = directory.candidates("order-status")
        subtask = Subtask(id="s", skill="order-status", instruction="look").model_dump(mode="json")
        with contextlib.closing(sqlite3.connect(tmp_path / "orders.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asking = asyncio.create_task(orders.ask({"subtask": subtask}, by=Deadline.after(GIVEN)))
            await asyncio.wait({asking}, timeout=HELD)
            other.execute("ROLLBACK")
        await asking
    assert left[0] <= GIVEN - HELD


async def test_a_peer_that_says_it_is_busy_and_then_hangs_leaves_time_for_whoever_stands_in(
    start_team: Any,
) -> None:
    async with start_team() as team:
        well = team.mesh.apps["http://orders"]
        await team.report("paint t1 blue")

        async def sick(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == "/readyz":
                await asyncio.Event().wait()
            if scope["type"] == "http" and scope["method"] == "POST":
                return await Response(status_code=503)(scope, receive, send)
            return await well(scope, receive, send)

        team.mesh.apps["http://orders"] = sick
        report = await team.report("paint t1 red", seconds=3)
    assert [step["outcome"] for step in report["steps"]][:2] == ["answered", "stand-in"]


async def test_a_peer_that_hangs_before_it_is_met_takes_no_more_than_its_part_of_a_requests_time(
    start_team: Any,
) -> None:
    async with start_team() as team:
        team.mesh.hangs.add("http://triage")
        entrance = orchestrator_app(team.settings, team.ring.identity("orchestrator"), team.mesh.client())
        team.mesh.apps["http://orchestrator"] = entrance
        async with lifespan_of(entrance):
            report = await team.report("paint t1 red", seconds=2.5)
    assert report["outcome"] == "escalated"
