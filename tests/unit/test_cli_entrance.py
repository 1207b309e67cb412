"""Asking a mesh: what its stream says is folded into one answer, and what goes wrong has a way out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshwright.cli.ask import outcome_of
from meshwright.cli.console import Trouble
from meshwright.cli.entrance import Entrance, entrance
from meshwright.cli.home import Home, Running

REPORT = {"id": "r1", "outcome": "done", "reply": "it is cancelled"}
DONE = {"state": "TASK_STATE_COMPLETED"}
PARTS = [{"text": "it is cancelled"}, {"data": REPORT}]
SUBMITTED = {"task": {"id": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_SUBMITTED"}}}


def working(text: str) -> dict[str, Any]:
    status = {"state": "TASK_STATE_WORKING", "message": {"parts": [{"text": text}]}}
    return {"statusUpdate": {"taskId": "t1", "contextId": "c1", "status": status}}


def stream(*results: dict[str, Any]) -> httpx.Response:
    lines = [
        f"data: {json.dumps({'jsonrpc': '2.0', 'id': 1, 'result': result})}\r\n\r\n" for result in results
    ]
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content="".join(lines).encode())


def front(answer: Callable[[httpx.Request], httpx.Response], **more: Any) -> Entrance:
    more = {"audience": "front", **more}
    return Entrance(
        "http://mesh",
        lambda name: f"token-for-{name}",
        transport=httpx.MockTransport(answer),
        pause=0,
        **more,
    )


async def test_progress_is_told_and_the_answer_comes_with_its_report() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        artifact = {"artifactUpdate": {"taskId": "t1", "artifact": {"artifactId": "a", "parts": PARTS}}}
        return stream(
            SUBMITTED, working("asking orders"), artifact, {"statusUpdate": {"taskId": "t1", "status": DONE}}
        )

    said: list[str] = []
    async with front(answer) as mesh:
        got = await mesh.ask("cancel it", 5, said.append)
    assert said == ["asking orders"]
    assert (got.task, got.state, got.text, got.report) == ("t1", "COMPLETED", "it is cancelled", REPORT)
    [request] = seen
    assert request.headers["a2a-version"] == "1.0"
    assert request.headers["authorization"] == "Bearer token-for-front"
    assert request.headers["x-mesh-deadline-ms"] == "5000"
    body = json.loads(request.content)
    assert (body["method"], body["params"]["message"]["parts"]) == (
        "SendStreamingMessage",
        [{"text": "cancel it"}],
    )


async def test_a_stream_that_breaks_off_is_followed_by_looking_at_the_task() -> None:
    looks: Iterator[dict[str, Any]] = iter(
        [
            {"id": "t1", "status": {"state": "TASK_STATE_WORKING"}},
            {"id": "t1", "status": DONE, "artifacts": [{"artifactId": "a", "parts": PARTS}]},
        ]
    )
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        method = json.loads(request.content)["method"]
        asked.append(method)
        if method == "SendStreamingMessage":
            return stream(SUBMITTED, working("asking orders"))
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": next(looks)})

    async with front(answer) as mesh:
        got = await mesh.ask("cancel it", 5)
    assert got.report == REPORT
    assert asked == ["SendStreamingMessage", "GetTask", "GetTask"]


@pytest.mark.parametrize(
    "busy",
    [
        httpx.Response(503, json={"error": {"code": 503, "message": "still starting; ask again in 1 s"}}),
        httpx.Response(503, text="no upstream"),
        httpx.Response(429, json={"error": {"message": "too much"}}),
    ],
    ids=["starting", "proxy", "full"],
)
async def test_a_mesh_that_starts_again_over_a_request_is_waited_for(busy: httpx.Response) -> None:
    done = {"id": "t1", "status": DONE, "artifacts": [{"artifactId": "a", "parts": PARTS}]}
    looks = iter([busy, httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": done})])

    def answer(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["method"] == "SendStreamingMessage":
            return stream(SUBMITTED, working("asking orders"))
        return next(looks)

    async with front(answer) as mesh:
        assert (await mesh.ask("cancel it", 5)).report == REPORT


async def test_a_request_that_was_not_acknowledged_is_not_sent_twice() -> None:
    sent = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal sent
        sent += 1
        raise httpx.ReadError("reset", request=request)

    async with front(answer) as mesh:
        with pytest.raises(Trouble, match="broke off before it acknowledged the request"):
            await mesh.ask("cancel it", 5)
    assert sent == 1


async def test_a_task_that_waits_for_a_person_ends_the_wait() -> None:
    status = {"state": "TASK_STATE_INPUT_REQUIRED", "message": {"parts": [{"text": "a person decides"}]}}
    async with front(
        lambda request: stream(SUBMITTED, {"statusUpdate": {"taskId": "t1", "status": status}})
    ) as mesh:
        got = await mesh.ask("refund it", 5)
    assert (outcome_of(got), got.notice) == ("waiting", "a person decides")


async def test_an_agent_that_answers_with_a_plain_message_is_understood() -> None:
    async with front(lambda request: stream({"message": {"parts": [{"text": "hello"}]}})) as mesh:
        got = await mesh.ask("hi", 5)
    assert (outcome_of(got), got.text) == ("done", "hello")


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(401, json={}), "does not let us in .401.: use the --home whose keys it trusts"),
        (
            httpx.Response(200, json={"error": {"code": -32602, "message": "too long"}}),
            "the mesh refused: too long",
        ),
        (httpx.Response(200, text="<html>"), "is not a mesh: it answered 200 without a JSON object"),
        (httpx.Response(200, json=[1]), "without a JSON object"),
        (stream(), "broke off before it acknowledged the request"),
    ],
)
async def test_an_answer_that_is_none_is_one_line_of_trouble(response: httpx.Response, said: str) -> None:
    async with front(lambda request: response) as mesh:
        with pytest.raises(Trouble, match=said):
            await mesh.ask("hi", 5)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            httpx.Response(409, json={"error": {"code": 409, "message": "already decided"}}),
            "^already decided$",
        ),
        (httpx.Response(404, json={"error": "no such review"}), "^no such review$"),
        (httpx.Response(500, json={}), "^/reviews/1 answered 500$"),
        (httpx.Response(403, json={}), "does not let us in"),
        (
            httpx.Response(403, json={"error": {"message": "another person has to"}}),
            "^another person has to$",
        ),
    ],
)
async def test_a_refused_decision_says_why(response: httpx.Response, said: str) -> None:
    async with front(lambda request: response) as mesh:
        with pytest.raises(Trouble, match=said):
            await mesh.tell("/reviews/1", {"decision": "approve"})


async def test_a_stranger_is_sent_to_the_keys_and_not_to_a_token_that_it_cannot_make() -> None:
    refused = httpx.Response(403, json={"error": {"message": "this needs an operator's token"}})
    async with Entrance("http://mesh", None, transport=httpx.MockTransport(lambda _: refused)) as mesh:
        with pytest.raises(Trouble, match="use the --home whose keys it trusts"):
            await mesh.look("/peers")


async def test_where_nobody_listens_the_way_out_is_to_start_a_mesh() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with front(answer) as mesh:
        for attempt in (mesh.ask("hi", 5), mesh.look("/peers")):
            with pytest.raises(Trouble, match="no mesh at http://mesh: start one with `meshwright up`"):
                await attempt


@pytest.mark.parametrize(
    ("livez", "sent"),
    [
        (httpx.Response(200, json={"alive": True, "name": "clerk"}), "Bearer token-for-clerk"),
        (httpx.Response(404, text="not here"), None),
        (httpx.Response(200, json=["odd"]), None),
    ],
)
async def test_a_token_is_made_for_who_answers_and_a_stranger_gets_none(
    livez: httpx.Response, sent: str | None
) -> None:
    got: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/livez":
            return livez
        got.append(request.headers.get("authorization"))
        return stream({"message": {"parts": [{"text": "hello"}]}})

    async with front(answer, audience="") as mesh:
        await mesh.ask("hi", 5)
    assert got == [sent]


async def test_a_mesh_that_runs_without_its_entry_is_told_as_that(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.make()
    with home.held():
        home.announce(Running(os.getpid(), "orchestrator", {"billing": "http://127.0.0.1:8430"}))
        with pytest.raises(Trouble, match="without orchestrator, its entry: start that too"):
            entrance(tmp_path)
