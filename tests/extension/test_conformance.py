"""What docs/extension.md asks of a server that declares the extension, held against ours, or against any other: `--subject URL`.

The subject must take a plain text from a stranger over JSON-RPC and HTTP+JSON, and answer it within ten seconds.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from meshwright.extension import URI
from meshwright.inbound.ancestry import handed_on
from meshwright.inbound.identity import Identity, Trust

V1 = {"a2a-version": "1.0", "content-type": "application/json"}
ABSURD = ["-1", "1e30", "NaN", "Infinity", "1.5", "", "soon", "9" * 13, "٣", "0x10"]
BINDINGS = ("JSONRPC", "HTTP+JSON")


class Subject:
    """The server that is held against the document."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http

    async def card(self) -> Any:
        return (await self._http.get(self.url + "/.well-known/agent-card.json")).json()

    async def answer(
        self, binding: str, headers: list[tuple[str, str]], text: str = "hello"
    ) -> httpx.Response:
        """One SendMessage with these headers, each as often as it is listed."""
        params = {"message": {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": text}]}}
        call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
        where, body = ("/", call) if binding == "JSONRPC" else ("/rest/message:send", params)
        raw = [(name.encode(), value.encode()) for name, value in (*V1.items(), *headers)]
        return await self._http.post(self.url + where, content=json.dumps(body), headers=raw)

    async def send(self, binding: str, **headers: str) -> Any:
        """The task, or the error, of one message."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        body = (await self.answer(binding, named)).json()
        if "error" in body:
            return body["error"]
        return (body["result"] if binding == "JSONRPC" else body)["task"]


def code_of(error: Any) -> str:
    """The extension's code in an error of A2A."""
    details = error["data"] if "data" in error else error["details"]
    return str(next(d["metadata"]["code"] for d in details if d["@type"].endswith("google.rpc.ErrorInfo")))


def notes_of(task: Any) -> Any:
    return task["metadata"][URI]


@pytest.fixture
async def subject(request: pytest.FixtureRequest, keyless: Any, hand: Any) -> Any:
    url = request.config.getoption("--subject") or await keyless.start("orders", hand().playbook)
    async with httpx.AsyncClient(timeout=10) as http:
        yield Subject(url.rstrip("/"), http)


async def test_the_card_declares_the_extension_and_does_not_demand_it(subject: Subject) -> None:
    declared = {each["uri"]: each for each in (await subject.card())["capabilities"]["extensions"]}
    assert not declared[URI].get("required", False)


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_caller_that_names_it_is_told_that_it_is_active(subject: Subject, binding: str) -> None:
    answer = await subject.answer(binding, [("a2a-extensions", f"urn:unknown, {URI}")])
    assert answer.headers["a2a-extensions"] == URI


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_caller_that_says_nothing_of_it_is_served(subject: Subject, binding: str) -> None:
    assert (await subject.send(binding))["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("binding", BINDINGS)
async def test_what_the_work_cost_comes_back(subject: Subject, binding: str) -> None:
    notes = notes_of(await subject.send(binding, x_mesh_budget_tokens="100"))
    assert 0 <= notes["usage"]["tokens"] <= 100
    assert notes["ms"] >= 0


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("value", ABSURD)
async def test_an_absurd_deadline_is_refused(subject: Subject, binding: str, value: str) -> None:
    answer = await subject.answer(binding, [("x-mesh-deadline-ms", value)])
    assert code_of(answer.json()["error"]) == "INVALID_REQUEST"


@pytest.mark.parametrize("binding", BINDINGS)
async def test_two_deadlines_are_refused_rather_than_one_of_them_taken(
    subject: Subject, binding: str
) -> None:
    answer = await subject.answer(binding, [("x-mesh-deadline-ms", "5000"), ("x-mesh-deadline-ms", "9000")])
    assert code_of(answer.json()["error"]) == "INVALID_REQUEST"


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_deadline_that_has_passed_on_the_way_is_no_work(subject: Subject, binding: str) -> None:
    task = await subject.send(binding, x_mesh_deadline_ms="1")
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert notes_of(task)["code"] in ("DEADLINE_EXCEEDED", "OVERLOADED")


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("header", ["x_mesh_budget_tokens", "x_mesh_budget_micros"])
@pytest.mark.parametrize("value", ABSURD)
async def test_an_absurd_budget_is_refused(subject: Subject, binding: str, header: str, value: str) -> None:
    answer = await subject.send(binding, **{header: value})
    code = (
        code_of(answer)
        if "status" not in answer or isinstance(answer["status"], str)
        else notes_of(answer)["code"]
    )
    assert code == "INVALID_REQUEST"


@pytest.mark.parametrize("binding", BINDINGS)
async def test_words_that_nobody_knows_ask_for_nothing(subject: Subject, binding: str) -> None:
    task = await subject.send(
        binding, x_mesh_priority="!!", x_mesh_on_disconnect="explode", x_mesh_run="r" * 500
    )
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("chain", ["nonsense", "e30", "a.b.c", ",,", "x" * 20_000])
async def test_a_chain_that_is_none_is_refused(subject: Subject, binding: str, chain: str) -> None:
    assert code_of(await subject.send(binding, x_mesh_ancestry=chain)) == "ANCESTRY_REFUSED"


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_chain_beyond_every_depth_is_a_loop(subject: Subject, binding: str) -> None:
    chain = ""
    for number in range(33):
        me = Identity(f"agent-{number}", None, Trust("", {}))
        chain = handed_on(chain, me, f"agent-{number + 1}", task="t", run="r")
    assert code_of(await subject.send(binding, x_mesh_ancestry=chain)) == "DELEGATION_LOOP"
