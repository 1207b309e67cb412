"""The process that workers come from, and that ends them: one thread, no event loop, nothing of the server's.

It is forked while the server is still a single thread with nothing open, and has the agent's module loaded; so a worker is a fork
of it, ready in a millisecond. It alone kills: at the moment it was told beforehand, whatever the server is doing then.
When the server is gone, however it went, its end of the line is closed, and everything here ends.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import selectors
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

#: On the line: what, about which worker, and when (seconds of CLOCK_MONOTONIC, which all processes of a machine share) or how.
PACKET = struct.Struct("=cQd")
#: From the server: make a worker; end that one at this time.
MAKE, END = b"m", b"e"
#: From here: one is born (its pipe comes along); one is gone, with this wait status; none could be made.
BORN, GONE, BARREN = b"b", b"g", b"n"


#: Seconds that a worker is fresh. After that it has a tenth of the share (nice 10) of one that is, where there is too little CPU: so
#: those that are done soon go on while one runs away.
FRESH, STALE = 0.2, 10


@dataclass(slots=True)
class _Child:
    """`until` is when it ends, `fresh` when it has worked for long; both are never while it waits for a job."""

    number: int
    pid: int
    until: float = math.inf
    fresh: float = math.inf


class Nursery:
    """`raised` is what a new worker does with its end of the pipe; it does not return."""

    def __init__(self, line: socket.socket, raised: Callable[[socket.socket], NoReturn]) -> None:
        self._line = line
        self._raised = raised
        self._children: dict[int, _Child] = {}
        self._made = 0
        self._unsaid: deque[tuple[bytes, socket.socket | None]] = deque()
        self._events = selectors.DefaultSelector()

    def tend(self) -> None:
        """Make workers and end them, until the server closes the line."""
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)  # the server decides when to stop
        gc.collect()
        gc.freeze()
        self._line.setblocking(False)
        self._events.register(self._line, selectors.EVENT_READ)
        while self._look():
            pass
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)
        for child in self._children.values():
            os.waitpid(child.pid, 0)

    def _look(self) -> bool:
        """Wait for what happens next and do it. False when the server is gone."""
        due = min((min(child.until, child.fresh) for child in self._children.values()), default=math.inf)
        timeout = None if due == math.inf else max(due - time.monotonic(), 0.0)
        for key, ready in self._events.select(timeout):
            if key.fileobj is not self._line:
                self._bury(key.data, key.fd)
            elif ready & selectors.EVENT_READ and not self._told():
                return False
            else:
                self._speak()
        now = time.monotonic()
        for child in self._children.values():
            if child.until <= now:
                os.kill(child.pid, signal.SIGKILL)
                child.until = math.inf
            if child.fresh <= now:
                _step_back(child.pid)
                child.fresh = math.inf
        return True

    def _told(self) -> bool:
        try:
            packet = self._line.recv(PACKET.size)
        except ConnectionError:
            return False
        if not packet:
            return False
        what, number, when = PACKET.unpack(packet)
        if what == MAKE:
            self._make()
        elif number in self._children:  # else it has gone by itself
            child = self._children[number]
            if child.until == math.inf:  # it has got its job just now
                child.fresh = time.monotonic() + FRESH
            child.until = min(child.until, when)
        return True

    def _make(self) -> None:
        try:
            ours, theirs = socket.socketpair()
            pid = os.fork()
        except OSError:  # too many processes, files, or too little memory: may be not for long
            return self._say(BARREN, 0, 0.0)
        if pid == 0:
            self._raised(theirs)
        theirs.close()
        self._made += 1
        child = _Child(self._made, pid)
        self._children[child.number] = child
        self._events.register(os.pidfd_open(pid), selectors.EVENT_READ, child)
        return self._say(BORN, child.number, 0.0, ours)

    def _bury(self, child: _Child, watch: int) -> None:
        self._events.unregister(watch)
        os.close(watch)
        _, status = os.waitpid(child.pid, 0)
        del self._children[child.number]
        self._say(GONE, child.number, float(status))

    def _say(self, what: bytes, number: int, how: float, pipe: socket.socket | None = None) -> None:
        self._unsaid.append((PACKET.pack(what, number, how), pipe))
        self._speak()

    def _speak(self) -> None:
        """Say what the server has room to hear. Never wait for it: it may stand still, and others' time is running out."""
        while self._unsaid:
            packet, pipe = self._unsaid[0]
            try:
                socket.send_fds(self._line, [packet], [pipe.fileno()] if pipe else [])
            except BlockingIOError:
                break
            except ConnectionError:
                pass  # it has gone: the end of its line is what comes next
            if pipe is not None:
                pipe.close()
            self._unsaid.popleft()
        waits = selectors.EVENT_WRITE if self._unsaid else 0
        self._events.modify(self._line, selectors.EVENT_READ | waits)


def _step_back(pid: int) -> None:
    """Its share of the CPU, among processes and, where the kernel shares by sessions (sched(7), autogroup), among those."""
    with contextlib.suppress(OSError):  # it has just gone, or the kernel does not
        os.setpriority(os.PRIO_PROCESS, pid, STALE)
        Path(f"/proc/{pid}/autogroup").write_text(str(STALE))
