"""What stands before the operations of every A2A server: the same rules at each door, and nothing of the inside goes out."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import RequestHandler
from a2a.types import (
    AgentCard,
    GetTaskRequest,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.types.a2a_pb2_grpc import A2AServiceStub
from a2a.utils.errors import TaskNotFoundError, UnsupportedOperationError
from starlette.applications import Starlette
from starlette.middleware import Middleware

import agent_cards
from meshwright.card import offered, parse_card, stamped, to_json
from meshwright.inbound.admission import MAX_DEPTH, Admission
from meshwright.inbound.bindings import http_bindings, refusal
from meshwright.inbound.doorman import Doorman
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.inbound.extensions import ExtensionEcho
from meshwright.inbound.grpcdoor import GrpcDoor
from meshwright.inbound.health import Readiness
from meshwright.inbound.sanitised import Sanitised
from meshwright.inbound.server import a2a_app
from meshwright.settings import Settings, SettingsError
from meshwright.testing import InProcess, Keyring

ORIGIN = "http://agent"
MESH = "urn:meshwright:extension:mesh:v1"
SECRET = "password=hunter2"
V1 = {"a2a-version": "1.0"}
BINDINGS = ["JSONRPC", "HTTP+JSON", "GRPC"]


class Behind(RequestHandler):
    """What is behind the doors: it remembers each call, answers with a task, and breaks when the message says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ServerCallContext]] = []

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.calls[-1][1].state["headers"])

    def _task(self, params: Any, context: ServerCallContext) -> Task:
        self.calls.append((params, context))
        if "break" in params.message.parts[0].text:
            raise RuntimeError(SECRET)
        task = Task(id="t1", context_id=params.message.context_id or "c1")
        task.status.state = TaskState.TASK_STATE_COMPLETED
        return task

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Task:
        return self._task(params, context)

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Task]:
        if params.message.parts[0].text == "break early":
            raise RuntimeError(SECRET)
        yield Task(id="t1", context_id="c1")
        yield self._task(params, context)

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Task]:
        raise TaskNotFoundError
        yield

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        self.calls.append((params, context))
        return None

    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        self.calls.append((params, context))
        return ListTasksResponse()

    async def _unsupported(self, params: Any, context: ServerCallContext) -> Any:
        raise UnsupportedOperationError

    on_cancel_task = _unsupported
    on_create_task_push_notification_config = _unsupported
    on_get_task_push_notification_config = _unsupported
    on_list_task_push_notification_configs = _unsupported
    on_delete_task_push_notification_config = _unsupported
    on_get_extended_agent_card = _unsupported


@dataclass
class Doors:
    """A server with all its doors open, and clients that know no better than curl."""

    behind: Behind
    card: AgentCard
    http: httpx.AsyncClient
    channel: grpc.aio.Channel
    keys: Keyring

    async def post(self, body: Any, path: str = "/", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return await self.http.post(ORIGIN + path, content=content, headers=names)

    async def rpc(self, method: str, params: Any, **headers: str) -> Any:
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        return (await self.post(body, **headers)).json()

    async def say(self, binding: str, text: str, **headers: str) -> str:
        """Send a text over a binding; the id of the task, or the whole error as it came over the wire."""
        message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}]}
        if binding == "JSONRPC":
            answer = await self.rpc("SendMessage", {"message": message}, **headers)
            return str(answer["result"]["task"]["id"] if "result" in answer else answer)
        if binding == "HTTP+JSON":
            answered = await self.post({"message": message}, "/rest/message:send", **headers)
            return str(answered.json()["task"]["id"] if answered.status_code == 200 else answered.json())
        try:
            response, _ = await self.call("SendMessage", words(text), **headers)
        except grpc.aio.AioRpcError as error:
            return f"{error.code()} {error.details()} {error.trailing_metadata()}"
        return str(response.task.id)

    async def call(
        self, operation: str, request: Any, *, timeout: float | None = None, **headers: str
    ) -> tuple[Any, dict[str, Any]]:
        """One unary gRPC call: the answer and its initial metadata."""
        metadata = [(k.replace("_", "-"), v) for k, v in headers.items()]
        calling = getattr(A2AServiceStub(self.channel), operation)(
            request, metadata=metadata, timeout=timeout
        )
        answer = await calling
        return answer, dict(await calling.initial_metadata())

    def token(self, audience: str = "agent") -> str:
        return f"Bearer {self.keys.signer('peer').token(audience)}"


