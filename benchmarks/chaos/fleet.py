"""The processes of a mesh that is about to be mistreated: real ones, with replicas, started again as soon as they die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from meshwright.cli import keys, surroundings, topology, up
from meshwright.cli.home import Home
from meshwright.cli.topology import HOST, Mesh, Process
from meshwright.testing.processes import free_base

#: Seconds a process may take from its start to ready, on a machine where everything starts at once.
PATIENCE = 120.0


@dataclass(slots=True)
class Member:
    """One process. `holder` is the name under which it leases tasks, as it says at `/readyz`; empty while it starts."""

    name: str
    process: Process
    url: str
    env: dict[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    holder: str = ""
    deaths: int = 0
    starts: list[float] = field(default_factory=list)


class Fleet:
    """All members. `replicas` says how many there are of a process, by its name; one of those not named."""

    def __init__(self, folder: Path, replicas: dict[str, int], settings: dict[str, str]) -> None:
        self.mesh: Mesh = topology.load()
        self.home = Home.at(folder)
        self.home.make()
        keys.ensure(self.home, [process.name for process in self.mesh.processes])
        up.make_world(self.mesh, self.home)
        self.shop = surroundings.world_file(self.mesh, self.home, {})
        base, spare = free_base(60), 30
        self.members: list[Member] = []
        urls: dict[str, list[str]] = {}
        for process in self.mesh.processes:
            for number in range(replicas.get(process.name, 1)):
                port = base + process.port if number == 0 else base + (spare := spare + 1)
                env = surroundings.environment(process, self.mesh, self.home, base, os.environ)
                url = f"http://{HOST}:{port}"
                env |= {"MESHWRIGHT_PORT": str(port), "MESHWRIGHT_PUBLIC_URL": url}
                if process.kind == "a2a":
                    env |= settings
                name = f"{process.name}-{number + 1}" if replicas.get(process.name, 1) > 1 else process.name
                self.members.append(Member(name, process, url, env, self.home.log(name)))
                urls.setdefault(process.name, []).append(url)
        for member in self.members:
            asks = [url for name in member.process.asks for url in urls[name]]
            member.env["MESHWRIGHT_PEERS"] = ",".join(asks)
        self.by_url = {member.url: member for member in self.members}

    def named(self, process: str) -> list[Member]:
        return [member for member in self.members if member.process.name == process]

    def start(self, member: Member) -> None:
        member.holder = ""
        member.starts.append(time.monotonic())
        with member.log.open("ab") as log:
            member.running = subprocess.Popen(
                [sys.executable, "-m", member.process.module],
                env=member.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, member: Member) -> None:
        """SIGKILL, and a new start at once."""
        assert member.running is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(member.running.pid, signal.SIGKILL)
        member.running.wait()
        member.deaths += 1
        self.start(member)

    async def ready(self, client: httpx.AsyncClient, *members: Member) -> None:
        """Wait until all of `members` say so. Raises TimeoutError, naming those that do not."""
        until = time.monotonic() + PATIENCE
        for member in members:
            while not await self.look(client, member):
                if time.monotonic() > until:
                    raise TimeoutError(f"{member.name} is not ready after {PATIENCE:.0f} s: see {member.log}")
                await asyncio.sleep(0.1)

    async def look(self, client: httpx.AsyncClient, member: Member) -> bool:
        """Whether a member is ready; learns its holder's name."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = await client.get(member.url + "/readyz", timeout=2)
            member.holder = str(answer.json().get("holder", ""))
            return answer.status_code == 200
        return False

    def stop(self) -> None:
        for member in self.members:
            if member.running is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(member.running.pid, signal.SIGKILL)
                member.running.wait()
