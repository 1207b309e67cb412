"""What the bindings answer to requests that are off: in A2A's words and codes, the same at each of them, and never in Python's."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from a2a.types import AgentCard, TaskArtifactUpdateEvent, TaskState
from starlette.applications import Starlette
from starlette.middleware import Middleware

from meshwright.card import offered, parse_card, stamped
from meshwright.database import open_database
from meshwright.inbound.admission import Admission
from meshwright.inbound.bindings import http_bindings, refusal
from meshwright.inbound.doorman import Doorman
from meshwright.inbound.handler import MeshRequestHandler
from meshwright.inbound.identity import Trust
from meshwright.inbound.sanitised import Sanitised
from meshwright.parts import text_part
from meshwright.settings import Settings
from meshwright.tasks.book import TaskBook
from meshwright.tasks.events import Event, status
from meshwright.tasks.turn import Turn
from meshwright.tasks.worker import Worker
from meshwright.testing import InProcess

ORIGIN = "http://agent"
#: What only a parser, or Python, says.
PYTHON = ("parseError", "NoneType", "invalid literal", "Expecting value", "set()", "bytes-like", "Traceback")
OLD, NEW = "0.3", "1.0"


def card() -> AgentCard:
    """An agent that serves both versions over both bindings of HTTP."""
    listed = [
        {"protocolBinding": binding, "protocolVersion": version}
        for version in (NEW, OLD)
        for binding in ("JSONRPC", "HTTP+JSON")
    ]
    document = {
        "name": "Echo",
        "description": "Says it back.",
        "version": "1.0.0",
        "capabilities": {"streaming": True, "pushNotifications": True},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "echo", "name": "Echo", "description": "Says it back.", "tags": ["echo"]}],
        "supportedInterfaces": listed,
    }
    return stamped(offered(parse_card(document), 0), ORIGIN)


async def perform(turn: Turn) -> Sequence[Event]:
    """Says it back; asks, or says nothing, when it is told to."""
    task, text = turn.task, turn.envelope.message.parts[0].text
    artifact = TaskArtifactUpdateEvent(task_id=task.id, context_id=task.context_id)
    artifact.artifact.artifact_id = "answer"
    artifact.artifact.parts.append(text_part(text))
    asks = TaskState.TASK_STATE_INPUT_REQUIRED
    end = status(task.id, task.context_id, asks if text == "ask" else TaskState.TASK_STATE_COMPLETED)
    return [end] if text == "nothing" else [artifact, end]


class Client:
    """Says what it is told to, and hears what comes back."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._sent = 0

    async def ask(
        self, method: str, path: str, body: Any = None, *, version: str = NEW, **headers: str
    ) -> httpx.Response:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {"a2a-version": version, "content-type": "application/json", **headers}
        return await self._http.request(method, ORIGIN + path, content=content, headers=named)

    async def rpc(self, method: str, params: Any, *, version: str = NEW) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await self.ask("POST", "/", body, version=version)
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    def message(self, text: str = "hi", **more: Any) -> dict[str, Any]:
        self._sent += 1
        return {"messageId": f"m{self._sent}", "role": "ROLE_USER", "parts": [{"text": text}], **more}

    async def task(self, text: str = "hi") -> str:
        answer = await self.rpc("SendMessage", {"message": self.message(text)})
        return str(answer["result"]["task"]["id"])


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    served = card()
    async with AsyncExitStack() as stack:
        database = await open_database("memory:")
        stack.push_async_callback(database.close)
        handler = MeshRequestHandler(served, Settings())
        handler.book = TaskBook(database, "echo")
        handler.worker = Worker(handler.book, perform, lease=60, claims=3, answers_only=True)
        stack.push_async_callback(handler.worker.aclose)
        app = Starlette(
            routes=http_bindings(Sanitised(handler), served),
            middleware=[
                Middleware(Doorman, trust=Trust("echo", {}, open_to_strangers=True)),
                Middleware(Admission, max_body=65_536, refusal=refusal),
            ],
        )
        yield Client(await stack.enter_async_context(InProcess({ORIGIN: app}).client()))


def reason(content: Any) -> str:
    return str(content["error"]["details"][0]["reason"])


