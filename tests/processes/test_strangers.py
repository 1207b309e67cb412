"""Somebody with another framework: a stock a2a-sdk client and plain curl, against the running mesh."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from typing import Any

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import InvalidParamsError, TaskNotCancelableError, TaskNotFoundError

from meshwright.testing import RunningMesh

QUESTION = "How long does a refund take?"


def send(text: str) -> SendMessageRequest:
    message = Message(message_id=uuid.uuid4().hex, role=Role.ROLE_USER, parts=[Part(text=text)])
    return SendMessageRequest(message=message)


async def connect(
    mesh: RunningMesh, http: httpx.AsyncClient, *, streaming: bool, binding: str = "JSONRPC"
) -> Client:
    card = await A2ACardResolver(http, mesh.urls["orchestrator"]).get_agent_card()
    config = ClientConfig(streaming=streaming, httpx_client=http, supported_protocol_bindings=[binding])
    return ClientFactory(config).create(card)


async def last_task(client: Client, text: str) -> Task:
    task = Task()
    async for event in client.send_message(send(text)):
        if event.HasField("task"):
            task = event.task
    return task


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_a_stock_client_sends_a_ticket_and_gets_text_and_a_report(
    mesh: RunningMesh, binding: str
) -> None:
    async with httpx.AsyncClient(timeout=30) as http:
        client = await connect(mesh, http, streaming=False, binding=binding)
        task = await last_task(client, QUESTION)
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        kinds = [part.WhichOneof("content") for part in task.artifacts[0].parts]
        assert kinds == ["text", "data"]
        again = await client.get_task(GetTaskRequest(id=task.id))
        assert again.status.state == TaskState.TASK_STATE_COMPLETED
        listed = await client.list_tasks(ListTasksRequest(context_id=task.context_id))
        assert [t.id for t in listed.tasks] == [task.id]


async def test_a_stock_client_streams_progress_from_the_first_event_to_the_last(mesh: RunningMesh) -> None:
    async with httpx.AsyncClient(timeout=30) as http:
        client = await connect(mesh, http, streaming=True)
        kinds = [event.WhichOneof("payload") async for event in client.send_message(send(QUESTION))]
    assert kinds[0] == "task"
    assert kinds.count("status_update") > 3
    assert "artifact_update" in kinds


async def test_a_stock_client_cancels_a_running_ticket(mesh: RunningMesh) -> None:
    request = send(QUESTION)
    request.configuration.return_immediately = True
    async with httpx.AsyncClient(timeout=30) as http:
        client = await connect(mesh, http, streaming=False)
        events = [event async for event in client.send_message(request)]
        cancelled = await client.cancel_task(CancelTaskRequest(id=events[0].task.id))
        assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=events[0].task.id))


async def test_what_is_not_there_or_not_right_is_an_error_of_the_protocol(mesh: RunningMesh) -> None:
    async with httpx.AsyncClient(timeout=30) as http:
        client = await connect(mesh, http, streaming=False)
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id="nothing"))
        with pytest.raises(InvalidParamsError, match="empty"):
            await last_task(client, "   ")


def curl(*arguments: str) -> tuple[int, Any]:
    """Status and JSON body of a plain curl call."""
    command = ["curl", "-sS", "-m", "30", "-w", "\n%{http_code}", "-H", "A2A-Version: 1.0", *arguments]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    body, _, status = out.rpartition("\n")
    return int(status), json.loads(body) if body.startswith("{") else body


def rpc(method: str, **params: Any) -> list[str]:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return ["-H", "Content-Type: application/json", "-d", body]


def ticket(text: str) -> dict[str, Any]:
    return {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": text}]}


def test_curl_sends_gets_lists_and_cancels(mesh: RunningMesh) -> None:
    url = mesh.urls["orchestrator"] + "/"
    status, answer = curl(url, *rpc("SendMessage", message=ticket(QUESTION)))
    task = answer["result"]["task"]
    assert (status, task["status"]["state"]) == (200, "TASK_STATE_COMPLETED")
    assert curl(url, *rpc("GetTask", id=task["id"]))[1]["result"]["id"] == task["id"]
    assert curl(url, *rpc("ListTasks", contextId=task["contextId"]))[1]["result"]["totalSize"] == 1
    assert "error" in curl(url, *rpc("CancelTask", id=task["id"]))[1]


def test_curl_streams(mesh: RunningMesh) -> None:
    _, body = curl(
        "-N", mesh.urls["orchestrator"] + "/", *rpc("SendStreamingMessage", message=ticket(QUESTION))
    )
    assert body.count("data:") > 3
    assert "TASK_STATE_COMPLETED" in body


def test_curl_uses_the_rest_binding_too(mesh: RunningMesh) -> None:
    body = json.dumps({"message": ticket(QUESTION)})
    url = mesh.urls["orchestrator"] + "/rest/message:send"
    status, answer = curl(url, "-H", "Content-Type: application/a2a+json", "-d", body)
    assert (status, answer["task"]["status"]["state"]) == (200, "TASK_STATE_COMPLETED")


def test_a_card_is_not_sent_again_to_who_has_it(mesh: RunningMesh) -> None:
    url = mesh.urls["orders"] + "/.well-known/agent-card.json"
    first = httpx.get(url)
    assert httpx.get(url, headers={"if-none-match": first.headers["etag"]}).status_code == 304


def test_the_catalogue_lists_every_agent_and_finds_those_with_a_skill(mesh: RunningMesh) -> None:
    catalog = httpx.get(mesh.urls["orchestrator"] + "/.well-known/ai-catalog.json")
    assert catalog.headers["content-type"].startswith("application/ai-catalog+json")
    assert len(catalog.json()["entries"]) == 8
    found = httpx.get(mesh.urls["orchestrator"] + "/cards", params={"skill": "order-return"}).json()["cards"]
    assert [card["name"] for card in found] == ["Returns"]
    assert httpx.get(mesh.urls["orchestrator"] + "/cards", params={"skill": "fly"}).json()["cards"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"x":NaN}}', 400),
        (b'{"a":1,"a":2}', 400),
        (b"[" * 100_000, 400),
        (b'"\xff"', 400),
        (b'{"t":"' + b"x" * 2_097_152 + b'"}', 413),
    ],
)
def test_a_hostile_body_is_refused_and_the_server_goes_on(
    mesh: RunningMesh, body: bytes, status: int
) -> None:
    url = mesh.urls["orchestrator"] + "/"
    answer = httpx.post(url, content=body, headers={"content-type": "application/json", "a2a-version": "1.0"})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert httpx.get(url + "livez").status_code == 200


def test_nobody_without_a_token_reaches_a_tool(mesh: RunningMesh) -> None:
    for name in ("orderbook", "customers", "handbook", "desk"):
        assert httpx.post(mesh.urls[name] + "/mcp", json={}).status_code == 401
        assert httpx.get(mesh.urls[name] + "/livez").json() == {"alive": True, "name": name}


async def test_fifty_tickets_at_once_are_fifty_answers(mesh: RunningMesh) -> None:
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(timeout=60, limits=limits) as http:
        client = await connect(mesh, http, streaming=False)
        tasks = await asyncio.gather(*(last_task(client, QUESTION) for _ in range(50)))
    assert {task.status.state for task in tasks} == {TaskState.TASK_STATE_COMPLETED}
