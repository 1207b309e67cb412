"""The wild agent and its tool server as processes, and what can be seen of them from outside, through /proc."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.runaway.wild import AGENT, CARD
from benchmarks.runaway.workshop import ACCESS
from meshwright.cli import keys
from meshwright.cli.home import Home
from meshwright.testing.processes import free_base

ROOT = Path(__file__).parents[2]
#: Seconds a server may take to start.
START = 30.0
WORKER = f"meshwright worker of {AGENT.name}"


class Note:
    """Where whoever does the work leaves word of its process id: a named pipe, so that it can be waited for."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._pid = 0

    def pid(self, within: float = 0.0) -> int:
        """The process id; 0 if nobody has begun within so many seconds."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        if not self._pid and poll.poll(within * 1000):
            self._pid = int(os.read(self._end, 32))
        return self._pid

    def close(self) -> None:
        os.close(self._end)


@dataclass(slots=True)
class Household:
    """A running wild agent. `log` is what it wrote."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]
    log: Path
    asked: int = 0

    def request(self, behaviour: str, *, now: bool = False) -> tuple[dict[str, Any], Note]:
        """The body that asks for a behaviour, and the note by whoever does it."""
        self.asked += 1
        path = self.folder / f"note-{self.asked}"
        subtask = {"id": "s", "skill": "behave", "instruction": behaviour, "details": {"note": str(path)}}
        message = {
            "messageId": f"m{os.getpid()}-{self.asked}-{self.process.pid}",
            "role": "ROLE_USER",
            "parts": [{"data": {"subtask": subtask}}],
        }
        params = {"message": message, "configuration": {"returnImmediately": now}}
        return {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}, Note(path)

    @property
    def nursery(self) -> int:
        """The process id of its nursery."""
        (found,) = [pid for pid, parent in parents().items() if parent == self.process.pid]
        return found

    def strays(self) -> list[int]:
        """Workers, or what they made, that are no children of the nursery."""
        nursery = self.nursery
        return [pid for pid, parent in parents().items() if title(pid) == WORKER and parent != nursery]


@contextmanager
def household(folder: Path, *, tools: bool = True, source: str = "", **settings: str) -> Iterator[Household]:
    """Run a wild agent around the body, or the AGENT of a module's `source`; `settings` are `MESHWRIGHT_*`."""
    cards = folder / "agent_cards"
    cards.mkdir(parents=True)
    (cards / f"{AGENT.name}.json").write_text(json.dumps(CARD))
    (folder / "access.toml").write_text(ACCESS)
    (folder / "wild_too.py").write_text(source)
    home = Home.at(folder / "home")
    home.make()
    keys.ensure(home, [AGENT.name, "workshop"])
    base = free_base(2)
    with ExitStack() as stack:
        if tools:
            access = {"ACCESS": str(folder / "access.toml")}
            _start(stack, folder, home, "workshop", base + 1, access)
            settings = {"TOOLS": f"http://127.0.0.1:{base + 1}", **settings}
        module = "wild_too" if source else "benchmarks.runaway.wild"
        process, log = _start(stack, folder, home, AGENT.name, base, settings, module)
        yield Household(f"http://127.0.0.1:{base}", folder, process, log)


def _start(
    stack: ExitStack,
    folder: Path,
    home: Home,
    name: str,
    port: int,
    settings: dict[str, str],
    module: str = "benchmarks.runaway.workshop",
) -> tuple[subprocess.Popen[bytes], Path]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")}
    environ["PYTHONPATH"] = str(ROOT)
    own = {
        "HOME": home.path,
        "PORT": port,
        "KEY": home.key(name),
        "TRUST": home.trust,
        "LOG_LEVEL": "WARNING",
    }
    environ |= {f"MESHWRIGHT_{key}": str(value) for key, value in {**own, **settings}.items()}
    program = f"from meshwright import serve; serve({name!r}, '{module}:AGENT')"
    command = ["-c", program] if name == AGENT.name else ["-m", module]
    log = folder / f"{name}.log"
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environ, stderr=stack.enter_context(log.open("wb"))
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    stack.callback(_ask_to_stop, process)
    address, began = f"http://127.0.0.1:{port}/readyz", time.monotonic()
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(address).status_code == 200:
                return process, log
        if process.poll() is not None or time.monotonic() - began > START:
            raise RuntimeError(f"{name} did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)


def parents() -> dict[int, int]:
    """The parent of each process that is not a zombie."""
    found: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(folder.name)] = int(parent)
    return found


def title(pid: int) -> str:
    """Its command line; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
    return ""


def gone_within(seconds: float, *pids: int) -> list[int]:
    """Those of the processes that are still there after so many seconds."""
    until, left = time.monotonic() + seconds, list[int]()
    for pid in pids:
        try:
            watch = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        if not poll.poll(max(until - time.monotonic(), 0) * 1000):
            left.append(pid)
        os.close(watch)
    return left