# JSON-RPC


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("GetTask", {"id": 5}, "id"),
        ("CancelTask", {"id": ["x"]}, "id"),
        ("GetTask", {"id": "x", "historyLength": 1.5}, "historyLength"),
        ("ListTasks", {"pageSize": 10**12}, "pageSize"),
        ("ListTasks", {"statusTimestampAfter": "soon"}, "statusTimestampAfter"),
        ("SendMessage", {"configuration": {"historyLength": "x"}}, "configuration.historyLength"),
        ("SendMessage", {"message": {"parts": [{"text": "a", "url": "b"}]}}, "message.parts"),
    ],
)
async def test_what_cannot_be_read_is_told_by_the_name_of_its_field(
    client: Client, method: str, params: Any, field: str
) -> None:
    answer = await client.rpc(method, params)
    assert answer["error"]["code"] == -32602
    assert answer["error"]["message"].startswith(f"{field} is not")
    assert not any(word in json.dumps(answer) for word in PYTHON)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        ({}, -32600),
        ({"method": "GetTask", "id": 1}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, -32600),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "GetTask"}, -32600),
        ({"jsonrpc": "2.0", "id": {}, "method": "GetTask"}, -32600),
    ],
)
async def test_an_envelope_that_is_off_is_told_in_our_words(client: Client, body: Any, code: int) -> None:
    answer = await client.ask("POST", "/", body)
    assert answer.json()["error"]["code"] == code
    assert not any(word in answer.text for word in PYTHON)


@pytest.mark.parametrize("state", ["TASK_STATE_RUNNING", "completed", "", 99])
async def test_a_state_that_there_is_none_of_lists_nothing(client: Client, state: Any) -> None:
    await client.task()
    assert (await client.rpc("ListTasks", {"status": state}))["error"]["code"] == -32602
    listed = await client.ask("GET", f"/rest/tasks?status={state}")
    assert (listed.status_code, reason(listed.json())) == (400, "INVALID_PARAMS")


@pytest.mark.parametrize("version", ["1.1", "1.7", "1", "v1.0", "1.banana", "2.0", "0.2", "x" * 500])
async def test_a_version_of_another_meaning_is_refused_by_each_binding(client: Client, version: str) -> None:
    for method in ("GetTask", "CancelTask", "tasks/get"):
        assert (await client.rpc(method, {"id": "x"}, version=version))["error"]["code"] == -32009
    for path in ("/rest/tasks/x", "/rest/v1/tasks/x"):
        answer = await client.ask("GET", path, version=version)
        assert (answer.status_code, reason(answer.json())) == (400, "VERSION_NOT_SUPPORTED")


async def test_the_number_of_a_patch_says_nothing(client: Client) -> None:
    assert (await client.rpc("GetTask", {"id": "x"}, version="1.0.1"))["error"]["code"] == -32001
    assert (await client.rpc("CancelTask", {"id": "x"}, version="1.0.9"))["error"]["code"] == -32001
    assert (await client.rpc("tasks/get", {"id": "x"}, version="0.3.0"))["error"]["code"] == -32001
    assert (await client.ask("GET", "/rest/tasks/x", version="1.0.1")).status_code == 404


# HTTP+JSON


@pytest.mark.parametrize("body", [b"", b"null", b"1", b'"x"', b"[]", b'{"configuration": 5}'])
@pytest.mark.parametrize("way", ["send", "stream"])
async def test_a_body_that_is_no_request_is_refused_without_a_parsers_words(
    client: Client, way: str, body: bytes
) -> None:
    answer = await client.ask("POST", f"/rest/message:{way}", body)
    assert (answer.status_code, reason(answer.json())) == (400, "INVALID_PARAMS")
    assert not any(word in answer.text for word in PYTHON)


@pytest.mark.parametrize(
    "query", ["historyLength=abc", "historyLength=", "historyLength=-1", "historyLength=99999999999"]
)
async def test_a_query_that_cannot_be_read_is_told_by_its_name(client: Client, query: str) -> None:
    answer = await client.ask("GET", f"/rest/tasks/x?{query}")
    assert (answer.status_code, reason(answer.json())) == (400, "INVALID_PARAMS")
    assert "history" in answer.json()["error"]["message"]
    assert not any(word in answer.text for word in PYTHON)


