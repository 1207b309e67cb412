"""Time that passes before the work begins is not given back to it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Subtask
from meshwright.outbound.directory import Directory

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