def words(text: str = "hello", **fields: Any) -> SendMessageRequest:
    return SendMessageRequest(
        message=Message(message_id="m1", role=Role.ROLE_USER, parts=[Part(text=text)], **fields)
    )


def card_with(**capabilities: Any) -> AgentCard:
    document = json.loads(agent_cards.path("orders").read_text())
    document["capabilities"] |= capabilities
    return parse_card(document)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def doors(
    card: AgentCard | None = None, *, strangers: bool = True, max_body: int = 65_536
) -> AsyncIterator[Doors]:
    keys = Keyring("agent", "peer")
    trust = keys.identity("agent", open_to_strangers=strangers).trust
    settings = Settings(grpc_port=free_port(), max_body=max_body)
    complete = stamped(offered(card or agent_cards.load("orders"), settings.grpc_port), ORIGIN)
    behind = Behind()
    operations = Sanitised(behind)
    app = Starlette(
        routes=http_bindings(operations, complete),
        middleware=[
            Middleware(Doorman, trust=trust),
            Middleware(Admission, max_body=max_body, refusal=refusal),
            Middleware(ExtensionEcho, card=complete),
        ],
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(GrpcDoor(operations, complete, settings, trust).open())
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{settings.grpc_port}")
        await stack.enter_async_context(channel)
        http = await stack.enter_async_context(InProcess({ORIGIN: app}).client())
        yield Doors(behind, complete, http, channel, keys)


@pytest.fixture
async def open_doors() -> AsyncIterator[Doors]:
    async with doors() as opened:
        yield opened


# Versions


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_caller_of_version_one_is_served_on_every_binding(open_doors: Doors, binding: str) -> None:
    assert await open_doors.say(binding, "hello", **V1) == "t1"


@pytest.mark.parametrize(
    "version", [{}, {"a2a-version": "0.3"}, {"a2a-version": "2.0"}, {"a2a-version": "?"}]
)
@pytest.mark.parametrize("binding", BINDINGS)
async def test_another_version_is_refused_on_every_binding(
    open_doors: Doors, binding: str, version: dict[str, str]
) -> None:
    assert "VERSION_NOT_SUPPORTED" in await open_doors.say(binding, "hello", **version)
    assert open_doors.behind.calls == []


async def test_the_version_may_come_in_the_query_where_no_header_can_be_set(open_doors: Doors) -> None:
    assert (await open_doors.http.get(ORIGIN + "/rest/tasks?A2A-Version=1.0")).status_code == 200
    assert (await open_doors.http.get(ORIGIN + "/rest/tasks?A2A-Version=2.0")).status_code == 400
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    assert "result" in (await open_doors.post(body, "/?A2A-Version=1.0")).json()
    refused = await open_doors.post(body, "/?A2A-Version=1.0", a2a_version="2.0")
    assert refused.json()["error"]["code"] == -32009


# Extensions


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_required_extension_is_required(binding: str) -> None:
    needed = [{"uri": "urn:needed", "required": True}, {"uri": "urn:nice"}]
    async with doors(card_with(extensions=needed)) as opened:
        refused = await opened.say(binding, "hello", **V1)
        assert "EXTENSION_SUPPORT_REQUIRED" in refused
        assert "urn:needed" in refused
        assert await opened.say(binding, "hello", **V1, a2a_extensions="urn:nice, urn:needed") == "t1"


async def test_the_extensions_that_are_active_are_echoed(open_doors: Doors) -> None:
    asked = f"urn:unknown, {MESH}"
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    answer = await open_doors.post(body, **V1, a2a_extensions=asked)
    assert answer.headers["a2a-extensions"] == MESH
    rest = await open_doors.http.get(ORIGIN + "/rest/tasks", headers={**V1, "a2a-extensions": asked})
    assert rest.headers["a2a-extensions"] == MESH
    _, metadata = await open_doors.call("ListTasks", ListTasksRequest(), **V1, **{"a2a-extensions": asked})
    assert metadata["a2a-extensions"] == MESH
    assert "a2a-extensions" not in (await open_doors.post(body, **V1)).headers
    assert "a2a-extensions" not in (await open_doors.post(body, **V1, a2a_extensions="urn:x")).headers


# Bodies and envelopes


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_media_type_is_refused(open_doors: Doors, kind: str) -> None:
    for body in (b"hello", b'{"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}'):
        answer = await open_doors.post(body, **V1, content_type=kind)
        assert answer.json()["error"]["code"] == -32005
    rest = await open_doors.post({"message": {}}, "/rest/message:send", **V1, content_type=kind)
    assert rest.status_code == 400
    assert rest.json()["error"]["details"][0]["reason"] == "CONTENT_TYPE_NOT_SUPPORTED"


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/a2a+json", "Application/JSON"]
)
async def test_json_by_any_of_its_names_is_json(open_doors: Doors, kind: str) -> None:
    assert await open_doors.say("HTTP+JSON", "hello", **V1, content_type=kind) == "t1"
    twice = b'{"message": {}, "message": {}}'
    assert (await open_doors.post(twice, "/rest/message:send", **V1, content_type=kind)).status_code == 400


