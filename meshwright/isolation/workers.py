"""The server's side of its nursery: a few workers that wait for a job, and word of those that are gone."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
import time
from collections import deque

from meshwright.errors import Overloaded, WorkerFailed
from meshwright.isolation.nursery import BORN, END, GONE, MAKE, PACKET

log = logging.getLogger(__name__)

#: Workers that wait for a job: so many can come at once and find one ready. Each has a few MiB of its own.
IDLE = 3
#: Seconds after which to ask again where no worker could be made.
PAUSE = 1.0


class Worker:
    """One worker. `pipe` leads to it; `gone` is its wait status, once it has ended."""

    def __init__(self, number: int, pipe: socket.socket) -> None:
        self.number = number
        self.pipe = pipe
        self.gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def left(self, status: int) -> None:
        if not self.gone.done():  # whoever waited for it may have been cancelled
            self.gone.set_result(status)


class Workers:
    """All workers of a server. `line` leads to the nursery."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._line = line
        self._living: dict[int, Worker] = {}
        self._idle: deque[Worker] = deque()
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._unsaid: deque[bytes] = deque()
        self._expected = 0
        self._listening = self._writing = self._lost = False
        self._replenish()

    async def take(self) -> Worker:
        """A worker that nobody has had. Raises Overloaded where none can be made, WorkerFailed without a nursery."""
        if not self._listening:
            self._listening = True
            asyncio.get_running_loop().add_reader(self._line.fileno(), self._hear)
        if self._lost:
            raise WorkerFailed(
                "there is no nursery for workers any more; this server is about to start again"
            )
        if self._idle:
            worker = self._idle.popleft()
            self._replenish()
            return worker
        turn: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._replenish()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._idle.append(turn.result())  # it came together with the cancellation
            raise

    def end(self, worker: Worker, after: float = 0.0) -> None:
        """End it `after` so many seconds, unless it is to end earlier or has ended already."""
        self._say(END, worker.number, time.monotonic() + after)

    def _replenish(self) -> None:
        """Order what is missing: a worker for each who waits, and those that wait for a job."""
        wanted = IDLE + sum(not turn.done() for turn in self._waiting)
        while len(self._idle) + self._expected < wanted:
            self._expected += 1
            self._say(MAKE, 0, math.inf)

    def _hear(self) -> None:
        while True:
            try:
                packet, pipes, _, _ = socket.recv_fds(self._line, PACKET.size, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                break
            except ConnectionError:
                packet = b""
            if not packet:
                self._bereft()
                break
            what, number, how = PACKET.unpack(packet)
            if what == GONE:
                self._gone(number, int(how))
            elif what == BORN and pipes:
                self._born(Worker(number, socket.socket(fileno=pipes[0])))
            else:  # none could be made, or this process has too many files open to have its pipe
                self._say(END, number, 0.0)
                self._barren()

    def _born(self, worker: Worker) -> None:
        self._expected -= 1
        self._living[worker.number] = worker
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn.set_result(worker)
        self._idle.append(worker)
        return None

    def _gone(self, number: int, status: int) -> None:
        worker = self._living.pop(number, None)
        if worker is None:  # it never had a pipe
            return
        worker.left(status)
        if worker in self._idle:  # it had nothing to do, and died: the next one is made when one is needed
            self._idle.remove(worker)
            worker.pipe.close()
            log.warning("an idle worker ended (wait status %d)", status)

    def _barren(self) -> None:
        self._expected -= 1
        log.error("no worker can be made: too many processes, or too little memory")
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn.set_exception(Overloaded("no worker can be made for it now", PAUSE))
        return None

    def _bereft(self) -> None:
        """The nursery is gone, and its workers with it. A new one needs a new process: stop, to be started again."""
        self._lost = True
        asyncio.get_running_loop().remove_reader(self._line.fileno())
        log.critical("the nursery is gone: this server stops, so that it is started again")
        trouble = WorkerFailed("its worker was lost together with the nursery")
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(trouble)
        for worker in self._living.values():
            worker.left(signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGTERM)

    def _say(self, what: bytes, number: int, when: float) -> None:
        self._unsaid.append(PACKET.pack(what, number, when))
        self._speak()

    def _speak(self) -> None:
        """Say what the nursery has room to hear; the rest when it has."""
        while self._unsaid and not self._lost:
            try:
                self._line.send(self._unsaid[0])
            except BlockingIOError:
                self._writing = True
                return asyncio.get_running_loop().add_writer(self._line.fileno(), self._speak)
            except ConnectionError:
                break  # the end of the line is what we hear next
            self._unsaid.popleft()
        if self._writing:
            self._writing = False
            asyncio.get_running_loop().remove_writer(self._line.fileno())
        return None
