"""Keeps the processes of a mesh running: waits until all are ready, starts again what dies, stops cleanly.

A mesh stays up when one process dies; it is started again with a growing pause. Only one that never becomes
ready ends the start, with the end of its log as the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from meshwright.cli.console import USAGE, Trouble
from meshwright.cli.home import Home
from meshwright.cli.surroundings import environment
from meshwright.cli.topology import HOST, Mesh, Process

State = Literal["waits", "starts", "ready", "died", "stopped"]
#: Told of each change: the process, its new state, and a line about it (for `died` also the end of its log).
Watcher = Callable[[str, State, str], None]

_LEASH = str(Path(__file__).with_name("leash.py"))
_LOG_LIMIT = 10_000_000
#: Lines of a log that are shown of a process that died. One that exits with USAGE has said in its last line what to do.
_LINES = 12


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds; `tries` is how often a process may die before it was ever ready.

    `head_start` is how long one that starts may keep the next one waiting for its place.
    """

    ready: float = 120.0
    grace: float = 10.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    settled: float = 60.0
    tries: int = 3
    head_start: float = 20.0
    look: float = 0.1


@dataclass(slots=True)
class Child:
    """One process and what became of it."""

    process: Process
    running: asyncio.subprocess.Process | None = None
    spawning: asyncio.Task[None] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    deaths: int = 0


class Supervisor:
    """The processes of one mesh.

    `at_once` bounds how many start at the same time: more only fight for the cores.
    """

    def __init__(
        self,
        mesh: Mesh,
        home: Home,
        base: int,
        outer: Mapping[str, str],
        watcher: Watcher,
        *,
        patience: Patience | None = None,
        at_once: int | None = None,
    ) -> None:
        self._mesh, self._home, self._base, self._outer, self._tell = mesh, home, base, outer, watcher
        self._patience = patience or Patience()
        self._gate = asyncio.Semaphore(at_once or 2 * (os.cpu_count() or 2))
        self._children = [Child(process) for process in mesh.processes]
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Start all and return when all are ready.

        Raises Trouble if one cannot; then everything is stopped again.
        """
        for child in self._children:
            self._tell(child.process.name, "waits", "")
            self._keepers.append(asyncio.create_task(self._keep(child)))
        everyone = asyncio.create_task(self._everyone_ready())
        try:
            done, _ = await asyncio.wait(
                {everyone, *self._keepers}, timeout=self._patience.ready, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
            if not everyone.done():
                slow = [child.process.name for child in self._children if not child.ready.is_set()]
                names, seconds = ", ".join(slow), f"{self._patience.ready:.0f} s"
                raise Trouble(f"{names} not ready after {seconds}: see {self._home.log(slow[0])}")
        except BaseException:
            everyone.cancel()
            await self.stop()
            raise

    async def stay(self) -> None:
        """Keep all running until `stop`, or until this is cancelled."""
        await asyncio.gather(*self._keepers)

    async def stop(self) -> None:
        """SIGTERM to all at once, SIGKILL to whoever is still there after the grace.

        None is left when this returns.
        """
        self._stopping = True
        await asyncio.gather(*(c.spawning for c in self._children if c.spawning), return_exceptions=True)
        for child in self._children:
            _signal(child, signal.SIGTERM)
        leaving = [asyncio.create_task(self._gone(child)) for child in self._children]
        _, late = await asyncio.wait(leaving, timeout=self._patience.grace)
        for child in self._children:
            _signal(child, signal.SIGKILL)
        if late:
            await asyncio.wait(late)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def kill(self) -> None:
        """No grace: SIGKILL to all, for someone who asks a second time."""
        for child in self._children:
            _signal(child, signal.SIGKILL)

    def pids(self) -> dict[str, int]:
        """The process ids of those that run."""
        return {
            c.process.name: c.running.pid
            for c in self._children
            if c.running and c.running.returncode is None
        }

    async def _everyone_ready(self) -> None:
        for child in self._children:
            await child.ready.wait()

    async def _keep(self, child: Child) -> None:
        """Start one process, and again whenever it dies. Raises Trouble if it never becomes ready."""
        name, pause = child.process.name, self._patience.first_pause
        while not self._stopping:
            async with self._gate:
                if self._stopping:
                    return
                born, begin = time.monotonic(), self._log_end(name)
                child.spawning = asyncio.create_task(self._spawn(child))
                # a child that is being born is not lost when we are cancelled
                await asyncio.shield(child.spawning)
                watching = asyncio.create_task(self._until_ready(child, born))
                await asyncio.wait({watching}, timeout=self._patience.head_start)
            await watching
            assert child.running is not None
            code = await child.running.wait()
            if self._stopping:
                return
            child.deaths += 1
            tail = _tail(self._home.log(name), begin, 1 if code == USAGE else _LINES)
            if not child.ready.is_set() and child.deaths >= self._patience.tries:
                times = f"{_ending(code)}, {child.deaths} times"
                raise Trouble(f"{name} does not start ({times}): see {self._home.log(name)}{tail}")
            if time.monotonic() - born > self._patience.settled:
                pause = self._patience.first_pause
            self._tell(name, "died", f"{_ending(code)}, again in {pause:g} s{tail}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.longest_pause)

    async def _spawn(self, child: Child) -> None:
        process = child.process
        leash = [sys.executable, "-I", "-S", _LEASH, str(os.getpid())]
        with self._home.log(process.name).open("ab") as log:
            child.running = await asyncio.create_subprocess_exec(
                *leash,
                *[sys.executable, "-P", "-m", process.module],
                env=environment(process, self._mesh, self._home, self._base, self._outer),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for `up`, which then stops its children in order
            )
        self._tell(process.name, "starts", f"process {child.running.pid}")

    async def _until_ready(self, child: Child, born: float) -> None:
        """Return when the process answers ready, or is dead."""
        assert child.running is not None
        while child.running.returncode is None and not self._stopping:
            if await is_ready(self._base + child.process.port):
                child.ready.set()
                self._tell(child.process.name, "ready", f"{time.monotonic() - born:.1f} s")
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.running.wait(), self._patience.look)

    async def _gone(self, child: Child) -> None:
        if child.running is not None:
            await child.running.wait()
        self._tell(child.process.name, "stopped", "")

    def _log_end(self, name: str) -> int:
        """Where a new life of the process begins in its log; a log that grew large is put aside first."""
        path = self._home.log(name)
        size = path.stat().st_size if path.exists() else 0
        if size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
            return 0
        return size


async def is_ready(port: int, path: str = "/readyz", timeout: float = 2.0) -> bool:
    """Whether the process on `port` says that it is ready.

    Bare sockets: no HTTP client is worth half a second of start.
    """
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode()
                )
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status.split()[1:2] == [b"200"]


def _signal(child: Child, what: signal.Signals) -> None:
    """To the process and whatever it started (each has a session of its own); nothing if it is gone."""
    if child.running is not None:
        if what is signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.running.pid, what)
        elif child.running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.running.send_signal(what)


def _ending(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"


def _tail(path: Path, begin: int, lines: int) -> str:
    """The last lines that the process wrote since `begin`, indented, on lines of their own.

    Empty if it said nothing.
    """
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(begin if begin <= end else 0, end - 8_000))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "".join(f"\n    {line[:200]}" for line in text.strip().splitlines()[-lines:])