async def test_the_rest_binding_answers_in_the_media_type_of_the_protocol(open_doors: Doors) -> None:
    answer = await open_doors.http.get(ORIGIN + "/rest/tasks", headers=V1)
    assert answer.headers["content-type"] == "application/a2a+json"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b'{"a": NaN}', -32700),
        ([], -32600),
        ([{"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}], -32600),
        ("text", -32600),
        (7, -32600),
        ({"jsonrpc": "1.0", "id": 1, "method": "ListTasks"}, -32600),
        ({"jsonrpc": "2.0", "id": True, "method": "ListTasks"}, -32600),
        ({"jsonrpc": "2.0", "id": 1}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "Fly"}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "message/send"}, -32009),
        ({"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": []}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": None}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": {"a": 1}}}, -32602),
    ],
)
async def test_an_envelope_that_is_off_gets_the_code_that_json_rpc_has_for_it(
    open_doors: Doors, body: Any, code: int
) -> None:
    answer = (await open_doors.post(body)).json()
    assert (answer["jsonrpc"], answer["error"]["code"]) == ("2.0", code)
    assert "object has no attribute" not in json.dumps(answer)


async def test_a_body_that_is_too_large_is_refused_in_the_form_of_its_binding() -> None:
    async with doors(max_body=2048) as opened:
        text = "x" * 4096
        assert "-32600" in await opened.say("JSONRPC", text, **V1)
        assert "RESOURCE_EXHAUSTED" in await opened.say("HTTP+JSON", text, **V1)
        assert "RESOURCE_EXHAUSTED" in await opened.say("GRPC", text, **V1)
        assert opened.behind.calls == []


async def test_a_number_that_json_does_not_know_is_refused_over_grpc_too(open_doors: Doors) -> None:
    request = words()
    request.message.parts.add().data.number_value = float("nan")
    with pytest.raises(grpc.aio.AioRpcError, match="JSON does not know") as refused:
        await open_doors.call("SendMessage", request, **V1)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def nested(levels: int) -> dict[str, Any]:
    """Metadata of a message that make it one of so many levels, itself and what it stands in counted."""
    inner: dict[str, Any] = {}
    for _ in range(levels - 3):
        inner = {"in": inner}
    return inner


async def test_what_is_nested_too_deep_to_be_told_again_is_refused_over_grpc_too(open_doors: Doors) -> None:
    fits, deep = words(), words()
    fits.message.metadata.update(nested(MAX_DEPTH))
    deep.message.metadata.update(nested(MAX_DEPTH + 1))
    with pytest.raises(grpc.aio.AioRpcError, match="deeper than 32 levels") as refused:
        await open_doors.call("SendMessage", deep, **V1)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    task, _ = await open_doors.call("SendMessage", fits, **V1)
    listed = ListTasksResponse(tasks=[Task(history=[fits.message])])
    assert task.task.id
    assert ListTasksResponse.FromString(listed.SerializeToString()) == listed


