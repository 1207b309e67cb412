"""What the console's pages cost on the server: milliseconds from the request to the whole page, with many runs in the database.

    python -m benchmarks.pages [--runs 10000] [--path /runs ...]

A real orchestrator and a real console in one process, without sockets; so what it costs to ask the orchestrator is in it. One run has 30
decisions, one 500. Nobody else may be busy on the machine. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.app import console_app
from meshwright.database import Database, open_database
from meshwright.records import decisions
from meshwright.records.decision import Call, Decision
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from orchestrator.server import orchestrator_app

if TYPE_CHECKING:
    import httpx

    from meshwright.database import Transaction

ROUNDS, SMALL, LARGE = 21, 30, 500
PATHS = (
    *("/runs", "/runs?state=waiting", "/runs?q=W77", "/runs?q=nothing-like-it"),
    *("/runs/small", "/runs/small?open=all", "/runs/small/why", "/runs/large", "/runs/large/why", "/reviews"),
)
_STATES = ("done", "done", "degraded", "waiting", "failed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="pages", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument(
        "--path", action="append", help="a page to measure, instead of those of runs and reviews"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as folder:
        figures = asyncio.run(_measured(Path(folder), arguments.runs, arguments.path or PATHS))
    for path, (median, most, size) in figures.items():
        print(f"{path:30} median {median:6.1f} ms   most {most:6.1f} ms   {size:4.0f} kB")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    medians = {path: round(median, 1) for path, (median, _, _) in figures.items()}
    print(json.dumps({"runs": arguments.runs, "median_ms": medians, "machine": machine}))


async def _measured(home: Path, runs: int, paths: Any) -> dict[str, tuple[float, float, float]]:
    url = f"sqlite:///{home}/mesh.db"
    database = await open_database(url)
    await _fill(database, runs)
    people = ("operator",)
    ring = Keyring("orchestrator", "console", operators=people, speakers={"console": people})
    mesh = InProcess({})
    settings = Settings(home=home, database=url, refresh=3600)
    mesh.apps["http://orchestrator"] = orchestrator_app(
        settings, ring.identity("orchestrator"), mesh.client()
    )
    wanted = Settings.model_validate({"peers": "http://orchestrator", "home": home})
    mesh.apps["http://127.0.0.1"] = console_app(wanted, mesh.client(), ring.identity("console"))
    async with mesh.running(), mesh.client() as http:
        while (await http.get("http://127.0.0.1/runs?state=failed")).status_code == 503:
            await asyncio.sleep(0.05)  # it is still starting
        found = {path: await _timed(http, path) for path in paths}
    await database.close()
    return found


async def _timed(http: httpx.AsyncClient, path: str) -> tuple[float, float, float]:
    """Milliseconds: median and most; and the page's kB. The first look, which warms up, does not count."""
    took, size = [], 0
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        page = await http.get(f"http://127.0.0.1{path}")
        took.append((time.perf_counter() - began) * 1000)
        size = len(page.raise_for_status().content)
    return statistics.median(took[1:]), max(took[1:]), size / 1000


async def _fill(database: Database, runs: int) -> None:
    now = time.time()

    async def op(tx: Transaction) -> None:
        for number in range(runs):
            name = {0: "small", 1: "large"}.get(number, f"run-{number}")
            state = _STATES[number % len(_STATES)]
            report = json.dumps({"id": name, "outcome": state, "reply": "It is on its way. " * 20})
            await tx.execute(
                "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started, ended, report)"
                " VALUES (?, ?, 'shop', ?, ?, '1', ?, ?, ?)",
                *(name, f"task-{number}", f"Where is my order #W{number}? " * 4, state),
                *(now - number, None if state == "waiting" else now - number + 2, report),
            )
        for name, task, count in (("small", "task-0", SMALL), ("large", "task-1", LARGE)):
            await decisions.write(tx, [_decision(name, task, number, now) for number in range(count)])

    await database.write(op)


def _decision(run: str, task: str, number: int, now: float) -> Decision:
    """One of a tree with five below each."""
    items = [{"item_id": str(1_000 + each), "price_cents": 100 * each} for each in range(20)]
    call = Call(tool="get_order", server="orderbook", arguments={"order_id": "#W1"}, result={"items": items})
    return Decision(
        id=f"{run}{number}",
        kind="tool_call",
        at=now - 60 + number / 100,
        ms=9,
        agent="orchestrator",
        run=run,
        task=task,
        outcome="answered",
        selected="get_order",
        parent=f"{run}{(number - 1) // 5}" if number else "",
        call=call,
    )


if __name__ == "__main__":
    main()
