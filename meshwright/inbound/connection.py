"""A connection as it is served here: nothing is upgraded, and answers leave in one piece.

uvicorn hands whoever asks for WebSocket to a protocol that nobody speaks here, and of a request that asks for HTTP/2 in the clear,
as Java's client does, it loses the body: a server that knows neither goes on in HTTP/1.1 (RFC 9110, 7.8).

uvicorn writes the head of an answer, and then its body. Whoever waits for it is woken by the first, finds half an answer, and
takes the processor from the one who is about to write the other half.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

#: What asks for another protocol. Without the first nobody does.
_UPGRADE = (b"upgrade", b"http2-settings")


class Connection(HttpToolsProtocol):
    """uvicorn's connection, for HTTP/1.1 alone, with an envelope for each answer."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _parse(self, data: bytes) -> None:
        """Raises HttpParserError. The parser stops at a head that asks for another protocol: it is read again without that."""
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                if self.parser.get_method() == b"CONNECT":
                    raise HttpParserError("this is no proxy") from None
                data = self._plain_head() + data[upgrade.args[0] :]
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
            else:
                return

    def _plain_head(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name not in _UPGRADE]
        return b"\r\n".join([*lines, b"", b""])

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