@pytest.mark.parametrize("operation", ["SendMessage", "SendStreamingMessage", "GetTask", "ListTasks"])
async def test_what_is_no_message_of_the_operation_is_refused_over_grpc(
    open_doors: Doors, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"/lf.a2a.v1.A2AService/{operation}"
    for metadata, code in ((V1, grpc.StatusCode.INVALID_ARGUMENT), ({}, grpc.StatusCode.FAILED_PRECONDITION)):
        if operation == "SendStreamingMessage":
            reading = aiter(open_doors.channel.unary_stream(path)(b"\xff" * 20, metadata=[*metadata.items()]))
            refusal = anext(reading)
        else:
            refusal = open_doors.channel.unary_unary(path)(b"\xff" * 20, metadata=[*metadata.items()])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await refusal
        assert refused.value.code() == code
        assert "protobuf" not in str(refused.value.details())
    assert open_doors.behind.calls == []
    assert caplog.records == []


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("length", [37, 128])
async def test_a_context_id_may_be_longer_than_a_uuid(open_doors: Doors, binding: str, length: int) -> None:
    context_id = "c" * length
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}], "contextId": context_id}
    if binding == "JSONRPC":
        answer = await open_doors.rpc("SendMessage", {"message": message}, **V1)
        got = answer["result"]["task"]["contextId"]
    elif binding == "HTTP+JSON":
        answered = await open_doors.post({"message": message}, "/rest/message:send", **V1)
        got = answered.json()["task"]["contextId"]
    else:
        response, _ = await open_doors.call("SendMessage", words(context_id=context_id), **V1)
        got = response.task.context_id
    assert got == context_id


# What broke inside


@pytest.mark.parametrize("binding", BINDINGS)
async def test_what_broke_inside_does_not_go_out(
    open_doors: Doors, binding: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await open_doors.say(binding, "break", **V1)
    assert SECRET not in answer
    assert "RuntimeError" not in answer
    reference = answer.partition("reference ")[2][:8]
    assert any(reference in record.message and record.exc_info for record in caplog.records)


@pytest.mark.parametrize("text", ["break early", "break late"])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_what_breaks_in_a_stream_does_not_go_out(open_doors: Doors, binding: str, text: str) -> None:
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}]}
    if binding == "JSONRPC":
        body = {"jsonrpc": "2.0", "id": 7, "method": "SendStreamingMessage", "params": {"message": message}}
        answer = (await open_doors.post(body, **V1)).text
    elif binding == "HTTP+JSON":
        answer = (await open_doors.post({"message": message}, "/rest/message:stream", **V1)).text
    else:
        stream = A2AServiceStub(open_doors.channel).SendStreamingMessage(words(text), metadata=[*V1.items()])
        with pytest.raises(grpc.aio.AioRpcError) as broken:
            async for _ in stream:
                pass
        answer = f"{broken.value.code()} {broken.value.details()} {broken.value.trailing_metadata()}"
    assert "internal error; reference" in answer
    assert SECRET not in answer
    assert "RuntimeError" not in answer


async def test_the_errors_of_the_protocol_go_out_as_they_are(open_doors: Doors) -> None:
    answer = await open_doors.rpc("GetTask", {"id": "x"}, **V1)
    assert answer["error"]["code"] == -32001
    assert answer["id"] == 7
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await open_doors.call("GetTask", GetTaskRequest(id="x"), **V1)
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND


# Callers, tenants and deadlines


async def test_a_token_over_grpc_names_the_caller() -> None:
    async with doors(strangers=False) as opened:
        assert await opened.say("GRPC", "hello", **V1, authorization=opened.token()) == "t1"
        user = opened.behind.calls[-1][1].user
        assert (user.is_authenticated, user.user_name) == (True, "peer")


@pytest.mark.parametrize("kind", ["none", "nonsense", "for another"])
async def test_a_call_over_grpc_without_a_token_that_verifies_is_unauthenticated(kind: str) -> None:
    async with doors(strangers=False) as opened:
        given = {"none": None, "nonsense": "Bearer x", "for another": opened.token("someone-else")}[kind]
        headers = {**V1, **({"authorization": given} if given else {})}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await opened.call("SendMessage", words(), **headers)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert opened.behind.calls == []


