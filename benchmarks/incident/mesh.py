"""The processes of the incident: an orchestrator, five agents, two tool servers, on loopback and free ports."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.incident.team import ACCESS, AGENTS, TOOLS
from meshwright.cli import keys
from meshwright.cli.home import Home
from meshwright.testing.policies import policy_in
from meshwright.testing.processes import free_base

#: Seconds in which everything must be ready.
START = 60.0


@dataclass(frozen=True, slots=True)
class Mesh:
    """Where the mesh is, and the switch of its sick tool."""

    home: Path
    urls: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(repr=False, default_factory=dict)

    @property
    def entry(self) -> str:
        return self.urls["orchestrator"]

    def sicken(self) -> None:
        (self.home / "sick").touch()

    def heal(self) -> None:
        (self.home / "sick").unlink(missing_ok=True)

    def reached(self) -> list[float]:
        """When each call reached the warehouse, in seconds of the system's monotonic clock."""
        file = self.home / "reached"
        return [float(line) for line in file.read_text().splitlines()] if file.exists() else []

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU of each process so far, user and system."""
        return {name: _cpu(process.pid) for name, process in self.processes.items()}

    async def ready(self) -> None:
        """Return when every process is ready and the orchestrator knows the team. Raises TimeoutError."""
        async with asyncio.timeout(START), httpx.AsyncClient() as client:
            for name, url in self.urls.items():
                while not await _answers(client, f"{url}/readyz"):
                    if self.processes[name].poll() is not None:
                        raise SystemExit(f"{name} stopped; see {self.home}/{name}.log")
                    await asyncio.sleep(0.1)
            while not await _knows(client, self.entry):
                await asyncio.sleep(0.1)


@contextmanager
def running(home: Path, **settings: str) -> Iterator[Mesh]:
    """The mesh around the body; `settings` go to all processes. Its logs lie in `home`."""
    names = ["orchestrator", *AGENTS, *TOOLS]
    base = free_base(20)
    urls = {name: f"http://127.0.0.1:{base + place}" for place, name in enumerate(names)}
    place = Home.at(home)
    place.make()
    keys.ensure(place, names)
    policy = policy_in(home / "policy", speaks=False)  # its agents only tell
    (home / "access.toml").write_text(ACCESS)
    mesh = Mesh(home, urls)
    with ExitStack() as stack:
        for name in names:
            asks = AGENTS if name == "orchestrator" else ()
            uses = {"orders": ("warehouse",), "advisor": ("guide",)}.get(name, ())
            own = {
                "HOME": str(home),
                "PORT": urls[name].rsplit(":", 1)[1],
                "PUBLIC_URL": urls[name],
                "KEY": str(place.key(name)),
                "TRUST": str(place.trust),
                "PEERS": ",".join(urls[peer] for peer in asks),
                "TOOLS": ",".join(urls[tool] for tool in uses),
                "LOG_LEVEL": "WARNING",
                **({"POLICY": str(policy)} if name == "orchestrator" else {}),
                **({"ACCESS": str(home / "access.toml")} if name in TOOLS else {}),
                **settings,
            }
            mesh.processes[name] = _start(stack, home, name, own)
        yield mesh


def _start(stack: ExitStack, home: Path, name: str, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")}
    environ |= {f"MESHWRIGHT_{key}": value for key, value in settings.items() if value}
    module = ["orchestrator"] if name == "orchestrator" else ["benchmarks.incident.team", name]
    log = stack.enter_context((home / f"{name}.log").open("wb"))
    process = subprocess.Popen([sys.executable, "-m", *module], env=environ, stderr=log)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


async def _knows(client: httpx.AsyncClient, entry: str) -> bool:
    skills = ("split-request", "order-status", "policy-answer", "merge-findings")
    answers = [await client.get(f"{entry}/cards", params={"skill": skill}) for skill in skills]
    return all(answer.status_code == 200 and answer.json()["cards"] for answer in answers)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
