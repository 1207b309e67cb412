"""How requests come, and how answers leave: in one piece where they can, and never later than they could."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from meshwright.inbound.connection import HEAD_SECONDS, MAX_HEAD, Connection

GET = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
POST = b"POST / HTTP/1.1\r\nhost: here\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"


class Wire(asyncio.Transport):
    """What a socket would have been given."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Queue[bytes]()
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.put_nowait(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Clock:
    """The loop, with timers that ring when a test says so."""

    def __init__(self) -> None:
        self.create_task = asyncio.get_running_loop().create_task
        self._timers: list[tuple[float, asyncio.Handle]] = []

    def call_later(self, seconds: float, callback: Callable[..., Any], *arguments: Any) -> asyncio.Handle:
        timer = asyncio.Handle(callback, arguments, asyncio.get_running_loop())
        self._timers.append((seconds, timer))
        return timer

    def waits(self, seconds: float) -> bool:
        return any(due == seconds and not timer.cancelled() for due, timer in self._timers)

    def ring(self, seconds: float) -> None:
        """The timers that are due after so many seconds."""
        ringing, self._timers = self._timers, [each for each in self._timers if each[0] != seconds]
        for due, timer in ringing:
            if due == seconds and not timer.cancelled():
                timer._run()


def connected(app: Any, clock: Any = None) -> tuple[Connection, Wire]:
    config = uvicorn.Config(app, http=Connection, log_config=None, date_header=False, server_header=False)
    config.load()
    connection = Connection(config=config, server_state=ServerState(), app_state={}, _loop=clock)
    wire = Wire()
    connection.connection_made(wire)
    return connection, wire


def start(**headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send(start(content_length="5"))
    await send({"type": "http.response.body", "body": b"hello"})


async def test_an_answer_leaves_in_one_write_and_so_does_the_next_on_the_same_connection() -> None:
    connection, wire = connected(hello)
    async with asyncio.timeout(10):
        for _ in range(2):
            connection.data_received(GET)
            assert await wire.written.get() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert wire.written.empty()
    connection.connection_lost(None)


async def test_a_head_does_not_wait_for_a_body_that_is_not_there_yet() -> None:
    more = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await more.wait()
        await send({"type": "http.response.body", "body": b"late"})

    connection, wire = connected(slow)
    async with asyncio.timeout(10):
        connection.data_received(GET)
        assert (await wire.written.get()).endswith(b"transfer-encoding: chunked\r\n\r\n")
        more.set()
        assert await wire.written.get() == b"4\r\nlate\r\n0\r\n\r\n"
    connection.connection_lost(None)


async def test_an_answer_without_a_body_leaves_too() -> None:
    connection, wire = connected(hello)
    async with asyncio.timeout(10):
        connection.data_received(HEAD)
        assert (await wire.written.get()).endswith(b"content-length: 5\r\n\r\n")
    connection.connection_lost(None)


async def test_who_asks_whether_to_send_its_body_is_told_before_it_does() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"] or (await receive())["body"]
        await send(start(content_length="4"))
        await send({"type": "http.response.body", "body": body})

    connection, wire = connected(echo)
    async with asyncio.timeout(10):
        connection.data_received(POST)
        assert await wire.written.get() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.data_received(b"ping")
        answer = await wire.written.get()
        while not answer.endswith(b"ping"):
            answer += await wire.written.get()
        assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nping"
    connection.connection_lost(None)


async def test_what_was_said_before_a_connection_is_closed_leaves_first() -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await send(start(content_length="5", connection="close"))
        await send({"type": "http.response.body", "body": b"hello"})

    connection, wire = connected(breaks)
    async with asyncio.timeout(10):
        connection.data_received(GET)
        assert (await wire.written.get()).endswith(b"hello")
    assert wire.closed
    connection.connection_lost(None)


async def heard(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was sent."""
    body = b""
    more = True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    said = scope["method"].encode() + b" " + body
    await send(start(content_length=str(len(said))))
    await send({"type": "http.response.body", "body": said})


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "smtp"])
@pytest.mark.parametrize("cut", [1, 40, 100_000])
async def test_who_asks_for_another_protocol_is_answered_in_this_one(protocol: str, cut: int) -> None:
    asked = (
        "POST / HTTP/1.1\r\nhost: here\r\nconnection: Upgrade, HTTP2-Settings\r\ncontent-length: 4\r\n"
        f"http2-settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nupgrade: {protocol}\r\n\r\nping"
    ).encode()
    connection, wire = connected(heard)
    async with asyncio.timeout(10):
        for _ in range(2):
            for at in range(0, len(asked), cut):
                connection.data_received(asked[at : at + cut])
            assert (await wire.written.get()).endswith(b"\r\n\r\nPOST ping")
    connection.connection_lost(None)


async def test_several_who_ask_for_another_protocol_at_once_are_answered_in_their_order() -> None:
    asked = b"GET /%d HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    seen = []

    async def path(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await hello(scope, receive, send)

    connection, wire = connected(path)
    async with asyncio.timeout(10):
        connection.data_received(b"".join(asked % number for number in range(50)))
        for _ in range(50):
            assert (await wire.written.get()).endswith(b"hello")
    assert seen == [f"/{number}" for number in range(50)]
    connection.connection_lost(None)


async def test_a_request_for_a_proxy_is_refused() -> None:
    connection, wire = connected(hello)
    connection.data_received(b"CONNECT here:80 HTTP/1.1\r\nhost: here:80\r\n\r\n")
    assert (await wire.written.get()).startswith(b"HTTP/1.1 400 ")
    assert wire.closed
    connection.connection_lost(None)


async def test_a_head_without_an_end_is_refused() -> None:
    connection, wire = connected(hello)
    connection.data_received(b"GET / HTTP/1.1\r\nhost: here\r\nlong: ")
    sent = 0
    while not wire.closed:
        connection.data_received(b"a" * 1_000)
        sent += 1_000
    assert (await wire.written.get()).startswith(b"HTTP/1.1 431 ")
    assert MAX_HEAD < sent <= MAX_HEAD + 1_000
    connection.connection_lost(None)


IN_PIECES = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n4\r\nping\r\n0\r\n"


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("line", [b"a" * 1_000, b"a: b\r\n" * 100])
async def test_what_follows_a_body_without_an_end_is_refused(answered: bool, line: bytes) -> None:
    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    connection, wire = connected(hello if answered else waits)
    connection.data_received(IN_PIECES + b"long: ")
    if answered:
        async with asyncio.timeout(10):
            assert (await wire.written.get()).endswith(b"hello")
    sent = 0
    while not wire.closed:
        connection.data_received(line)
        sent += len(line)
        assert sent <= MAX_HEAD + 2_000
    connection.connection_lost(None)


async def test_what_follows_a_body_is_no_header() -> None:
    heads = []

    async def hears(scope: Any, receive: Any, send: Any) -> None:
        await heard(scope, receive, send)
        heads.append([name for name, _ in scope["headers"]])

    connection, wire = connected(hears)
    async with asyncio.timeout(10):
        for _ in range(2):
            connection.data_received(IN_PIECES + b"authorization: Bearer me\r\n\r\n")
            assert (await wire.written.get()).endswith(b"POST ping")
    assert heads == [[b"host", b"transfer-encoding"]] * 2
    assert not wire.closed
    connection.connection_lost(None)


async def test_a_body_in_many_pieces_may_be_longer_than_a_head() -> None:
    connection, wire = connected(heard)
    async with asyncio.timeout(10):
        connection.data_received(IN_PIECES.removesuffix(b"0\r\n"))
        for _ in range(MAX_HEAD // 500):
            connection.data_received(b"3e8\r\n")
            connection.data_received(b"a" * 1_000 + b"\r\n")
        connection.data_received(b"0\r\n\r\n")
        assert (await wire.written.get()).endswith(b"ping" + b"a" * 1_000 * (MAX_HEAD // 500))
    assert not wire.closed
    connection.connection_lost(None)


async def test_many_long_heads_on_one_connection_are_many_heads() -> None:
    connection, wire = connected(hello)
    async with asyncio.timeout(10):
        for _ in range(5):
            connection.data_received(b"GET / HTTP/1.1\r\nhost: here\r\nlong: ")
            connection.data_received(b"a" * (MAX_HEAD // 2))
            connection.data_received(b"\r\n\r\n")
            assert (await wire.written.get()).endswith(b"hello")
    assert not wire.closed
    connection.connection_lost(None)


async def test_a_head_that_does_not_come_to_its_end_in_time_is_refused() -> None:
    clock = Clock()
    connection, wire = connected(hello, clock)
    connection.data_received(b"GET / HTTP/1.1\r\n")
    clock.ring(HEAD_SECONDS)
    assert (await wire.written.get()).startswith(b"HTTP/1.1 408 ")
    assert wire.closed
    connection.connection_lost(None)
    assert not clock.waits(HEAD_SECONDS)


async def test_the_head_of_the_next_request_may_wait_for_the_end_of_an_answer() -> None:
    gate, clock = asyncio.Event(), Clock()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await hello(scope, receive, send)

    connection, wire = connected(slow, clock)
    async with asyncio.timeout(10):
        connection.data_received(GET + b"GET / HTTP/1.1\r\n")
        clock.ring(HEAD_SECONDS)
        assert not wire.closed
        gate.set()
        assert (await wire.written.get()).endswith(b"hello")
        connection.data_received(b"host: here\r\n\r\n")
        assert (await wire.written.get()).endswith(b"hello")
    assert not clock.waits(HEAD_SECONDS)
    connection.connection_lost(None)


async def test_who_connects_and_says_nothing_is_let_go() -> None:
    clock = Clock()
    connection, wire = connected(hello, clock)
    for said in (b"", b"\r\n"):
        if said:
            connection.data_received(said)
        assert clock.waits(connection.timeout_keep_alive)
    clock.ring(connection.timeout_keep_alive)
    assert wire.closed
    connection.connection_lost(None)


@pytest.mark.parametrize("why", [None, ConnectionResetError()])
async def test_a_connection_that_is_gone_is_kept_by_no_timer(why: Exception | None) -> None:
    clock = Clock()
    connection, _ = connected(hello, clock)
    connection.connection_lost(why)
    assert not clock.waits(connection.timeout_keep_alive)


async def test_who_has_gone_has_gone_for_each_of_the_requests_that_it_sent_at_once() -> None:
    began, gone = asyncio.Event(), asyncio.Event()

    async def follow(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        began.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    connection, _ = connected(follow)
    async with asyncio.timeout(10):
        connection.data_received(GET * 2)
        await began.wait()
        connection.connection_lost(None)
        await gone.wait()
