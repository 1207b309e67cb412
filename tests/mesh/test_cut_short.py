"""A run whose time was up has said so: whoever takes it over after that says the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import StoreUnavailable
from meshwright.findings import Finding, Subtask
from meshwright.inbound.executor import Incoming
from meshwright.records.runs import RunStore
from orchestrator.checkpoints import Checkpoints
from orchestrator.driver import Driver
from orchestrator.graph import build


class Dead(RunStore):
    """What a process has that dies before it can write down how a run ended."""

    async def save(self, *_: Any, **__: Any) -> None:
        raise StoreUnavailable("this process is dead")


async def test_who_takes_it_over_after_its_last_word_says_the_same_and_applies_nothing(
    start_team: Any, run_on: Any, url: str
) -> None:
    async def slow(subtask: Subtask, job: Job) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async with start_team(orders=slow, standby=slow) as team, run_on(team, url, "paint t1 red") as run:
        drive, graph = run.drive_with, build(Checkpoints(run.database))
        driver = Driver(
            *(graph, drive.directory, drive.toolbox, drive.policy, run.store, run.reviews, run.database),
            *("orchestrator", team.settings, lambda name: False, None),  # type: ignore[arg-type]
        )
        incoming = Incoming(
            *("paint t1 red", [], Deadline.after(4), Budget(), drive.say),
            task_id=run.claim.task_id,
            claim=run.claim,
            minutes=drive.minutes,
        )
        team.mesh.hangs.add("http://aggregator")
        with pytest.raises(StoreUnavailable):
            await replace(driver, store=Dead(run.database)).work(incoming)
        said = list(team.workshop.done)
        assert [action for _, action, _ in said] == ["reply", "escalate"]
        team.mesh.hangs.clear()
        ended = await driver.work(replace(incoming, by=Deadline.after(20)))
        assert team.workshop.done == said
    assert ended.text == said[0][2]["text"]
