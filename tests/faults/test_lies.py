"""Who answers, and answers nonsense: it is told apart from who does not answer, and it counts as sickness."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import agent_cards
from meshwright.deadline import Deadline
from meshwright.errors import (
    Forbidden,
    MeshError,
    Outcome,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerRefused,
)
from meshwright.outbound.directory import Directory
from meshwright.outbound.toolanswer import MAX_ANSWER
from meshwright.outbound.toolbox import Toolbox
from meshwright.testing import Keyring, serving

Lie = Callable[[Any], Response]

#: What a tool server says, made of the id that it was asked under.
TOOL_LIES: dict[str, Lie] = {
    "html": lambda asked: Response("<html>502 is what I am</html>", media_type="text/html"),
    "half of it": lambda asked: Response('{"jsonrpc": "2.0", "id"', media_type="application/json"),
    "not UTF-8": lambda asked: Response(b'{"result": "\xff\xfe"}', media_type="application/json"),
    "too deep": lambda asked: Response(b"[" * 100_000, media_type="application/json"),
    "too large": lambda asked: Response(b" " * (MAX_ANSWER + 1), media_type="application/json"),
    "without an end": lambda asked: StreamingResponse(forever(b" " * 65_536), media_type="application/json"),
    "not gzip": lambda asked: Response(b"{}", headers={"content-encoding": "gzip"}),
    "gzip that nobody asked for": lambda asked: Response(
        gzip.compress(json.dumps(result(asked)).encode()), headers={"content-encoding": "gzip"}
    ),
    "a list": lambda asked: JSONResponse([1]),
    "no result": lambda asked: JSONResponse({"jsonrpc": "2.0", "id": asked}),
    "an error that is none": lambda asked: JSONResponse({"jsonrpc": "2.0", "id": asked, "error": "no"}),
    "no content": lambda asked: JSONResponse({"jsonrpc": "2.0", "id": asked, "result": {"content": []}}),
    "another's answer": lambda asked: JSONResponse(result(asked + 1)),
    "an empty stream": lambda asked: Response("", media_type="text/event-stream"),
}


def result(asked: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked, "result": {"structuredContent": {"pieces": 7}, "content": []}}


async def forever(chunk: bytes) -> AsyncIterator[bytes]:
    while True:
        yield chunk
        await asyncio.sleep(0)  # once the caller has gone nothing else would let others run


def tool_server(lie: Lie) -> Starlette:
    async def livez(request: Request) -> Response:
        return JSONResponse({"alive": True, "name": "liar"})

    async def mcp(request: Request) -> Response:
        body = await request.json()
        if body["method"] == "tools/list":
            return JSONResponse(
                {"jsonrpc": "2.0", "id": body["id"], "result": {"tools": [{"name": "stock"}]}}
            )
        return lie(body["id"])

    return Starlette(routes=[Route("/livez", livez), Route("/mcp", mcp, methods=["POST"])])


@pytest.mark.parametrize("lie", TOOL_LIES.values(), ids=TOOL_LIES.keys())
async def test_a_tool_server_that_lies_is_believed_nothing_and_indicted(
    http: httpx.AsyncClient, lie: Lie
) -> None:
    async with serving(tool_server(lie)) as url:
        box = Toolbox([url], http, Keyring("orders").identity("orders"))
        with pytest.raises(PeerAnsweredBadly):
            await box.session(by=Deadline.after(20)).call("stock")
        assert box.hosts[0].breaker.shown()["failures"] == {Outcome.BAD_OUTPUT: 1}


@pytest.mark.parametrize(
    ("status", "error"), [(400, PeerRefused), (403, Forbidden), (429, PeerOverloaded), (503, PeerOverloaded)]
)
async def test_a_tool_server_that_refuses_in_nonsense_refuses(
    http: httpx.AsyncClient, status: int, error: type[MeshError]
) -> None:
    async with serving(tool_server(lambda asked: Response(b"[" * 100_000, status))) as url:
        box = Toolbox([url], http, Keyring("orders").identity("orders"))
        with pytest.raises(error):
            await box.session(by=Deadline.after(2)).call("stock")


async def test_a_tool_server_that_does_not_lie_is_believed(http: httpx.AsyncClient) -> None:
    async with serving(tool_server(lambda asked: JSONResponse(result(asked)))) as url:
        box = Toolbox([url], http, Keyring("orders").identity("orders"))
        assert await box.session(by=Deadline.after(20)).call("stock") == {"pieces": 7}


def task(name: str, state: str) -> dict[str, Any]:
    return {"task": {"id": name, "contextId": "c", "status": {"state": f"TASK_STATE_{state}"}}}


def update(name: str, state: str) -> dict[str, Any]:
    return {"statusUpdate": {"taskId": name, "contextId": "c", "status": {"state": f"TASK_STATE_{state}"}}}


def said(fact: Any) -> dict[str, Any]:
    """A finding with that for a fact."""
    done = task("t1", "COMPLETED")
    parts = [{"data": {"reply": "Found.", "facts": {"x": fact}}}]
    return {"task": {**done["task"], "artifacts": [{"artifactId": "a", "parts": parts}]}}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


#: What a peer streams.
PEER_LIES: dict[str, tuple[list[Any], type[MeshError], Outcome]] = {
    "nothing": ([], PeerAnsweredBadly, Outcome.BAD_OUTPUT),
    "another task's end": (
        [task("t1", "WORKING"), update("t2", "COMPLETED")],
        PeerAnsweredBadly,
        Outcome.BAD_OUTPUT,
    ),
    "two tasks": ([task("t1", "WORKING"), task("t2", "COMPLETED")], PeerAnsweredBadly, Outcome.BAD_OUTPUT),
    "half a surrogate pair": ([said("\ud800")], PeerAnsweredBadly, Outcome.BAD_OUTPUT),
    "too deep for anybody": ([said(nested(30))], PeerAnsweredBadly, Outcome.BAD_OUTPUT),
    "too deep for us": ([said(nested(400))], PeerAnsweredBadly, Outcome.BAD_OUTPUT),
    "no A2A": (["what?"], PeerAnsweredBadly, Outcome.BAD_OUTPUT),
    "progress without an end": (
        [task("t1", "WORKING"), ..., {**update("t1", "WORKING"), "so": "what" * 16_384}],
        PeerAnsweredBadly,
        Outcome.BAD_OUTPUT,
    ),
}


def plain_card() -> dict[str, Any]:
    """The card of an agent, without an address."""
    return dict(json.loads(Path(agent_cards.__path__[0], "orders.json").read_text()))


def peer(events: list[Any]) -> Starlette:
    card = plain_card()

    async def show(request: Request) -> Response:
        base = str(request.base_url)
        interface = {"url": base, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        return JSONResponse({**card, "supportedInterfaces": [interface]})

    async def answer(request: Request) -> Response:
        asked = (await request.json())["id"]

        async def stream() -> AsyncIterator[str]:
            said = iter(events)
            for event in said:
                if event is ...:
                    for same in itertools.repeat(next(said)):
                        yield line(asked, same)
                        await asyncio.sleep(0)
                yield line(asked, event)

        return StreamingResponse(stream(), media_type="text/event-stream")

    routes = [Route("/.well-known/agent-card.json", show), Route("/", answer, methods=["POST"])]
    return Starlette(routes=routes)


def line(asked: Any, event: Any) -> str:
    return f"data: {json.dumps({'jsonrpc': '2.0', 'id': asked, 'result': event})}\n\n"


@pytest.mark.parametrize(("events", "error", "outcome"), PEER_LIES.values(), ids=PEER_LIES.keys())
async def test_a_peer_that_lies_is_believed_nothing_and_indicted(
    http: httpx.AsyncClient, events: list[Any], error: type[MeshError], outcome: Outcome
) -> None:
    async with serving(peer(events)) as url:
        directory = Directory([url], http, Keyring("operator").identity("operator"))
        await directory.refresh()
        liar = directory.candidates("order-status")[0]
        with pytest.raises(error):
            await liar.ask({}, by=Deadline.after(2))
        assert liar.breaker.shown()["failures"] == {outcome: 1}


async def test_an_endless_stream_ends_on_the_other_bindings_too(http: httpx.AsyncClient) -> None:
    card = plain_card()

    async def show(request: Request) -> Response:
        interface = {"url": str(request.base_url), "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}
        return JSONResponse({**card, "supportedInterfaces": [interface]})

    async def stream(request: Request) -> Response:
        event = {**update("t1", "WORKING"), "so": "what" * 16_384}
        body = forever(f"data: {json.dumps(event)}\n\n".encode())
        return StreamingResponse(body, media_type="text/event-stream")

    routes = [Route("/.well-known/agent-card.json", show), Route("/message:stream", stream, methods=["POST"])]
    async with serving(Starlette(routes=routes)) as url:
        directory = Directory([url], http, Keyring("operator").identity("operator"))
        await directory.refresh()
        with pytest.raises(PeerAnsweredBadly, match="larger"):
            await directory.candidates("order-status")[0].ask({}, by=Deadline.after(20))
