"""A request that waited goes on within what it was given when it came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meshwright.agent import Job
from meshwright.database import open_database
from meshwright.findings import Finding, Subtask
from meshwright.inbound.ancestry import split
from meshwright.ledger import standing
from meshwright.origin import Origin

Granted = list[tuple[int, int | None]]


def proposing(propose: Any, granted: Granted) -> Any:
    """A playbook that needs a person's approval to go on, and writes down what it may spend each time."""

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        granted.append((job.budget.limit, job.budget.micros))
        await job.tools.call("look_at", thing_id="t2")
        settled = await job.propose(propose("t2", "red"))
        return Finding(reply=f"It was {settled.state}.")

    return playbook


async def approved(team: Any) -> None:
    (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
    word = {"decision": "approve", "hash": review["hash"]}
    assert (await team.operator("POST", f"/reviews/{review['id']}", json=word)).status_code == 200


async def test_after_a_review_a_run_has_what_is_left_of_its_clients_tokens_and_money(
    start_team: Any, propose: Any
) -> None:
    granted: Granted = []
    async with start_team(orders=proposing(propose, granted)) as team:
        waiting = await team.ask("orders t2 red", tokens=1_000, micros=700)
        await approved(team)
        await team.ended(waiting.task_id)
    assert len(granted) == 2
    assert all(0 < tokens <= 1_000 for tokens, _ in granted)
    assert all(micros is not None and micros <= 700 for _, micros in granted)


async def test_an_answer_without_a_limit_of_its_own_does_not_lift_the_runs(start_team: Any) -> None:
    async def asking(subtask: Subtask, job: Job) -> Finding:
        granted.append((job.budget.limit, job.budget.micros))
        return Finding(reply=await job.ask("which colour?"))

    granted: Granted = []
    async with start_team(orders=asking) as team:
        waiting = await team.ask("orders t2 red", tokens=1_000, micros=700)
        await team.sent("blue", taskId=waiting.task_id)
    assert len(granted) == 2
    assert max(tokens for tokens, _ in granted) <= 1_000
    assert all(micros is not None and micros <= 700 for _, micros in granted)


async def test_what_a_run_spends_after_a_review_is_on_its_clients_day(
    start_team: Any, propose: Any, tmp_path: Path
) -> None:
    async with start_team(tenant_tokens=9_000, orders=proposing(propose, [])) as team:
        waiting = await team.ask("orders t2 red")
        await approved(team)
        await team.ended(waiting.task_id)
    database = await open_database(f"sqlite:///{tmp_path}/orchestrator.db")
    tenants = [row["name"] for row in await database.read(standing) if row["kind"] == "tenant"]
    await database.close()
    assert tenants == ["operator"]


async def test_after_a_review_the_calls_of_a_run_are_as_urgent_and_as_deep_as_before(
    start_team: Any, propose: Any
) -> None:
    async with start_team(orders=proposing(propose, [])) as team:
        origin = Origin(task="t0", run="r0", priority="high")
        waiting = await team.ask("orders t2 red", origin=origin)
        await approved(team)
        await team.ended(waiting.task_id)
        calls = [each for each in team.mesh.seen if each.url.host == "orders" and each.method == "POST"]
        sent = [each.headers for each in calls if "x-mesh-budget-tokens" in each.headers]
    assert [headers.get("x-mesh-priority") for headers in sent] == ["high", "high"]
    assert [len(split(headers["x-mesh-ancestry"])) for headers in sent] == [2, 2]