async def test_a_word_that_is_neither_true_nor_false_is_refused(client: Client) -> None:
    assert (await client.ask("GET", "/rest/tasks?includeArtifacts=yes")).status_code == 400
    assert (await client.ask("GET", "/rest/tasks?includeArtifacts=true")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/rest/tasks/x", 404),
        ("POST", "/rest/tasks/x:cancel", 404),
        ("GET", "/rest/tasks?pageSize=0", 400),
        ("GET", "/rest/extendedAgentCard", 400),
        ("GET", "/rest/nothing", 404),
        ("GET", "/rest/no/such/thing", 404),
        ("GET", "/rest/tasks/a%2Fb", 404),
        ("GET", "/rest/message:send", 405),
        ("POST", "/rest/acme/tasks", 405),
    ],
)
async def test_every_error_has_the_form_and_the_media_type_of_its_binding(
    client: Client, method: str, path: str, code: int
) -> None:
    answer = await client.ask(method, path)
    assert answer.headers["content-type"] == "application/a2a+json"
    assert (answer.status_code, answer.json()["error"]["code"]) == (code, code)
    detail = answer.json()["error"]["details"][0]
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail["domain"] == "a2a-protocol.org"
    assert ("allow" in answer.headers) == (code == 405)


async def test_a_tenant_is_the_same_in_the_path_in_the_query_and_in_the_body(client: Client) -> None:
    body = {"message": client.message(), "tenant": "acme"}
    made = (await client.ask("POST", "/rest/message:send", body)).json()["task"]["id"]
    ways = [f"/rest/acme/tasks/{made}", f"/rest/tasks/{made}?tenant=acme"]
    assert [(await client.ask("GET", way)).status_code for way in ways] == [200, 200]
    assert (await client.rpc("GetTask", {"id": made, "tenant": "acme"}))["result"]["id"] == made
    others = [f"/rest/tasks/{made}", f"/rest/evil/tasks/{made}?tenant=acme"]
    assert [(await client.ask("GET", other)).status_code for other in others] == [404, 404]


# 0.3


def old(client: Client, text: str = "hi", **more: Any) -> dict[str, Any]:
    message = {**client.message(), "role": "user", "kind": "message", **more}
    return {**message, "parts": [{"kind": "text", "text": text}]}


async def test_a_method_of_0_3_does_not_exist_in_1_0(client: Client) -> None:
    answer = await client.rpc("tasks/get", {"id": "x"}, version=NEW)
    assert answer["error"]["code"] == -32601


async def test_a_configuration_that_was_set_without_an_id_is_got_without_one(client: Client) -> None:
    task = await client.task("ask")
    config = {"taskId": task, "pushNotificationConfig": {"url": "https://example.com/hook"}}
    for _ in range(2):
        made = await client.rpc("tasks/pushNotificationConfig/set", config, version="")
    got = await client.rpc("tasks/pushNotificationConfig/get", {"id": task}, version="")
    assert got["result"] == made["result"]
    named = {"id": task, "pushNotificationConfigId": "other"}
    assert (await client.rpc("tasks/pushNotificationConfig/get", named, version=""))["error"][
        "code"
    ] == -32001
    gone = await client.rpc("tasks/pushNotificationConfig/delete", {**named}, version="")
    assert gone == {"jsonrpc": "2.0", "id": 1, "result": None}


OLD_REST = [
    ("POST", "/v1/message:send", {"message": {"taskId": "none"}}, "TaskNotFoundError"),
    ("POST", "/v1/message:stream", {"message": {"taskId": "none"}}, "TaskNotFoundError"),
    ("POST", "/v1/message:send", {"message": {"taskId": "ended"}}, "UnsupportedOperationError"),
    ("POST", "/v1/message:stream", {"message": {"taskId": "ended"}}, "UnsupportedOperationError"),
    ("POST", "/v1/message:stream", b"", "InvalidParamsError"),
    ("POST", "/v1/message:stream", b"[]", "InvalidParamsError"),
    ("POST", "/v1/message:send", {"message": 5}, "InvalidParamsError"),
    ("GET", "/v1/tasks/none", None, "TaskNotFoundError"),
    ("GET", "/v1/tasks/none:subscribe", None, "TaskNotFoundError"),
    ("GET", "/v1/tasks/ended:subscribe", None, "UnsupportedOperationError"),
    ("POST", "/v1/tasks/ended:cancel", None, "TaskNotCancelableError"),
    ("GET", "/v1/card", None, "UnsupportedOperationError"),
]


