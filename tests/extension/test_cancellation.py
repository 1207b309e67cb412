"""When a caller gives up, goes away or cancels, everything below it stops: agents, tools, the model's request. Over sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from a2a.types import SendMessageRequest
from a2a.types.a2a_pb2_grpc import A2AServiceStub
from google.protobuf.json_format import ParseDict
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.errors import DeadlineExceeded, PeerError, PeerTimedOut
from meshwright.findings import Finding, Split, Subtask
from meshwright.grants.grant import Grant
from meshwright.outbound.http import http_client
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings
from meshwright.testing import ScriptedModel
from meshwright.testing.processes import free_base
from meshwright.toolserver import Call, ToolServer
from orchestrator.server import orchestrator_app

pytestmark = pytest.mark.usefixtures("model_clients")

LEAVES = {"x-mesh-on-disconnect": "cancel"}


class Thing(BaseModel):
    name: str


def workshop(hand: Any) -> ToolServer:
    """One tool to read with and one to write with, both in the test's hand."""
    server = ToolServer("workshop", version="1")

    @server.read
    async def look_at(thing: str) -> Thing:
        await hand.work()
        return Thing(name=thing)

    @server.write
    async def paint(thing: str, call: Call) -> Thing:
        await hand.work()
        hand.jobs.append(thing)
        return Thing(name=thing)

    return server


async def looking(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply=(await job.tools.call("look_at", thing="t1"))["name"])


def asking(skill: str) -> Any:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        return await job.peers.ask(skill, "look", share=1)

    return playbook


@asynccontextmanager
async def given_up(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Work that is under way in the body, and cancelled at its end."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_cancel_at_the_entrance_reaches_the_tool_below_two_agents(team: Any, hand: Any) -> None:
    tool = hand(waits=True)
    await team.start_tools(workshop(tool))
    await team.start("returns", looking, tools=["workshop"])
    await team.start("orders", asking("order-return"), peers=["returns"])
    async with given_up(team.ask("orders")):
        await tool.began.wait()
    await tool.stopped.wait()


async def test_a_deadline_that_passes_reaches_the_tool_below_two_agents(team: Any, hand: Any) -> None:
    tool = hand(waits=True)
    await team.start_tools(workshop(tool))
    await team.start("returns", looking, tools=["workshop"])
    await team.start("orders", asking("order-return"), peers=["returns"])
    with pytest.raises(PeerError, match=r"deadline passed|no answer"):
        await team.ask("orders", seconds=1.5)
    await tool.stopped.wait()


async def test_a_cancel_at_the_orchestrator_reaches_the_tool_below_two_agents(team: Any, hand: Any) -> None:
    async def split(subtask: Subtask, job: Job) -> Split:
        return Split(subtasks=[Subtask(id="look", skill="order-status", instruction="look")])

    async def merge(subtask: Subtask, job: Job) -> Finding:
        return Finding()

    tool = hand(waits=True)
    await team.start_tools(workshop(tool))
    await team.start("triage", split)
    await team.start("aggregator", merge)
    await team.start("returns", looking, tools=["workshop"])
    await team.start("orders", asking("order-return"), peers=["returns"])
    settings = Settings.model_validate(
        {
            "database": f"sqlite:///{team.folder}/orchestrator.db",
            "peers": tuple(team.url(name) for name in ("triage", "orders", "aggregator")),
            "grace": 0,
        }
    )
    await team.serve("orchestrator", orchestrator_app(settings, team.identity("orchestrator")))
    async with given_up(team.ask("orchestrator", seconds=60, text="look at t1")):
        await tool.began.wait()
    await tool.stopped.wait()


@pytest.mark.filterwarnings("ignore")  # LiteLLM and what it brings warn about themselves
async def test_a_models_request_is_aborted_when_the_task_is_cancelled(team: Any, hand: Any) -> None:
    import litellm  # before a deadline is measured

    assert litellm is not None
    async with ScriptedModel([{"hang": True}]).serving() as model:
        settings = {"model": "openai/scripted", "model_url": model.url, "model_key": "k"}
        await team.start("returns", hand().playbook, instructions="You look at things.", **settings)
        await team.start("orders", asking("order-return"), peers=["returns"])
        async with given_up(team.ask("orders", seconds=60)) as asked:
            while not model.asked:
                assert not asked.done()
                await asyncio.sleep(0)
        await model.hung_up.wait()


async def toolbox(team: Any, url: str) -> Toolbox:
    http = http_client()
    team._stack.push_async_callback(http.aclose)
    return Toolbox([url], http, team.identity("orders"))


async def test_a_tool_is_stopped_when_its_caller_gives_up(team: Any, hand: Any) -> None:
    tool = hand(waits=True)
    box = await toolbox(team, await team.start_tools(workshop(tool)))
    async with given_up(box.session(by=Deadline.after(20)).call("look_at", thing="t1")):
        await tool.began.wait()
    await tool.stopped.wait()


async def test_a_write_that_has_begun_is_finished_whoever_gives_up(team: Any, hand: Any) -> None:
    tool = hand(waits=True)
    box = await toolbox(team, await team.start_tools(workshop(tool)))
    grant = Grant.of("paint", {"thing": "t1"}, key="k1")
    async with given_up(box.session(by=Deadline.after(20)).apply(grant, {"thing": "t1"})):
        await tool.began.wait()
    tool.began.clear()
    async with given_up(box.session(by=Deadline.after(20)).call("look_at", thing="t1")):
        await tool.began.wait()
    await tool.stopped.wait()  # a read that was given up after it is stopped: the server has noticed by now
    tool.gate.set()
    while not tool.jobs:
        await asyncio.sleep(0)
    assert tool.jobs == ["t1"]


async def test_nobody_waits_for_a_tool_server_that_does_not_notice(team: Any) -> None:
    never = asyncio.Event()

    async def mcp(request: Request) -> JSONResponse:
        body = await request.json()
        if body["method"] == "tools/call":
            await never.wait()
        tools = [{"name": "look_at", "inputSchema": {"type": "object"}}]
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": {"tools": tools}})

    async def livez(request: Request) -> JSONResponse:
        return JSONResponse({"name": "deaf"})

    app = Starlette(routes=[Route("/mcp", mcp, methods=["POST"]), Route("/livez", livez)])
    box = await toolbox(team, await team.serve("deaf", app))
    with pytest.raises(PeerTimedOut):
        await box.session(by=Deadline.after(0.3)).call("look_at", thing="t1")
    never.set()


# Going away


MESSAGE = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "look"}]}
V1 = {"a2a-version": "1.0", "content-type": "application/json"}


