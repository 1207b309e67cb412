"""What tracing costs: the mesh's own CPU for each workflow, with the export on and off.

    make bench-tracing
    python -m benchmarks.tracing [--rounds N]

Two meshes of twelve processes run at the same time, each with a demo shop of the same seed; one exports its spans and its numbers
to an OTLP/HTTP receiver in this process, the other does not. A round is the same twelve tickets, one after the other, put to each
in turn (off, on, off, on, …), so that noise hits both alike; what a process still does in the two seconds after, such as sending
the last spans, counts too. CPU is that of all processes of a mesh, user and system, threads included, by the kernel's clock; the
receiver's is not in it. The first round is not counted. Figures are medians of rounds; compare figures of one run only. Ends with
one JSON line; a mesh without a model, so that its own CPU is all there is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from meshwright.deadline import Deadline
from meshwright.errors import PeerTaskFailed
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.peer import Peer
from meshwright.testing import RunningMesh, running_mesh
from meshwright.testing.backend import TraceBackend
from shop.demo import tickets

#: Seconds a ticket may take, and those after a round in which the rest of its work counts.
PATIENCE, REST = 30.0, 2.0
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description="What tracing costs a mesh for each workflow.")
    parser.add_argument(
        "--rounds", type=int, default=9, help="rounds, of which the median counts (%(default)s)"
    )
    asyncio.run(measure(parser.parse_args().rounds))


async def measure(rounds: int) -> None:
    async with TraceBackend().serving() as backend, contextlib.AsyncExitStack() as stack:
        off, on = await mesh(stack, {}), await mesh(stack, backend.environment())
        asked = {name: await entrance(stack, each) for name, each in (("off", off), ("on", on))}
        costs: dict[str, list[float]] = {"off": [], "on": []}
        for number in range(rounds + 1):
            for name, each in (("off", off), ("on", on)):
                cost = await spent(each, asked[name], tickets(each.home / "shop.db", 7))
                if number:
                    costs[name].append(cost)
        report(costs, backend)


async def mesh(stack: contextlib.AsyncExitStack, env: dict[str, str]) -> RunningMesh:
    """A running mesh in a folder that goes away."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mesh-bench-"))
    running = running_mesh(Path(folder), env=env)
    started = await asyncio.to_thread(running.__enter__)

    async def stop() -> None:  # not on the loop: the receiver is on it, and gets the last spans
        await asyncio.to_thread(running.__exit__, None, None, None)

    stack.push_async_callback(stop)
    return started


async def entrance(stack: contextlib.AsyncExitStack, running: RunningMesh) -> Peer:
    http = await stack.enter_async_context(http_client())
    directory = Directory([running.urls["orchestrator"]], http, running.operator())
    await directory.wait_for(["handle-ticket"], Deadline.after(PATIENCE))
    return directory.candidates("handle-ticket")[0]


async def spent(running: RunningMesh, peer: Peer, texts: list[str]) -> float:
    """CPU milliseconds of a mesh for each of these tickets."""
    pids = list(running.pids().values())
    before = sum(map(cpu, pids))
    for text in texts:
        with contextlib.suppress(PeerTaskFailed):  # one of them waits for a person
            await peer.ask({}, text=text, by=Deadline.after(PATIENCE))
    await asyncio.sleep(REST)
    return (sum(map(cpu, pids)) - before) * 1000 / len(texts)


def cpu(pid: int) -> float:
    """Seconds that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def report(costs: dict[str, list[float]], backend: TraceBackend) -> None:
    middle = {name: statistics.median(each) for name, each in costs.items()}
    for name, each in costs.items():
        print(
            f"export {name:<4} {middle[name]:7.1f} ms CPU a workflow   ({min(each):.1f} to {max(each):.1f})"
        )
    sizes = list(Counter(span.trace for span in backend.spans).values())
    figures: dict[str, Any] = {
        "cpu_ms_off": round(middle["off"], 1),
        "cpu_ms_on": round(middle["on"], 1),
        "overhead": round(middle["on"] / middle["off"] - 1, 3),
        "spans_median": statistics.median(sizes),
        "spans_most": max(sizes),
        "traces": len(sizes),
        "rounds": len(costs["on"]),
        "python": platform.python_version(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