async def test_the_deadline_of_a_grpc_call_arrives_in_the_header_of_ours(open_doors: Doors) -> None:
    await open_doors.call("SendMessage", words(), timeout=20, **V1)
    # gRPC counts on a clock of its own, which may differ by a tenth of a second.
    assert 0 < int(open_doors.behind.headers["x-mesh-deadline-ms"]) <= 21_000
    await open_doors.call("SendMessage", words(), timeout=20, **V1, x_mesh_deadline_ms="50")
    assert open_doors.behind.headers["x-mesh-deadline-ms"] == "50"
    await open_doors.call("SendMessage", words(), timeout=20, **V1, x_mesh_deadline_ms="90000")
    assert int(open_doors.behind.headers["x-mesh-deadline-ms"]) <= 21_000
    await open_doors.call("SendMessage", words(), **V1)
    assert "x-mesh-deadline-ms" not in open_doors.behind.headers


async def test_metadata_arrives_as_headers_do(open_doors: Doors) -> None:
    await open_doors.call("SendMessage", words(), **V1, x_mesh_run="r1", traceparent="00-1-2-01")
    assert open_doors.behind.headers.items() >= {"x-mesh-run": "r1", "traceparent": "00-1-2-01"}.items()


async def test_a_tenant_is_found_where_each_binding_puts_it(open_doors: Doors) -> None:
    await open_doors.http.get(ORIGIN + "/rest/acme/tasks", headers=V1)
    await open_doors.rpc("ListTasks", {"tenant": "acme"}, **V1)
    await open_doors.call("ListTasks", ListTasksRequest(tenant="acme"), **V1)
    assert [context.tenant for _, context in open_doors.behind.calls] == ["acme"] * 3


# A2A 0.3


OLD = {"messageId": "m1", "role": "user", "kind": "message", "parts": [{"kind": "text", "text": "hello"}]}


async def test_a_caller_of_0_3_is_served_where_the_card_lists_it() -> None:
    async with doors(agent_cards.load("orchestrator")) as opened:
        answer = await opened.rpc("message/send", {"message": OLD})
        assert (answer["result"]["kind"], answer["result"]["status"]["state"]) == ("task", "completed")
        assert (await opened.rpc("message/send", {"message": OLD}, a2a_version="0.3"))["result"]["id"] == "t1"
        assert await opened.say("JSONRPC", "hello", **V1) == "t1"
        assert "VERSION_NOT_SUPPORTED" in await opened.say("JSONRPC", "hello")
        legacy = to_json(opened.card)
        assert (legacy["url"], legacy["protocolVersion"]) == (ORIGIN + "/", "0.3")


async def test_a_caller_of_0_3_is_told_so_where_the_card_does_not(open_doors: Doors) -> None:
    assert (await open_doors.rpc("message/send", {"message": OLD}))["error"]["code"] == -32009
    assert "protocolVersion" not in to_json(open_doors.card)


@pytest.mark.parametrize("method", ["message/send", "message/stream"])
@pytest.mark.parametrize(
    "part",
    [{"kind": "text", "text": "break"}, {"kind": "text"}, {"kind": "file", "file": {"bytes": "x"}}],
)
async def test_what_breaks_for_a_caller_of_0_3_does_not_go_out_either(method: str, part: Any) -> None:
    async with doors(agent_cards.load("orchestrator")) as opened:
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": {"message": {**OLD, "parts": [part]}},
        }
        answer = (await opened.post(body)).text
    assert "error" in answer
    assert not any(word in answer for word in (SECRET, "RuntimeError", "pydantic", "padding"))


async def test_a_required_extension_may_be_named_as_in_0_3() -> None:
    document = json.loads(agent_cards.path("orchestrator").read_text())
    document["capabilities"]["extensions"] = [{"uri": "urn:needed", "required": True}]
    async with doors(parse_card(document)) as opened:
        assert "error" in await opened.rpc("message/send", {"message": OLD})
        answer = await opened.rpc("message/send", {"message": OLD}, x_a2a_extensions="urn:needed")
        assert answer["result"]["id"] == "t1"


# Clients and settings


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_stock_client_speaks_one_zero_with_a_card_that_lists_both_versions(binding: str) -> None:
    async with doors(agent_cards.load("orchestrator")) as opened:
        config = ClientConfig(
            streaming=False,
            httpx_client=opened.http,
            supported_protocol_bindings=[binding],
            grpc_channel_factory=lambda _: opened.channel,
        )
        client = ClientFactory(config).create(opened.card)
        events = [event async for event in client.send_message(words())]
        assert events[0].task.id == "t1"
        assert opened.behind.headers["a2a-version"] == "1.0"