async def over_json_rpc(url: str, method: str, headers: dict[str, str]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": MESSAGE}}
    async with httpx.AsyncClient(timeout=None) as http:
        await http.post(url + "/", content=json.dumps(body), headers={**V1, **headers})


async def over_rest(url: str, method: str, headers: dict[str, str]) -> None:
    path = "/rest/message:stream" if method == "SendStreamingMessage" else "/rest/message:send"
    async with httpx.AsyncClient(timeout=None) as http:
        await http.post(url + path, content=json.dumps({"message": MESSAGE}), headers={**V1, **headers})


async def over_grpc(address: str, method: str, headers: dict[str, str]) -> None:
    request = ParseDict({"message": MESSAGE}, SendMessageRequest())
    metadata = [("a2a-version", "1.0"), *headers.items()]
    async with grpc.aio.insecure_channel(address) as channel:
        calling = getattr(A2AServiceStub(channel), method)(request, metadata=metadata)
        if method == "SendMessage":
            await calling
        else:
            async for _ in calling:
                pass


METHODS = ("SendMessage", "SendStreamingMessage")
BINDINGS = {"JSONRPC": over_json_rpc, "HTTP+JSON": over_rest, "GRPC": over_grpc}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_caller_that_said_so_cancels_by_going_away(
    keyless: Any, hand: Any, binding: str, method: str
) -> None:
    work, port = hand(waits=True), free_base(1)
    url = await keyless.start("orders", work.playbook, grpc_port=port)
    address = f"127.0.0.1:{port}" if binding == "GRPC" else url
    async with given_up(BINDINGS[binding](address, method, LEAVES)):
        await work.began.wait()
    await work.stopped.wait()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_caller_that_said_nothing_may_come_back(
    keyless: Any, hand: Any, binding: str, method: str
) -> None:
    work, port = hand(waits=True), free_base(1)
    url = await keyless.start("orders", work.playbook, grpc_port=port)
    address = f"127.0.0.1:{port}" if binding == "GRPC" else url
    async with given_up(BINDINGS[binding](address, method, {"x-mesh-on-disconnect": "whatever"})):
        await work.began.wait()
    coming_back = asyncio.ensure_future(BINDINGS[binding](address, method, {}))
    work.gate.set()
    await coming_back
    assert len(work.jobs) == 1
    assert not work.stopped.is_set()


async def test_a_task_that_nobody_waits_for_can_be_cancelled(keyless: Any, hand: Any) -> None:
    work = hand(waits=True)
    url = await keyless.start("orders", work.playbook)
    params = {"message": MESSAGE, "configuration": {"returnImmediately": True}}
    async with httpx.AsyncClient() as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
        answer = await http.post(url + "/", content=json.dumps(body), headers={**V1, **LEAVES})
        task = answer.json()["result"]["task"]
        await work.began.wait()
        assert not work.stopped.is_set()  # that it hung up is no going away: it has its answer
        await http.post(url + f"/rest/tasks/{task['id']}:cancel", content="{}", headers=V1)
    await work.stopped.wait()


# Too late


async def test_what_comes_after_the_deadline_counts_nowhere(team: Any, hand: Any) -> None:
    """An agent that swallows its cancellation: its answer, its questions and its tools come too late."""
    late = asyncio.Event()
    refused: list[type[BaseException]] = []
    returns = hand()
    tool = hand()
    await team.start_tools(workshop(tool))
    await team.start("returns", returns.playbook)

    async def stubborn(subtask: Subtask, job: Job) -> Finding:
        while not late.is_set():
            try:
                await late.wait()
            except asyncio.CancelledError:
                continue
        for doing in (job.peers.ask("order-return", "look"), job.tools.call("look_at", thing="t1")):
            try:
                await doing
            except DeadlineExceeded as error:
                refused.append(type(error))
        done.set()
        return Finding(reply="too late")

    done = asyncio.Event()
    await team.start("orders", stubborn, peers=["returns"], tools=["workshop"])
    seen: list[str] = []

    async def began(task_id: str) -> None:
        seen.append(task_id)

    with pytest.raises(PeerTimedOut):
        await team.ask("orders", seconds=0.5, began=began)
    late.set()
    await done.wait()
    assert refused == [DeadlineExceeded, DeadlineExceeded]
    assert (returns.jobs, tool.began.is_set()) == ([], False)
    headers = {"a2a-version": "1.0", **team.identity("operator").authorization("orders")}
    call = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": seen[0]}}
    async with httpx.AsyncClient() as http:
        task = (await http.post(team.url("orders"), json=call, headers=headers)).json()["result"]
    assert task["status"]["state"] in ("TASK_STATE_FAILED", "TASK_STATE_CANCELED")
    assert "too late" not in str(task)
