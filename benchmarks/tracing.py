"""What it costs that a mesh tells what it does: its own CPU for each workflow, with and without decision rows and spans.

    make bench-tracing
    python -m benchmarks.tracing [--rounds N]

Three meshes of thirteen processes run at the same time, each with a demo shop of the same seed. `all` writes decision rows and exports its
spans and its numbers to an OTLP/HTTP receiver in this process (no scores: those are requests of their own, to Langfuse only); `rows` only writes rows; `off` does neither. There is no switch for rows in
the product: the processes of `off` are started with a `sitecustomize` of this benchmark (OFF), which takes the minutes away. A round is the
same twelve tickets, TIMES over, one after the other, put to each in turn, another one first each time, so that noise hits all alike; what a process still
does in the six seconds after, such as sending the last spans, counts too. CPU is that of all processes of a mesh, user and system,
threads included, by the scheduler's clock; the receiver's is not in it. The first round is not counted. Figures are medians of rounds, and
the overheads medians of what each round says; compare figures of one run only. Ends with one JSON line; a mesh without a model, so that its
own CPU is all there is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import sqlite3
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
PATIENCE, REST = 30.0, 6.0
#: How often the tickets are asked in a round.
TIMES = 3
#: What makes a process write no decisions, and spend nothing on what would stand in them.
OFF = """
from meshwright.records import redact
redact.shown = lambda value: None
redact.keyed = lambda value: ("", 0)
from meshwright.records.minutes import Minutes
Minutes.take = lambda self, kind, **said: ""
"""

#: The receiver is at the address of a Langfuse; what is for that alone is left out.
NO_SCORES = """
from meshwright.records.scores import Scores
Scores.from_env = classmethod(lambda cls, environ: None)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="What tracing costs a mesh for each workflow.")
    parser.add_argument(
        "--rounds", type=int, default=9, help="rounds, of which the median counts (%(default)s)"
    )
    asyncio.run(measure(parser.parse_args().rounds))


async def measure(rounds: int) -> None:
    async with TraceBackend().serving() as backend, contextlib.AsyncExitStack() as stack:
        site = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mesh-bench-")))
        (site / "sitecustomize.py").write_text(OFF)
        no_scores = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mesh-bench-")))
        (no_scores / "sitecustomize.py").write_text(NO_SCORES)
        meshes = {
            "off": await mesh(stack, {"PYTHONPATH": str(site)}),
            "rows": await mesh(stack, {}),
            "all": await mesh(stack, {**backend.environment(), "PYTHONPATH": str(no_scores)}),
        }
        asked = {name: await entrance(stack, each) for name, each in meshes.items()}
        costs: dict[str, list[float]] = {name: [] for name in meshes}
        for number in range(rounds + 1):
            names = list(meshes)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                each = meshes[name]
                cost = await spent(each, asked[name], tickets(each.home / "shop.db", 7))
                if number:
                    costs[name].append(cost)
        written = {name: rows_in(each.home) for name, each in meshes.items()}
        report(costs, written, backend)


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
    for text in texts * TIMES:
        with contextlib.suppress(PeerTaskFailed):  # one of them waits for a person
            await peer.ask({}, text=text, by=Deadline.after(PATIENCE))
    await asyncio.sleep(REST)
    return (sum(map(cpu, pids)) - before) * 1000 / len(texts) / TIMES


def cpu(pid: int) -> float:
    """Seconds that a process has used, all its threads together, as the scheduler has counted them: in nanoseconds. The ticks in `stat`
    are samples every 10 ms, and most of what these processes do is shorter than that."""
    used = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            used += int(file.read_text().split()[0])
    return used / 1e9


def rows_in(home: Path) -> int:
    """How many decisions a mesh has kept."""
    found = 0
    for file in home.glob("*.db"):
        with contextlib.closing(sqlite3.connect(file)) as database:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'decisions'").fetchone():
                found += database.execute("SELECT count(*) FROM decisions").fetchone()[0]
    return found


def report(costs: dict[str, list[float]], written: dict[str, int], backend: TraceBackend) -> None:
    for name, each in costs.items():
        middle = statistics.median(each)
        print(f"{name:<5} {middle:7.1f} ms CPU a workflow   ({min(each):.1f} to {max(each):.1f})")
    if written["off"] > written["all"] / 10:  # a few are made outside of any turn
        raise SystemExit(f"the mesh without rows has written {written['off']}: nothing was measured")
    rounds = len(costs["all"])

    def over(more: str, less: str) -> float:
        shares = [a / b - 1 for a, b in zip(costs[more], costs[less], strict=True)]
        return round(statistics.median(shares), 3)

    sizes = list(Counter(span.trace for span in backend.spans).values())
    figures: dict[str, Any] = {
        **{f"cpu_ms_{name}": round(statistics.median(each), 1) for name, each in costs.items()},
        "overhead": over("all", "off"),
        "overhead_rows": over("rows", "off"),
        "overhead_spans": over("all", "rows"),
        "rows_mean": round(written["all"] / len(sizes), 1),
        "spans_median": statistics.median(sizes),
        "spans_most": max(sizes),
        "traces": len(sizes),
        "rounds": rounds,
        "python": platform.python_version(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
