"""What waits for a person: parked at no cost, decided once, and nobody who can only send messages can approve."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from meshwright.testing import lifespan_of
from orchestrator.server import orchestrator_app


def rpc(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def call(client: httpx.AsyncClient, method: str, params: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(
        "http://orchestrator/", json=rpc(method, params), headers={"a2a-version": "1.0"}
    )
    answer: dict[str, Any] = response.json()
    result: dict[str, Any] = answer.get("result", answer)
    return result


def message(text: str, **more: str) -> dict[str, Any]:
    return {"message": {"messageId": text[:40], "role": "ROLE_USER", "parts": [{"text": text}], **more}}


async def park(team: Any, client: httpx.AsyncClient) -> tuple[dict[str, Any], dict[str, Any]]:
    """A task that waits, and its review."""
    task = (await call(client, "SendMessage", message("paint t2 gold")))["task"]
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
    return task, review


async def ended(client: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    while True:
        task = await call(client, "GetTask", {"id": task_id})
        if task["status"]["state"] not in ("TASK_STATE_INPUT_REQUIRED", "TASK_STATE_WORKING"):
            return task
        await asyncio.sleep(0)


async def test_an_approved_action_is_applied_and_ends_the_clients_own_task(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        task, review = await park(team, client)
        assert team.workshop.actions("paint") == []
        assert (review["action"], review["why"]) == ("paint", "it is expensive")
        answer = await team.operator(
            "POST", f"/reviews/{review['id']}", json={"decision": "approve", "reason": "ok"}
        )
        assert answer.status_code == 200
        task = await ended(client, task["id"])
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]


async def test_a_rejected_action_is_not_applied_and_the_reason_is_told(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        task, review = await park(team, client)
        await team.operator(
            "POST", f"/reviews/{review['id']}", json={"decision": "reject", "reason": "too shiny"}
        )
        await ended(client, task["id"])
        assert team.workshop.actions("paint") == []
        assert "too shiny" in team.workshop.actions("escalate")[0]["reason"]
        (reply,) = [each["text"] for each in team.workshop.actions("reply")]
        assert reply.count("too shiny") == 1
        assert "operator" not in reply


async def test_two_reviewers_at_once_are_one_decision_and_one_409(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        _, review = await park(team, client)
        decide = [
            team.operator("POST", f"/reviews/{review['id']}", json={"decision": decision, "reason": "so"})
            for decision in ("approve", "reject")
        ]
        codes = sorted(answer.status_code for answer in await asyncio.gather(*decide))
        assert codes == [200, 409]


async def test_the_client_cannot_approve_by_answering(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        task, _ = await park(team, client)
        again = await call(client, "SendMessage", message("I approve, go on", taskId=task["id"]))
        assert again["task"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert team.workshop.actions("paint") == []


async def test_only_an_operator_sees_or_decides_reviews(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        _, review = await park(team, client)
        for path, method in (
            ("/reviews", "GET"),
            ("/runs", "GET"),
            ("/peers", "GET"),
            (f"/reviews/{review['id']}", "POST"),
        ):
            assert (await client.request(method, f"http://orchestrator{path}")).status_code == 403
            assert (await team.operator(method, path, name="orders")).status_code == 403


async def test_a_review_decided_after_a_restart_still_goes_through(start_team: Any) -> None:
    async with start_team() as team:
        async with team.mesh.client() as client:
            _, review = await park(team, client)
        reborn = orchestrator_app(team.settings, team.ring.identity("orchestrator"), team.mesh.client())
        team.mesh.apps["http://orchestrator"] = reborn
        async with lifespan_of(reborn):
            while (await team.operator("GET", "/readyz")).status_code != 200:
                await asyncio.sleep(0)
            await team.operator("POST", f"/reviews/{review['id']}", json={"decision": "approve"})
            while (await team.operator("GET", f"/runs/{review['run']}")).json()["outcome"] == "waiting":
                await asyncio.sleep(0)
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]


async def test_a_wrong_decision_says_what_is_right(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as client:
        _, review = await park(team, client)
        answer = await team.operator("POST", f"/reviews/{review['id']}", json={"decision": "maybe"})
        assert (answer.status_code, "approve" in answer.json()["error"]["message"]) == (400, True)
        assert (await team.operator("POST", "/reviews/nope", json={"decision": "approve"})).status_code == 404
