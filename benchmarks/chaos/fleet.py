"""The processes of a mesh that is about to be mistreated: real ones, with replicas, started again as soon as they die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.chaos.people import PEOPLE
from meshwright.cli import keys, leash, surroundings, topology
from meshwright.cli.home import Home
from meshwright.cli.topology import HOST, Mesh, Process
from meshwright.testing.processes import free_base

#: Seconds a process may take from its start to ready, on a machine where everything starts at once.
PATIENCE = 120.0
#: Who runs as `benchmarks.chaos.clerk`: its agents ask in the middle of their work. (It is not loaded here: what it needs is large.)
CLERKS = ("returns", "orders")
#: Seconds between two looks at who has died, and at who is ready.
LOOK = 0.25


@dataclass(slots=True)
class Member:
    """One process. `holder` is the name under which it leases tasks, as it says at `/readyz`; empty while it starts.

    `deaths` were ours; `crashes` were its own.
    """

    name: str
    process: Process
    url: str
    env: dict[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    holder: str = ""
    ready: bool = False
    life: int = 0
    deaths: int = 0
    crashes: int = 0


class Fleet:
    """All members. `replicas` says how many there are of a process, by its name; one of those not named."""

    def __init__(self, folder: Path, replicas: dict[str, int], settings: dict[str, str]) -> None:
        self.mesh: Mesh = topology.load()
        self.home = Home.at(folder)
        self.home.make()
        mesh = self.mesh
        keys.ensure(self.home, mesh.names, PEOPLE, speakers=mesh.speakers, readers=[mesh.entry])
        self.shop = surroundings.world_file(self.mesh, self.home, {})
        base, spare = free_base(60), 30
        outer = {name: value for name, value in os.environ.items() if not name.startswith("MESHWRIGHT_")}
        self.members: list[Member] = []
        urls: dict[str, list[str]] = {}
        for process in self.mesh.processes:
            for number in range(replicas.get(process.name, 1)):
                port = base + process.port if number == 0 else base + (spare := spare + 1)
                env = surroundings.environment(process, self.mesh, self.home, base, outer)
                url = f"http://{HOST}:{port}"
                env |= {"MESHWRIGHT_PORT": str(port), "MESHWRIGHT_PUBLIC_URL": url}
                if process.kind == "a2a":
                    own = f"sqlite:///{self.home.path / process.name}.db"
                    env |= {"MESHWRIGHT_DATABASE": own, **settings}
                name = f"{process.name}-{number + 1}" if replicas.get(process.name, 1) > 1 else process.name
                self.members.append(Member(name, process, url, env, self.home.log(name)))
                urls.setdefault(process.name, []).append(url)
        for member in self.members:
            asks = [url for name in member.process.asks for url in urls[name]]
            member.env["MESHWRIGHT_PEERS"] = ",".join(asks)

    def named(self, process: str) -> list[Member]:
        return [member for member in self.members if member.process.name == process]

    def start(self, member: Member) -> None:
        """On a leash: whatever becomes of this program, none of its processes stays behind."""
        member.holder, member.ready, member.life = "", False, member.life + 1
        tied = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid())]
        with member.log.open("ab") as log:
            member.running = subprocess.Popen(
                [*tied, sys.executable, "-P", "-m", *_program(member.process)],
                env=member.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, *members: Member) -> None:
        """SIGKILL to all of them in the same moment. `keep` starts them again."""
        for member in members:
            _kill(member)
            member.deaths += 1
            member.holder, member.ready = "", False
        for member in members:
            if member.running is not None:
                member.running.wait()
                member.running = None

    async def keep(self, client: httpx.AsyncClient) -> None:
        """Until cancelled: start again whoever died, and know who is ready."""
        while True:
            for member in self.members:
                if member.running is not None and member.running.poll() is not None:
                    member.crashes += 1
                    print(f"{member.name} died of itself ({member.running.returncode})", file=sys.stderr)
                    member.running = None
                if member.running is None:
                    self.start(member)
            await asyncio.gather(*(self._look(client, m) for m in self.members if not m.ready))
            await asyncio.sleep(LOOK)

    async def _look(self, client: httpx.AsyncClient, member: Member) -> None:
        life = member.life
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = await client.get(member.url + "/readyz", timeout=2)
            holder = str(answer.json().get("holder", ""))
            if life == member.life and member.running is not None:
                member.holder, member.ready = holder, answer.status_code == 200

    async def all_ready(self) -> None:
        """Wait for everyone. Raises TimeoutError, naming those that are not ready or do not start."""
        until, crashes = time.monotonic() + PATIENCE, sum(member.crashes for member in self.members)
        while late := [member.name for member in self.members if not member.ready]:
            died = sum(member.crashes for member in self.members) - crashes
            if time.monotonic() > until or died > len(self.members):
                raise TimeoutError(f"not ready: {', '.join(late)}; see {self.home.path}")
            await asyncio.sleep(0.1)

    def stop(self) -> None:
        for member in self.members:
            _kill(member)
        for member in self.members:
            if member.running is not None:
                member.running.wait()
                member.running = None


def _program(process: Process) -> list[str]:
    """The process's own module, or the clerk in its place."""
    return ["benchmarks.chaos.clerk", process.name] if process.name in CLERKS else [process.module]


def _kill(member: Member) -> None:
    if member.running is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(member.running.pid, signal.SIGKILL)
