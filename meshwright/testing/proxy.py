"""A TCP proxy in front of a real server that does to it what networks and sick peers do: delay, drip, hang, cut, reset, refuse, flap.

    async with FaultProxy(url).running() as proxy:
        proxy.shows(Fault("reset"), WELL)      # every other exchange is reset: flapping
        await client.get(proxy.url)

It works on bytes, so whatever is spoken through it meets the fault as it would in life.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one exchange: a request, and the answer up to the next request on that connection.

    * `none`
    * `delay`: the answer comes `seconds` late
    * `drip`: the answer comes one byte each `seconds`
    * `hang`: the request is swallowed, and nothing ever comes
    * `half-close`: after `after` bytes of the answer its side of the connection is closed, and the other one stays open
    * `reset`: after `after` bytes of the answer the connection is reset; the request was heard
    * `deaf`: the connection is reset before the server hears of the request
    """

    kind: Literal["none", "delay", "drip", "hang", "half-close", "reset", "deaf"] = "none"
    seconds: float = 0.0
    after: int = 0


WELL = Fault()


class FaultProxy:
    """Stands before the server at `target`, an `http://` address. `exchanges` counts the requests that came."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname or "", address.port or 80)
        self._faults: Iterator[Fault] = itertools.repeat(WELL)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.Task[None]] = set()
        self.exchanges = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def shows(self, *faults: Fault) -> None:
        """From now on each exchange meets the next of `faults`, and after the last the first again."""
        self._faults = itertools.cycle(faults)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        """Listen on a free loopback port around the body."""
        await self.accept()
        try:
            yield self
        finally:
            await self.refuse()

    async def accept(self) -> None:
        """Take connections, again after `refuse` at the same address."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Cut what is open, and take no connection any more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._target)
        line = _Line(self, reader, writer, from_server, to_server)
        ways = [asyncio.ensure_future(line.ask()), asyncio.ensure_future(line.answer())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            to_server.transport.abort()

    def next_fault(self) -> Fault:
        self.exchanges += 1
        return next(self._faults)


class _Line:
    """One connection through the proxy."""

    def __init__(
        self,
        proxy: FaultProxy,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = from_client, to_client
        self._from_server, self._to_server = from_server, to_server
        self._fault = WELL
        self._answered = -1  # bytes of the answer that were passed on; -1 before the first request

    async def ask(self) -> None:
        """Pass on what the client says, until it closes."""
        while data := await self._from_client.read(CHUNK):
            if self._answered:  # the first of a new request
                self._fault, self._answered = self._proxy.next_fault(), 0
            if self._fault.kind == "deaf":
                return _reset(self._to_client)
            if self._fault.kind != "hang":
                self._to_server.write(data)
                await self._to_server.drain()
        return None

    async def answer(self) -> None:
        """Pass on what the server says, in the way of the fault, until it closes."""
        while data := await self._from_server.read(CHUNK):
            fault = self._fault
            if fault.kind == "delay" and self._answered == 0:
                await asyncio.sleep(fault.seconds)
            if fault.kind in ("reset", "half-close") and self._answered + len(data) >= fault.after:
                await self._say(data[: fault.after - self._answered])
                if fault.kind == "reset":
                    return _reset(self._to_client)
                self._to_client.write_eof()
                await asyncio.Event().wait()  # until the client has enough of it
            if fault.kind == "drip":
                for byte in data:
                    await asyncio.sleep(fault.seconds)
                    await self._say(bytes((byte,)))
            else:
                await self._say(data)
        return None

    async def _say(self, data: bytes) -> None:
        self._answered += len(data)
        self._to_client.write(data)
        await self._to_client.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets a reset: with no time to linger the kernel sends RST instead of FIN."""
    peer: socket.socket | None = writer.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
