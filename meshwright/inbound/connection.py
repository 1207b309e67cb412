"""A connection whose answers leave in one piece.

uvicorn writes the head of an answer, and then its body. Whoever waits for it is woken by the first, finds half an answer, and
takes the processor from the one who is about to write the other half.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with an envelope for each answer."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.transport = Whole(self.transport)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)


class Whole:
    """A transport for one answer. Its head waits for the first of its body, at most to the end of this turn of the loop."""

    __slots__ = ("_head", "_headed", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes = b""
        self._headed = False
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._headed:
            head, self._head = self._head, b""
            self._transport.write(head + data)
            return
        self._headed = True
        self._head = data
        asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)
