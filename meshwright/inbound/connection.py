"""A connection as it is served here: a head has an end, nothing is upgraded, and answers leave in one piece.

uvicorn takes a head of any length, and waits for its end for ever; and so the lines that may follow a body in pieces (trailers), of
which it makes headers. It hands whoever asks for WebSocket to a protocol that nobody
speaks here, and of a request that asks for HTTP/2 in the clear, as Java's client does, it loses the body: a server that knows
neither goes on in HTTP/1.1 (RFC 9110, 7.8).

uvicorn writes the head of an answer, and then its body. Whoever waits for it is woken by the first, finds half an answer, and
takes the processor from the one who is about to write the other half.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

#: Bytes of a head that come after its first piece, and seconds until it is whole.
MAX_HEAD, HEAD_SECONDS = 65_536, 10.0
#: What asks for another protocol. Without the first nobody does.
_UPGRADE = (b"upgrade", b"http2-settings")


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with a limit for each head, and an envelope for each answer."""

    #: What is being answered: of several requests that came at once uvicorn tells only the last that the client has gone.
    _answered: RequestResponseCycle | None = None
    _head_read = False
    _head_begun = False
    _head_size = 0
    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._keep_alive()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if (answered := self._answered) is not None and not answered.response_complete:
            answered.disconnected = True
            answered.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._head_begun:
            self._more_of_a_head(len(data))
        elif not self._answering:
            self._keep_alive()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_begun, self._head_read = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_read:  # what comes after a body is none (RFC 9110, 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_ended()
        self._head_read = True
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """A piece of the body follows; or, after the last of them, lines that have no more room than a head."""
        self._head_begun = True

    def on_body(self, body: bytes) -> None:
        self._head_ended()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_ended()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

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

    def _keep_alive(self) -> None:
        """Wait for a request, and not for ever."""
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _more_of_a_head(self, size: int) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
            return
        self._head_size += size
        if self._head_size > MAX_HEAD:
            self._refuse_head(431)

    def _head_is_late(self) -> None:
        if self._answering:  # nothing may be read meanwhile
            self._head_due = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        else:
            self._refuse_head(408)

    def _refuse_head(self, status: int) -> None:
        self._head_ended()
        if not self._answering:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _head_ended(self) -> None:
        self._head_begun, self._head_size = False, 0
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
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
