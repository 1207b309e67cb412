"""A stream of events ends with them, or with its client, and says in between that it is alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from meshwright.inbound.eventstream import EventStream, event


class Client:
    """The other side of one response."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.gone = asyncio.Event()
        self.heard = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message.get("body", b""))
        self.heard.set()


class Chunks:
    """Says what it is given, then waits for ever; `closed` once it was closed."""

    def __init__(self, *said: bytes, fails: bool = False, ends: bool = False) -> None:
        self.said, self.fails, self.ends, self.closed = said, fails, ends, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for each in self.said:
                yield each
            if self.fails:
                raise LookupError("broke")
            if not self.ends:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_what_is_said_is_sent_and_the_end_is_the_end() -> None:
    client = Client()
    chunks = Chunks(event(b"1"), event(b"2", "error"), ends=True)
    await EventStream(aiter(chunks))({}, client.receive, client.send)
    assert b"".join(client.sent) == b"data: 1\r\n\r\nevent: error\r\ndata: 2\r\n\r\n"
    assert chunks.closed


async def test_when_the_client_has_gone_the_stream_is_closed() -> None:
    client, chunks = Client(), Chunks(event(b"1"))
    streaming = asyncio.ensure_future(EventStream(aiter(chunks))({}, client.receive, client.send))
    while len(client.sent) < 2:
        client.heard.clear()
        await client.heard.wait()
    assert not chunks.closed
    client.gone.set()
    await streaming
    assert chunks.closed


async def test_when_the_server_gives_the_request_up_the_stream_is_closed() -> None:
    client, chunks = Client(), Chunks(event(b"1"))
    streaming = asyncio.ensure_future(EventStream(aiter(chunks))({}, client.receive, client.send))
    while len(client.sent) < 2:
        client.heard.clear()
        await client.heard.wait()
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert chunks.closed


async def test_silence_is_broken_by_a_comment() -> None:
    client = Client()
    streaming = asyncio.ensure_future(
        EventStream(aiter(Chunks()), ping=0.001)({}, client.receive, client.send)
    )
    while b": ping\r\n\r\n" not in client.sent:
        client.heard.clear()
        await client.heard.wait()
    client.gone.set()
    await streaming


async def test_what_breaks_in_a_stream_is_not_swallowed() -> None:
    client, chunks = Client(), Chunks(fails=True)
    with pytest.raises(LookupError):
        await EventStream(aiter(chunks))({}, client.receive, client.send)
    assert chunks.closed
