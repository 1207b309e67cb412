"""A stream of server-sent events (WHATWG HTML, 9.2) as an ASGI response: it ends with its events, or when the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

#: Seconds of silence after which a comment tells proxies, and us, that the other side is still there.
PING = 15.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """`chunks` are whole events, encoded; closed in any case."""

    def __init__(self, chunks: AsyncIterator[bytes], ping: float = PING) -> None:
        self._chunks = chunks
        self._ping = ping
        self.status_code, self.background = 200, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        streaming = asyncio.ensure_future(self._stream(send))
        gone = asyncio.ensure_future(_gone(receive))
        both = {streaming, gone}
        try:
            while not (await asyncio.wait(both, timeout=self._ping, return_when=asyncio.FIRST_COMPLETED))[0]:
                await send(_body(b": ping\r\n\r\n"))
        finally:
            for each in both:
                each.cancel()
            await asyncio.wait(both)
        if not streaming.cancelled():
            streaming.result()

    async def _stream(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                await send(_body(chunk))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def event(data: bytes, name: str = "", number: str = "") -> bytes:
    """One event. `data` is a single line; `number` is the id that a client names when it comes back."""
    head = (f"id: {number}\r\n" if number else "") + (f"event: {name}\r\n" if name else "")
    return head.encode() + b"data: " + data + b"\r\n\r\n"


def _body(chunk: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": chunk, "more_body": True}


async def _gone(receive: Receive) -> None:
    """Returns when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