def test_a_port_that_is_taken_is_named(taken_port: int) -> None:
    settings = Settings(grpc_port=taken_port)
    trust = Keyring("agent").identity("agent").trust
    with pytest.raises(SettingsError, match=f"{taken_port}.*MESHWRIGHT_GRPC_PORT"):
        GrpcDoor(Behind(), agent_cards.load("orders"), settings, trust)


def test_without_grpc_installed_a_port_for_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "from meshwright.inbound.grpcdoor import GrpcDoor\n"
        "from meshwright.settings import Settings\n"
        "GrpcDoor(None, None, Settings(), None)\n"
        "GrpcDoor(None, None, Settings(grpc_port=1), None)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "SettingsError" in run.stderr
    assert "meshwright[grpc]" in run.stderr
    assert run.stderr.count("line 5") == 1


def test_no_module_before_the_port_is_set_needs_grpc() -> None:
    code = "import sys; sys.modules['grpc'] = None; import meshwright.inbound.server, orchestrator.server"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


async def test_a_whole_server_has_all_its_doors_before_one_and_the_same_book() -> None:
    settings = Settings(grpc_port=free_port(), database="memory:", public_url=ORIGIN)
    identity = Keyring("agent").identity("agent")

    async def work(incoming: Incoming) -> Outcome:
        return Outcome(text=f"heard: {incoming.text}")

    @asynccontextmanager
    async def nothing_else(handler: RequestHandler) -> AsyncIterator[None]:
        yield

    card = agent_cards.load("orchestrator")
    app = a2a_app("agent", card, work, settings, identity, Readiness(), lifespan=nothing_else)
    async with InProcess({ORIGIN: app}).running() as mesh, mesh.client() as http:
        served = await A2ACardResolver(http, ORIGIN).get_agent_card()
        listed = [i.url for i in served.supported_interfaces]
        assert listed == [ORIGIN + "/", ORIGIN + "/rest", f"agent:{settings.grpc_port}", ORIGIN + "/"]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{settings.grpc_port}") as channel:
            stub, metadata = A2AServiceStub(channel), [*V1.items()]
            sent = await stub.SendMessage(words(context_id="c" * 128), metadata=metadata)
            assert sent.task.status.state == TaskState.TASK_STATE_COMPLETED
            stream = stub.SendStreamingMessage(words(), metadata=metadata)
            kinds = [event.WhichOneof("payload") async for event in stream]
            assert (kinds[0], kinds[-1]) == ("task", "status_update")
        got = await http.get(f"{ORIGIN}/rest/tasks/{sent.task.id}", headers=V1)
        assert got.json()["contextId"] == "c" * 128
        old = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": sent.task.id}}
        assert (await http.post(ORIGIN, json=old)).json()["result"]["status"]["state"] == "completed"


async def test_who_drains_takes_no_more_calls_over_grpc_and_answers_those_it_has() -> None:
    settings = Settings(grpc_port=free_port(), database="memory:", public_url=ORIGIN)
    began, gate = asyncio.Event(), asyncio.Event()

    async def work(incoming: Incoming) -> Outcome:
        began.set()
        await gate.wait()
        return Outcome(text="done")

    @asynccontextmanager
    async def nothing_else(handler: RequestHandler) -> AsyncIterator[None]:
        yield

    card, identity = agent_cards.load("orchestrator"), Keyring("agent").identity("agent")
    app = a2a_app("agent", card, work, settings, identity, Readiness(), lifespan=nothing_else)
    address = f"127.0.0.1:{settings.grpc_port}"
    async with InProcess({ORIGIN: app}).running(), grpc.aio.insecure_channel(address) as channel:
        stub, metadata = A2AServiceStub(channel), [*V1.items()]
        first = asyncio.ensure_future(stub.SendMessage(words(), metadata=metadata))
        await began.wait()
        app.state.drain()
        code = grpc.StatusCode.NOT_FOUND
        # Until the server has heard of it; a call that comes in that very moment is cut by gRPC itself.
        while code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetTask(GetTaskRequest(id="none"), metadata=metadata, timeout=5)
            code = refused.value.code()
        assert code == grpc.StatusCode.UNAVAILABLE
        gate.set()
        assert (await first).task.status.state == TaskState.TASK_STATE_COMPLETED