#: Clients in Python look for the name of an error, those in JavaScript for its number.
OLD_CODES = {
    "TaskNotFoundError": -32001,
    "TaskNotCancelableError": -32002,
    "UnsupportedOperationError": -32004,
    "InvalidParamsError": -32602,
}


@pytest.mark.parametrize(("method", "path", "body", "kind"), OLD_REST)
async def test_an_error_of_0_3_over_http_is_an_answer_that_its_clients_can_read(
    client: Client, method: str, path: str, body: Any, kind: str
) -> None:
    ended = await client.task()
    if isinstance(body, dict) and isinstance(body["message"], dict):
        about = body["message"]["taskId"].replace("ended", ended)
        said = {"messageId": "old", "role": "ROLE_USER", "content": [{"text": "hi"}], "taskId": about}
        body = {"message": said}
    answer = await client.ask(method, "/rest" + path.replace("ended", ended), body, version="")
    content = answer.json()
    assert answer.status_code == content["error"]["code"] >= 400
    assert content["type"] == kind
    assert content["code"] == OLD_CODES[kind]
    assert content["message"]
    assert not any(word in answer.text for word in PYTHON)


@pytest.mark.parametrize("length", [2**31, 2**70])
async def test_a_length_of_the_history_that_is_none_is_refused_in_0_3_too(
    client: Client, length: int
) -> None:
    params = {"id": await client.task(), "historyLength": length}
    assert (await client.rpc("tasks/get", params, version=OLD))["error"]["code"] == -32602


async def test_a_stream_of_0_3_over_http_tells_a_task_to_its_end(client: Client) -> None:
    said = {"messageId": "old", "role": "ROLE_USER", "content": [{"text": "hi"}]}
    answer = await client.ask("POST", "/rest/v1/message:stream", {"message": said}, version="")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert [next(iter(json.loads(line))) for line in lines] == ["task", "artifactUpdate", "statusUpdate"]


def events_of(answer: httpx.Response) -> list[tuple[str, Any]]:
    """Each event of a stream: its id, and its data."""
    told = [
        dict(line.split(": ", 1) for line in one.splitlines()) for one in answer.text.split("\r\n\r\n") if one
    ]
    return [(one.get("id", ""), json.loads(one["data"])) for one in told]


