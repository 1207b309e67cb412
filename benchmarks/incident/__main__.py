"""The story this project begins with, replayed: a tool that answered in 200 ms takes 45 s, and hundreds of workflows are on the way.

    make incident
    python -m benchmarks.incident [--workflows 300] [--waves 3] [--plot incident.svg]

A real mesh (orchestrator, five agents, two tool servers, each a process, SQLite, signed calls) gets waves of WORKFLOWS requests, all
sent at once, each with a deadline of 2 s. Half need the warehouse, half only the guide: the bystanders. First all are well. Then
the warehouse takes 45 s: `falls ill` is the wave that finds out, `ill` are those that follow. Then it is well again, and a
request every 0.1 s shows when it is asked again. In between, the same with requests that come one after the other (`steady`), where
a machine this small is not busy and a bystander would feel every disturbance.

`without` is the same mesh and the same wave without protection: every caller gives two minutes, so no deadline ends a call, and as
no call fails, no breaker opens.

* answered: completed with a report, which may be degraded and then says so. A refusal, a failure or silence is not.
* hung: no answer half a second after the deadline.
* sick_share: calls that reached the warehouse after its breaker opened, counted there, of the requests sent since that needed it.
* bystanders_p99_ratio: p99 of the bystanders' time, ill by well, in waves; `steady_p99_ratio` the same for steady requests.
* recovery_s: from the moment the warehouse is well to the first complete answer that needed it.

Ends with one JSON line; exit code 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.incident.figures import Phase, p99, table
from benchmarks.incident.load import Workflow, request, steady, wave
from benchmarks.incident.mesh import Mesh, running
from benchmarks.incident.plot import plot
from benchmarks.incident.team import SICK
from meshwright.outbound.breaker import RESET_SECONDS

DEADLINE = 2.0
#: Seconds after which a request counts as hung.
HUNG = DEADLINE + 0.5
#: Without protection everybody waits this many seconds, if need be.
FOREVER = 120.0
#: Requests a second, and for how many seconds, in the steady phases.
RATE, STEADY = 10.0, 12.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incident")
    parser.add_argument("--workflows", type=int, default=300, help="requests of a wave (%(default)s)")
    parser.add_argument("--waves", type=int, default=3, help="waves of each phase (%(default)s)")
    parser.add_argument("--plot", type=Path, default=Path("incident.svg"), help="where (%(default)s)")
    given = parser.parse_args()
    phases, more = asyncio.run(replay(given.workflows, given.waves))
    print(table(phases, DEADLINE), file=sys.stderr, flush=True)
    given.plot.write_text(plot(phases, DEADLINE), encoding="utf-8")
    print(f"plotted in {given.plot}", file=sys.stderr, flush=True)
    result = figures(phases, more)
    print(json.dumps(result))
    raise SystemExit(result["answered"] < 1 or result["hung"] > 0)


async def replay(workflows: int, waves: int) -> tuple[list[Phase], dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="mesh-incident-") as folder:
        with running(Path(folder), DEADLINE=str(DEADLINE)) as mesh:
            phases, more = await protected(mesh, workflows, waves)
    with tempfile.TemporaryDirectory(prefix="mesh-incident-") as folder:
        with running(Path(folder), DEADLINE=str(FOREVER), DEADLINE_MAX=str(FOREVER)) as mesh:
            phases.append(await unprotected(mesh, workflows))
    return phases, more


async def protected(mesh: Mesh, workflows: int, waves: int) -> tuple[list[Phase], dict[str, Any]]:
    await mesh.ready()
    half = workflows // 2
    once = (mesh.entry, half, workflows - half, DEADLINE, HUNG)
    async with watching(mesh) as opened:
        await _warm(mesh)
        well = Phase("well", [await wave(*once) for _ in range(waves)])
        steady_well = Phase("steady, well", [await steady(mesh.entry, RATE, STEADY, DEADLINE, HUNG)])
        mesh.sicken()
        falls = Phase("falls ill", [await wave(*once)])
        ill = Phase("ill", [await wave(*once) for _ in range(waves)])
        steady_ill = Phase("steady, ill", [await steady(mesh.entry, RATE, STEADY, DEADLINE, HUNG)])
        mesh.heal()
        recovery = await _recovered(mesh)
    since = opened[0] if opened else time.monotonic()
    reached = sum(1 for at in mesh.reached() if since <= at <= recovery.sent)
    sick = [w for phase in (falls, ill, steady_ill) for w in phase.of("affected") if w.sent >= since]
    more = {
        "sick_share": round(reached / max(len(sick), 1), 4),
        "sick_calls": reached,
        "recovery_s": round(recovery.seconds, 2),
        "probe_interval_s": RESET_SECONDS,
    }
    return [well, falls, ill, steady_well, steady_ill], more


async def unprotected(mesh: Mesh, workflows: int) -> Phase:
    await mesh.ready()
    await _warm(mesh)
    mesh.sicken()
    half = workflows // 2
    return Phase("without", [await wave(mesh.entry, half, workflows - half, FOREVER, FOREVER + 10)])


@asynccontextmanager
async def watching(mesh: Mesh) -> AsyncIterator[list[float]]:
    """When the warehouse's breaker was first seen open, at the agent that uses it."""
    opened: list[float] = []

    async def look() -> None:
        async with aiohttp.ClientSession() as client:
            while not opened:
                with suppress(aiohttp.ClientError):
                    async with client.get(f"{mesh.urls['orders']}/readyz") as answer:
                        if any(tool["state"] == "open" for tool in (await answer.json())["tools"].values()):
                            opened.append(time.monotonic())
                await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield opened
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def _warm(mesh: Mesh) -> None:
    for _ in range(3):
        await wave(mesh.entry, 5, 5, 20, 30)


async def _recovered(mesh: Mesh) -> Workflow:
    """`sent` is when the tool was made well, `seconds` how long it took until an answer was complete again."""
    well = time.monotonic()
    async with aiohttp.ClientSession() as client:
        while time.monotonic() - well < 60:
            answer = await request(client, mesh.entry, "affected", DEADLINE, HUNG)
            if answer.ended == "done":
                break
            await asyncio.sleep(0.1)
    return Workflow("affected", well, time.monotonic() - well, answer.ended)


def figures(phases: list[Phase], more: dict[str, Any]) -> dict[str, Any]:
    named = {phase.name: phase for phase in phases}
    ours = [w for phase in phases if phase.name != "without" for w in phase.workflows]
    waves = [w for name in ("well", "falls ill", "ill") for w in named[name].workflows]
    sick = [*named["falls ill"].of("bystander"), *named["ill"].of("bystander")]
    return {
        "answered": round(sum(w.answered for w in ours) / len(ours), 4),
        "hung": sum(w.ended == "hung" for w in ours),
        "p99_s": round(p99(waves), 3),
        "sick_share": more.pop("sick_share"),
        "bystanders_p99_ratio": round(p99(sick) / p99(named["well"].of("bystander")), 2),
        "unprotected_p99_s": round(p99(named["without"].workflows), 1),
        "steady_p99_ratio": round(
            p99(named["steady, ill"].of("bystander")) / p99(named["steady, well"].of("bystander")), 2
        ),
        "done_share": {
            name: round(sum(w.ended == "done" for w in p.workflows) / len(p.workflows), 3)
            for name, p in named.items()
        },
        **more,
        "workflows": len(ours),
        "tool_s": SICK,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


if __name__ == "__main__":
    main()
