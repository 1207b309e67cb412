"""uvicorn's server without its clock: nothing wakes a process that nobody calls.

uvicorn looks ten times a second whether it should stop, and once a second writes the time down for its answers. That is a quarter
of a percent of a core in each process of a mesh that does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from types import FrameType

import uvicorn
from uvicorn.server import ServerState


class Listener(uvicorn.Server):
    """Waits for the signal to stop, and tells the time when it is asked for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = Dated(config)
        self._leaving: asyncio.Event | None = None

    async def main_loop(self) -> None:
        self._loop, self._leaving = asyncio.get_running_loop(), asyncio.Event()
        if not self.should_exit:
            await self._leaving.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._leaving is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)

    def leave(self) -> None:
        """Stop, of its own accord. Called on its loop."""
        self.should_exit = True
        if self._leaving is not None:
            self._leaving.set()


class Dated(ServerState):
    """What all connections share, with a `Date` that is right whenever an answer is made (RFC 9110, 6.6.1)."""

    def __init__(self, config: uvicorn.Config, *, clock: Callable[[], float] = time.time) -> None:
        self._config, self._clock = config, clock
        self._second = -1
        self._headers: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        second = int(self._clock())
        if second != self._second:
            date = [(b"date", formatdate(second, usegmt=True).encode())] if self._config.date_header else []
            self._headers, self._second = [*date, *self._config.encoded_headers], second
        return self._headers

    @default_headers.setter
    def default_headers(self, _: list[tuple[bytes, bytes]]) -> None:
        """uvicorn's own clock sets it; here nobody has to."""
