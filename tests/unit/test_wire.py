"""What a caller reads from the wire: whatever a peer sends is an event, or an error with a name."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from meshwright.card import parse_card, stamped
from meshwright.deadline import Deadline
from meshwright.errors import (
    InvalidRequest,
    MeshError,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerRefused,
    PeerTaskFailed,
    PeerUnreachable,
    Unauthenticated,
)
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.inbound.health import Readiness
from meshwright.inbound.identity import Identity
from meshwright.inbound.server import a2a_app
from meshwright.outbound.breaker import Breaker
from meshwright.outbound.http import MAX_ANSWER
from meshwright.outbound.peer import Peer
from meshwright.outbound.seen import Seen
from meshwright.outbound.wire import Json, events
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring

ORIGIN = "http://peer"
TASK: Json = {"task": {"id": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_WORKING"}}}
WORD: Json = {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": "one"}]}}}
MORE: Json = {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"data": 2.0}]}, "append": True}}
DONE: Json = {"statusUpdate": {"taskId": "t1", "status": {"state": "TASK_STATE_COMPLETED"}}}


def card(*bindings: str, streaming: bool = True) -> Any:
    document = {
        "name": "peer",
        "description": "A peer.",
        "version": "1",
        "capabilities": {"streaming": streaming, "pushNotifications": False},
        "defaultInputModes": ["text/plain", "application/json"],
        "defaultOutputModes": ["text/plain", "application/json"],
        "skills": [{"id": "s", "name": "S", "description": "It does.", "tags": ["s"]}],
    }
    complete = stamped(parse_card(document), ORIGIN)
    for place in reversed(range(len(complete.supported_interfaces))):
        if complete.supported_interfaces[place].protocol_binding not in bindings:
            del complete.supported_interfaces[place]
    return complete


async def ask(app: Starlette, *bindings: str, streaming: bool = True, seconds: float = 20) -> Any:
    """What a peer that is `app` is understood to say."""
    mesh, ring = InProcess({ORIGIN: app}), Keyring("peer", "me")
    async with mesh.running():
        complete = card(*(bindings or ("JSONRPC",)), streaming=streaming)
        peer = Peer(complete, Breaker("peer"), mesh.client(), ring.identity("me"), "peer", ORIGIN)
        return await peer.ask({"n": 1}, text="hello", by=Deadline.after(seconds))


def stream(*results: Any) -> bytes:
    return b"".join(
        b"data: " + json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode() + b"\r\n\r\n"
        for result in results
    )


def done(part: bytes) -> bytes:
    task = b'{"task":{"id":"t1","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"a","parts":[%b]}]}}'
    return task % part


def saying(body: bytes, kind: str = "text/event-stream", status: int = 200, **headers: str) -> Starlette:
    async def answer(request: Request) -> Response:
        return Response(body, status, headers, kind)

    return Starlette(routes=[Route("/", answer, methods=["POST"])])


async def test_a_stream_is_folded_into_its_answer() -> None:
    answer = await ask(saying(stream(TASK, WORD, MORE, DONE)))
    assert (answer.task_id, answer.text, answer.data) == ("t1", "one", [2])
    assert isinstance(answer.data[0], int)


async def test_a_message_instead_of_a_task_is_an_answer_too() -> None:
    answer = await ask(saying(stream({"message": {"messageId": "m", "parts": [{"text": "hi"}]}})))
    assert (answer.task_id, answer.text) == ("", "hi")


@pytest.mark.parametrize(
    ("code", "error"), [(-32603, PeerUnreachable), (-32602, PeerRefused), ("what", PeerRefused)]
)
async def test_an_error_of_json_rpc_has_its_meaning(code: Any, error: type[MeshError]) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}}).encode()
    with pytest.raises(error):
        await ask(saying(body, "application/json"))


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, PeerOverloaded), (401, Unauthenticated), (502, PeerUnreachable), (404, PeerRefused)],
)
async def test_a_status_has_its_meaning(status: int, error: type[MeshError]) -> None:
    with pytest.raises(error) as told:
        # no time to come back in seven seconds: what is tried here is the name
        await ask(saying(b"{}", "application/json", status, **{"retry-after": "7"}), seconds=6)
    assert getattr(told.value, "retry_after", 7.0) == 7.0


@pytest.mark.parametrize(
    "event",
    [
        [],
        "task",
        {"task": []},
        {"task": {"status": {}}},
        {"task": {"id": "t1", "artifacts": [{"parts": 3}]}},
        {"task": {"id": "t1", "status": {"message": {"parts": 1}}}},
        {"message": {"messageId": "m"}},
    ],
)
async def test_an_event_that_is_none_of_a2a_is_a_bad_answer(event: Any) -> None:
    with pytest.raises(PeerAnsweredBadly):
        await ask(saying(stream(event)))


@pytest.mark.parametrize(
    "part",
    [
        b'{"data":NaN}',
        b'{"data":[-1e999]}',
        b'{"data":Infinity}',
        b'{"data":%b}' % (b"9" * 309),
        b'{"text":"\xed\xa0\x80"}',
    ],
)
async def test_what_could_not_be_told_on_is_a_bad_answer(part: bytes) -> None:
    with pytest.raises(PeerAnsweredBadly):
        await ask(saying(b'data: {"jsonrpc":"2.0","id":1,"result":%b}\n\n' % done(part)))


@pytest.mark.parametrize("body", [b"data: {\n\n", b"data: " + b"[" * 100_000 + b"\n\n", b"", b"data: 1\n\n"])
async def test_what_is_not_json_rpc_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(PeerAnsweredBadly):
        await ask(saying(body))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        done(b'{"data":NaN}'),
        done(b'{"data":1e999}'),
        done(b'{"text":"\\ud800"}'),
        done(b'{"text":"\xff"}').replace(b'"t1"', b"5"),
        b'{"task":"\xff"}',
        b'{"task":{"id":%b}}' % (b"9" * 5_000),
        b"[" * 100_000,
        b"null",
        b"[]",
        b"1",
        b'{"message":null}',
        b"",
    ],
)
async def test_what_is_none_of_a2a_over_http_is_a_bad_answer_too(body: bytes, streaming: bool) -> None:
    kind = "text/event-stream" if streaming else "application/json"

    async def answer(request: Request) -> Response:
        return Response(b"data: %b\n\n" % body if streaming else body, media_type=kind)

    paths = ("/rest/message:stream", "/rest/message:send")
    app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path in paths])
    with pytest.raises(PeerAnsweredBadly):
        await ask(app, "HTTP+JSON", streaming=streaming)


async def test_an_answer_that_is_too_large_is_cut_off() -> None:
    with pytest.raises(PeerAnsweredBadly, match="larger"):
        await ask(saying(b": " + b"x" * MAX_ANSWER))


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_answer_without_an_end_is_cut_off_in_each_binding(streaming: bool) -> None:
    kind = "text/event-stream" if streaming else "application/json"

    async def answer(request: Request) -> Response:
        return StreamingResponse(itertools.repeat(b": " + b"x" * 65_536), media_type=kind)

    paths = ("/", "/rest/message:stream", "/rest/message:send")
    app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path in paths])
    for binding in ("JSONRPC", "HTTP+JSON"):
        with pytest.raises(PeerAnsweredBadly, match="larger"):
            await ask(app, binding, streaming=streaming)


async def test_what_is_packed_is_not_unpacked_by_the_clients_of_others() -> None:
    body = gzip.compress(b"{}" + b" " * 50_000_000)

    async def answer(request: Request) -> Response:
        return Response(body, headers={"content-encoding": "gzip"}, media_type="application/json")

    app = Starlette(routes=[Route("/rest/message:send", answer, methods=["POST"])])
    with pytest.raises(PeerAnsweredBadly, match="compressed"):
        await ask(app, "HTTP+JSON", streaming=False)


async def test_a_stream_that_breaks_off_is_taken_up_again_at_its_task() -> None:
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        call = await request.json()
        asked.append(call["method"])
        if call["method"] == "SendStreamingMessage":
            return Response(stream(TASK, WORD), media_type="text/event-stream")
        ended = {**TASK["task"], "status": {"state": "TASK_STATE_COMPLETED"}, "artifacts": []}
        return Response(
            json.dumps({"jsonrpc": "2.0", "id": 1, "result": ended}), media_type="application/json"
        )

    answered = await ask(Starlette(routes=[Route("/", answer, methods=["POST"])]))
    assert asked == ["SendStreamingMessage", "GetTask"]
    assert (answered.task_id, answered.text) == ("t1", "")


class Fresh(Identity):
    """An identity whose tokens have no minute left when they were used once."""

    def authorization(self, audience: str, scope: str = "", person: str = "") -> dict[str, str]:
        assert self.signer is not None
        return {"authorization": f"Bearer {self.signer.token(audience)}"}


@pytest.mark.parametrize("streaming", [True, False])
async def test_who_comes_back_to_a_task_has_a_token_of_that_moment(streaming: bool) -> None:
    used: list[str] = []

    async def answer(request: Request) -> Response:
        if (token := request.headers["authorization"]) in used:
            return Response(status_code=401)
        used.append(token)
        call = await request.json()
        if call["method"] == "SendStreamingMessage":
            return Response(stream(TASK, WORD), media_type="text/event-stream")
        state = "COMPLETED" if len(used) == 3 else "WORKING"
        task = {**TASK["task"], "status": {"state": f"TASK_STATE_{state}"}}
        result = task if call["method"] == "GetTask" else {"task": task}
        return Response(
            json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}), media_type="application/json"
        )

    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    mesh, me = InProcess({ORIGIN: app}), Keyring("peer", "me").identity("me")
    identity = Fresh(me.name, me.signer, me.trust)
    async with mesh.running():
        complete = card("JSONRPC", streaming=streaming)
        peer = Peer(complete, Breaker("peer"), mesh.client(), identity, "peer", ORIGIN)
        assert (await peer.ask({"n": 1}, by=Deadline.after(20))).task_id == "t1"
    assert len(used) == 3


@asynccontextmanager
async def lifespan(handler: Any) -> AsyncIterator[None]:
    yield


async def echo(incoming: Incoming) -> Outcome:
    await incoming.say("reading")
    if incoming.data[0]["n"] != 1:
        raise InvalidRequest("the data did not arrive")
    return Outcome(text=incoming.text, data={"twice": [2.5, 2]}, metadata={"outcome": "done"})


@pytest.mark.parametrize(
    ("binding", "streaming"),
    [("JSONRPC", True), ("JSONRPC", False), ("HTTP+JSON", True), ("HTTP+JSON", False)],
)
async def test_a_peer_is_asked_in_the_binding_that_it_has(binding: str, streaming: bool) -> None:
    ring = Keyring("peer", "me")
    complete = card(binding, streaming=streaming)
    settings = Settings(public_url=ORIGIN, database="memory:")
    app = a2a_app("peer", complete, echo, settings, ring.identity("peer"), Readiness(), lifespan=lifespan)
    mesh = InProcess({ORIGIN: app})
    async with mesh.running():
        peer = Peer(complete, Breaker("peer"), mesh.client(), ring.identity("me"), "peer", ORIGIN)
        answer = await peer.ask({"n": 1}, text="hello", by=Deadline.after(20))
        assert (answer.text, answer.data, answer.notes["outcome"]) == ("hello", [{"twice": [2.5, 2]}], "done")
        with pytest.raises(PeerTaskFailed, match="did not arrive"):
            await peer.ask({"n": 2}, by=Deadline.after(20), remote="nobody knows this one")
        await peer.cancel(answer.task_id)
        await peer.cancel("nobody knows this one")


@given(
    st.lists(st.lists(st.text("ab: ", max_size=5), min_size=1, max_size=3), max_size=4),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(1, 7), min_size=1, max_size=9),
)
def test_however_the_bytes_of_a_stream_are_cut_its_events_are_the_same(
    said: list[list[str]], ending: str, cuts: list[int]
) -> None:
    body = "".join(
        f": a comment{ending}event: e{ending}" + "".join(f"data: {line}{ending}" for line in lines) + ending
        for lines in said
    ).encode()

    async def chunks() -> AsyncIterator[bytes]:
        at, number = 0, 0
        while at < len(body):
            size = cuts[number % len(cuts)]
            yield body[at : at + size]
            at, number = at + size, number + 1

    async def read() -> list[bytes]:
        return [data async for data in events(chunks())]

    read_back = asyncio.run(read())
    expected = ["\n".join(lines).encode() for lines in said]
    assert read_back == (expected if ending != "\r" else expected[: len(read_back)])
    assert len(read_back) >= len(expected) - (ending == "\r")


async def test_a_line_of_many_pieces_is_read_once() -> None:
    """With each piece looked through again it would take minutes, in which nothing else goes on here."""
    pieces = [b"data: ", *[b"a" * 1024] * 16_000, b"\n\n"]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    assert [len(data) async for data in events(chunks())] == [1024 * 16_000]


async def test_an_artifact_of_many_pieces_is_put_together_once() -> None:
    seen = Seen("peer", "", None)
    await seen.take({"task": {"id": "t1", "status": {"state": "TASK_STATE_WORKING"}}})
    piece = {"artifactId": "a", "parts": [{"text": "x"}]}
    for number in range(400_000):
        await seen.take({"artifactUpdate": {"taskId": "t1", "artifact": piece, "append": number > 0}})
    assert len(seen.parts) == 400_000
    assert len(piece["parts"]) == 1


async def test_a_stream_ends_when_its_server_has_handed_the_work_over() -> None:
    begun = asyncio.Event()

    async def hold(incoming: Incoming) -> Outcome:
        begun.set()
        await asyncio.Event().wait()
        return Outcome()

    ring = Keyring("peer", "me")
    settings = Settings(public_url=ORIGIN, database="memory:", grace=0)
    app = a2a_app(
        "peer", card("JSONRPC"), hold, settings, ring.identity("peer"), Readiness(), lifespan=lifespan
    )
    mesh = InProcess({ORIGIN: app})
    async with mesh.running(), mesh.client() as http:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hold it"}]}
        call = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message}}
        headers = {"a2a-version": "1.0", **ring.identity("me").authorization("peer")}
        async with asyncio.timeout(20), http.stream("POST", ORIGIN, json=call, headers=headers) as response:
            await begun.wait()
            app.state.drain()
            said = [data async for data in events(response.aiter_bytes())]
    states = [json.loads(data)["result"]["task"]["status"]["state"] for data in said]
    assert states == ["TASK_STATE_WORKING"]