async def test_events_have_the_version_as_their_id_and_who_comes_back_with_one_gets_the_rest(
    client: Client,
) -> None:
    said = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "SendStreamingMessage",
        "params": {"message": client.message()},
    }
    over_rpc = events_of(await client.ask("POST", "/", said))
    over_rest = events_of(await client.ask("POST", "/rest/message:stream", {"message": client.message()}))
    assert [number for number, _ in over_rpc] == [number for number, _ in over_rest] == ["1", "2", "3"]
    task = over_rpc[0][1]["result"]["task"]["id"]
    asked = {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": task}}
    back = {"last-event-id": "2"}
    again = events_of(await client.ask("POST", "/", asked, **back))
    assert [number for number, _ in again] == ["2", "3"]
    assert again[0][1]["result"]["task"]["artifacts"]
    assert again[1] == over_rpc[2]
    rest = events_of(await client.ask("GET", f"/rest/tasks/{task}:subscribe", **back))
    assert [(number, data) for number, data in rest] == [(n, d["result"]) for n, d in again]


async def test_a_message_of_0_3_is_answered_in_its_form(client: Client) -> None:
    answer = await client.rpc("message/send", {"message": old(client)}, version="")
    assert answer["result"]["status"]["state"] == "completed"


@pytest.mark.parametrize("under_config", [False, True])
async def test_a_configuration_of_0_3_over_http_is_the_body_or_below_its_name(
    client: Client, under_config: bool
) -> None:
    """The specification and clients in JavaScript have the first, clients in Python the second."""
    task = await client.task("ask")
    where = f"/rest/v1/tasks/{task}/pushNotificationConfigs"
    config = {"name": f"tasks/{task}/", "pushNotificationConfig": {"id": "a", "url": "https://example.com/"}}
    wrapped = {"parent": f"tasks/{task}", "config": config}
    made = await client.ask("POST", where, wrapped if under_config else config, version="")
    assert made.json()["pushNotificationConfig"] == config["pushNotificationConfig"]
    assert (await client.ask("GET", f"{where}/a", version="")).json() == made.json()
    assert (await client.ask("DELETE", f"{where}/a", version="")).json() == {}
    assert (await client.ask("GET", where, version="")).json() == {}


@pytest.mark.parametrize("operation", ["send", "stream"])
@pytest.mark.parametrize("twice", [False, True])
async def test_the_bytes_of_a_file_of_0_3_over_http_are_encoded_once_or_twice(
    client: Client, operation: str, twice: bool
) -> None:
    """The specification and clients in JavaScript do it once, clients in Python twice."""
    once = b64encode(b"\x89PNG").decode()
    file = {"fileWithBytes": b64encode(once.encode()).decode() if twice else once, "name": "a"}
    said = {"messageId": "old", "role": "ROLE_USER", "content": [{"text": "hi"}, {"file": file}]}
    answer = await client.ask("POST", f"/rest/v1/message:{operation}", {"message": said}, version="")
    task = json.loads(answer.text.splitlines()[0].removeprefix("data: "))["task"]["id"]
    kept = (await client.rpc("GetTask", {"id": task}))["result"]["history"][0]["parts"][1]
    assert kept == {"raw": once, "filename": "a"}


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 400])
async def test_a_message_that_could_not_be_told_again_is_refused(client: Client, number: bytes) -> None:
    """It would stop whoever works on it, and every list that it stands in."""
    said = json.dumps(client.message()).encode()
    for where in (b'"parts": [{"data": %b}]', b'"parts": [{"text": "hi"}], "metadata": {"a": %b}'):
        message = said.replace(b'"parts": [{"text": "hi"}]', where % number)
        body = b'{"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": %b}}' % message
        assert "error" in (await client.ask("POST", "/", body)).json()
        answer = await client.ask("POST", "/rest/message:send", b'{"message": %b}' % message)
        assert answer.status_code == 400
    assert (await client.rpc("ListTasks", {}))["result"]["tasks"] == []


# The list of tasks


@pytest.mark.parametrize(
    ("asked", "left_out"),
    [
        ({}, {"artifacts"}),
        ({"historyLength": 0}, {"artifacts", "history"}),
        ({"includeArtifacts": True}, set()),
    ],
)
async def test_a_task_is_told_in_a_list_as_it_is_told_alone(
    client: Client, asked: dict[str, Any], left_out: set[str]
) -> None:
    alone = (await client.ask("GET", f"/rest/tasks/{await client.task()}")).json()
    query = "&".join(f"{name}={json.dumps(value)}" for name, value in asked.items())
    listed = (await client.ask("GET", f"/rest/tasks?{query}")).json()
    assert listed == {
        "tasks": [{key: value for key, value in alone.items() if key not in left_out}],
        "nextPageToken": "",
        "pageSize": 50,
        "totalSize": 1,
    }
    assert (await client.rpc("ListTasks", asked))["result"] == listed


async def test_artifacts_that_were_asked_for_are_there_when_there_are_none(client: Client) -> None:
    await client.task("nothing")
    listed = await client.rpc("ListTasks", {"includeArtifacts": True})
    assert listed["result"]["tasks"][0]["artifacts"] == []


async def test_a_list_of_nothing_says_so(client: Client) -> None:
    nothing = {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
    assert (await client.ask("GET", "/rest/tasks?includeArtifacts=true")).json() == nothing
    assert (await client.rpc("ListTasks", {}))["result"] == nothing


# What is kept of it


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize("off", [{"id": 1.5}, {"method": 7}, {"params": {"message": 7}}])
async def test_what_a_client_does_wrong_is_no_error_in_the_log(
    client: Client, off: dict[str, Any], version: str, caplog: pytest.LogCaptureFixture
) -> None:
    method = "SendMessage" if version == NEW else "message/send"
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}, **off}
    assert "error" in (await client.ask("POST", "/", body, version=version)).json()
    assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]
