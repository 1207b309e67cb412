"""Runs that wait for a person: what do thousands of them cost, and do they all go on when they are told to?

    make bench-parked RUNS=10000

A real orchestrator process on SQLite parks RUNS runs, each waiting for a review. The CPU it uses while nothing happens is read
from the system's clock for it, before the first run and with all of them waiting; its memory is compared with that after the
first 300 runs (a process that has worked holds more than one that has not, parked runs or not). Then all are approved, and every
one must be applied once and end.
Ends with one JSON line; exit code 1 if a run did not go on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from benchmarks.hop_servers import cpu_seconds
from benchmarks.parked.team import ACTIONS, AGENTS, RULES, TOOLS
from meshwright.cli import keys
from meshwright.cli.home import Home
from meshwright.database.door import Database, connect
from meshwright.outbound.http import http_client
from meshwright.testing.policies import policy_in
from meshwright.testing.processes import free_base

FIRST = 300
#: Seconds over which idleness is measured.
IDLE = 30.0
#: Seconds after which a process that has nothing more to do has come to rest.
SETTLED = 15.0
AT_ONCE = 12
HEADERS = {"a2a-version": "1.0"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parked")
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="mesh-parked-") as folder, ExitStack() as stack:
        figures = asyncio.run(measure(Path(folder), runs, stack))
    print(json.dumps(figures))
    raise SystemExit(figures["resumed"] != runs or figures["effects"] != runs)


async def measure(folder: Path, runs: int, stack: ExitStack) -> dict[str, Any]:
    base = free_base(10)
    names = ["orchestrator", *AGENTS, TOOLS]
    ports = {name: base + place for place, name in enumerate(names)}
    home = Home.at(folder)
    home.make()
    keys.ensure(home, names)
    policy = policy_in(folder / "policy", rules=RULES, actions=ACTIONS, speaks=False)
    team_ports = {name: port for name, port in ports.items() if name != "orchestrator"}
    _start(stack, [sys.executable, "-m", "benchmarks.parked.team", str(folder), json.dumps(team_ports)], {})
    address = f"http://127.0.0.1:{ports['orchestrator']}"
    settings = {
        "HOME": str(folder),
        "PORT": str(ports["orchestrator"]),
        "PUBLIC_URL": address,
        "KEY": str(home.key("orchestrator")),
        "TRUST": str(home.trust),
        "POLICY": str(policy),
        "PEERS": ",".join(f"http://127.0.0.1:{ports[name]}" for name in AGENTS),
        "TOOLS": f"http://127.0.0.1:{ports[TOOLS]}",
        "LOG_LEVEL": "WARNING",
        "DEADLINE": "120",
    }
    process = _start(stack, [sys.executable, "-m", "orchestrator"], settings)
    client = http_client()
    await _ready(client, address)
    database = await connect(f"sqlite:///{folder}/orchestrator.db")
    await asyncio.sleep(SETTLED)
    unused = await _idle(process.pid)
    await _park(client, address, min(FIRST, runs))
    before = _memory(process.pid)
    began = time.monotonic()
    await _park(client, address, max(runs - FIRST, 0))
    parking = time.monotonic() - began
    after = _memory(process.pid)
    await asyncio.sleep(SETTLED)
    idle = await _idle(process.pid)
    print(
        f"{runs} parked, idle {idle:.2f} % (without a run {unused:.2f} %), {after - before:.1f} MB more",
        file=sys.stderr,
        flush=True,
    )
    began = time.monotonic()
    resumed = await _approve(client, address, database, home, runs)
    resuming = time.monotonic() - began
    await asyncio.sleep(1)
    painted = int((folder / "painted.json").read_text())
    await database.close()
    await client.aclose()
    return {
        "runs": runs,
        "idle_cpu_percent": round(idle, 3),
        "idle_cpu_percent_without_runs": round(unused, 3),
        "more_memory_mb": round(after - before, 1),
        "memory_mb": round(after, 1),
        "resumed": resumed,
        "effects": painted,
        "park_s": round(parking, 1),
        "resume_s": round(resuming, 1),
        "database_mb": _size(folder),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def _start(stack: ExitStack, command: list[str], settings: dict[str, str]) -> subprocess.Popen[bytes]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")}
    environ |= {f"MESHWRIGHT_{name}": value for name, value in settings.items()}
    process = subprocess.Popen(command, env=environ)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


async def _ready(client: httpx.AsyncClient, address: str) -> None:
    while True:
        try:
            cards = await client.get(f"{address}/cards", params={"skill": "merge-findings"})
            if cards.status_code == 200 and cards.json()["cards"]:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.2)


async def _park(client: httpx.AsyncClient, address: str, runs: int) -> None:
    """Send `runs` tickets, `AT_ONCE` at a time, and see each of them wait."""
    left = iter(range(runs))

    async def customer() -> None:
        for number in left:
            message = {
                "messageId": uuid.uuid4().hex,
                "role": "ROLE_USER",
                "parts": [{"text": f"paint thing {number}"}],
            }
            body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
            answer = await client.post(address, json=body, headers=HEADERS, timeout=130)
            state = answer.json()["result"]["task"]["status"]["state"]
            if state != "TASK_STATE_INPUT_REQUIRED":
                raise SystemExit(f"a run did not park: {answer.text[:600]}")

    await asyncio.gather(*(customer() for _ in range(AT_ONCE)))


async def _approve(client: httpx.AsyncClient, address: str, database: Database, home: Home, runs: int) -> int:
    """Approve every review; how many runs are done in the end."""
    rows = await database.read(lambda tx: tx.execute("SELECT id FROM reviews WHERE state = 'open'"))
    left = iter([row["id"] for row in rows])

    async def person() -> None:
        for key in left:
            token = keys.bearer(home, "operator", "orchestrator")
            await client.post(
                f"{address}/reviews/{key}",
                json={"decision": "approve"},
                headers={"authorization": f"Bearer {token}"},
                timeout=60,
            )

    await asyncio.gather(*(person() for _ in range(8)))
    done, last, changed = 0, -1, time.monotonic()
    while done < runs and time.monotonic() - changed < 60:
        await asyncio.sleep(0.5)
        rows = await database.read(
            lambda tx: tx.execute("SELECT count(*) AS n FROM runs WHERE state = 'done'")
        )
        done = int(rows[0]["n"])
        if done != last:
            last, changed = done, time.monotonic()
    return done


def _size(folder: Path) -> float:
    """Megabytes of the orchestrator's database."""
    return round(sum(file.stat().st_size for file in folder.glob("orchestrator.db*")) / 1e6, 1)


def _memory(pid: int) -> float:
    """Resident megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def _idle(pid: int) -> float:
    """Percent of a core that a process uses while nothing is asked of it."""
    before = cpu_seconds(pid)
    await asyncio.sleep(IDLE)
    return (cpu_seconds(pid) - before) / IDLE * 100


if __name__ == "__main__":
    main()
