"""How long the pages of the console take where much has happened: ten thousand runs, with their decisions, reviews and audit entries.

    make bench-console RUNS=10000
    python -m benchmarks.console [--runs N]

A mesh with the console works through the twelve tickets of the demo and stops. Its database is then filled: every run is written down again
and again under other ids and times, with its decisions (as a database keeps them), a review for each hundredth, and three entries in the
audit log for each run; one run gets LARGE decisions. The mesh starts again, and each page is asked for TIMES times over loopback, one after the other, as a browser does.
The times are those of whole answers, so what the server takes is less. Ends with one JSON line; exit code 1 if a page's p95 is above LIMIT.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.hop_servers import cpu_seconds
from meshwright.audit.log import Entry, append
from meshwright.database import open_database
from meshwright.records.decision import digest
from meshwright.testing import RunningMesh, running_mesh
from shop.demo import tickets

#: Milliseconds that a page may take; how often each is asked for.
LIMIT, TIMES = 150.0, 40
#: Seconds between two runs that are written down.
APART = 6.0
#: Decisions of the one run that is far larger than others.
LARGE = 500
#: Audit entries in one transaction.
BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console")
    parser.add_argument("--runs", type=int, default=10_000, help="runs in the database (%(default)s)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="mesh-console-") as folder:
        figures = measure(Path(folder), runs)
    print(json.dumps(figures))
    raise SystemExit(any(page["p95_ms"] > LIMIT for page in figures["pages"].values()))


def measure(home: Path, runs: int) -> dict[str, Any]:
    with running_mesh(home) as mesh:
        _work(mesh)
    rows = _fill(home / "orchestrator.db", runs)
    asyncio.run(_log(home / "orchestrator.db", runs))
    with running_mesh(home) as mesh:
        pages, cpu = _look(mesh, home)
    return {
        "runs": runs,
        "decisions": rows,
        "database_mb": round((home / "orchestrator.db").stat().st_size / 1e6, 1),
        "limit_ms": LIMIT,
        "pages": pages,
        "cpu_ms_a_page": cpu,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def _work(mesh: RunningMesh) -> None:
    """The demo's tickets, one after the other, as a customer sends them."""
    headers = {"a2a-version": "1.0", **mesh.customer().authorization("orchestrator")}
    with httpx.Client(timeout=60, headers=headers) as client:
        for ticket in tickets(mesh.home / "shop.db", 7):
            message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": ticket}]}
            body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
            client.post(mesh.urls["orchestrator"], json=body).raise_for_status()


def _fill(file: Path, runs: int) -> int:
    """Write the runs that are there again until there are `runs`; how many decisions there are then."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        known = [dict(row) for row in database.execute("SELECT * FROM runs")]
        made = {
            run["id"]: [
                dict(row) for row in database.execute("SELECT * FROM decisions WHERE run = ?", (run["id"],))
            ]
            for run in known
        }
        reviews = [dict(row) for row in database.execute("SELECT * FROM reviews")]
        for number in range(len(known), runs):
            run = known[number % len(known)]
            _again(database, run, made[run["id"]], reviews if number % 100 == 0 else [], number)
        _grow(database, max(made, key=lambda run: len(made[run])))
        database.commit()
        return int(database.execute("SELECT count(*) FROM decisions").fetchone()[0])


def _again(
    database: sqlite3.Connection,
    run: dict[str, Any],
    decisions: list[dict[str, Any]],
    reviews: list[dict[str, Any]],
    number: int,
) -> None:
    """One run once more, `number` steps of APART seconds earlier, under ids of its own wherever an id stands."""
    names = {
        run["id"]: uuid.uuid4().hex[:12],
        run["task_id"]: uuid.uuid4().hex,
        run["correlation"]: uuid.uuid4().hex,
    }
    names |= {row["id"]: f"d{uuid.uuid4().hex[:24]}" for row in decisions}
    names |= {row["action"]: str(uuid.uuid4()) for row in decisions if row["action"]}
    names.pop("", None)
    earlier = number * APART

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            for old, new in names.items():
                value = value.replace(old, new)
        return value

    def moved(row: dict[str, Any], *times: str) -> dict[str, Any]:
        fresh = {name: renamed(value) for name, value in row.items()}
        return fresh | {name: fresh[name] - earlier for name in times if fresh[name] is not None}

    _insert(database, "runs", moved(run, "started", "ended"))
    for row in decisions:
        fresh = moved(row, "at")
        body = json.loads(fresh["body"])
        body["at"] = fresh["at"]
        fresh["body"] = json.dumps(body, separators=(",", ":"))
        fresh["digest"] = digest(fresh["body"])
        _insert(database, "decisions", fresh)
    for row in reviews:
        _insert(database, "reviews", {**row, "id": str(uuid.uuid4()), "run": names[run["id"]]})


def _grow(database: sqlite3.Connection, run: str) -> None:
    """Make LARGE decisions of a run's: its reads of tools again and again."""
    (many,) = database.execute("SELECT count(*) FROM decisions WHERE run = ?", (run,)).fetchone()
    reads = database.execute("SELECT * FROM decisions WHERE run = ? AND kind IN ('route', 'gate')", (run,))
    rows = [dict(row) for row in reads]
    for number in range(LARGE - many):
        row = dict(rows[number % len(rows)])
        body = json.loads(row["body"]) | {"id": f"d{uuid.uuid4().hex[:24]}"}
        text = json.dumps(body, separators=(",", ":"))
        _insert(database, "decisions", row | {"id": body["id"], "body": text, "digest": digest(text)})


def _insert(database: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


async def _log(file: Path, runs: int) -> None:
    """Three entries for each run, by the log's own hand: its chain has to hold."""
    database = await open_database(f"sqlite:///{file}")
    rows = await database.execute("SELECT id FROM runs LIMIT ?", runs)
    kinds = ("gate.verdict", "grant.issued", "effect.applied")
    entries = [
        Entry(
            kind,
            "orchestrator",
            {"action": "cancel_order", "decision": "apply"},
            run=row["id"],
            action=row["id"],
        )
        for row in rows
        for kind in kinds
    ]
    for start in range(0, len(entries), BATCH):
        some = entries[start : start + BATCH]
        await database.write(lambda tx, some=some: append(tx, *some))  # type: ignore[misc]
    await database.close()


def _paths(home: Path) -> Iterator[tuple[str, str]]:
    """The pages, by what they are called in the figures."""
    with contextlib.closing(sqlite3.connect(home / "orchestrator.db")) as database:

        def one(sql: str) -> str:
            return str(database.execute(sql).fetchone()[0])

        sizes = "SELECT run FROM decisions WHERE run <> '' GROUP BY run ORDER BY count(*) DESC LIMIT 1 OFFSET"
        large, run = one(f"{sizes} 0"), one(f"{sizes} 1")
        effect = "SELECT action FROM decisions WHERE kind = 'effect' AND run ="
        action, many = one(f"{effect} '{run}' LIMIT 1"), one(f"{effect} '{large}' LIMIT 1")
        review = one("SELECT id FROM reviews WHERE state = 'open' LIMIT 1")
        early = one("SELECT id FROM runs ORDER BY started LIMIT 1")
    yield "runs", "/runs"
    yield "runs by state", "/runs?state=waiting"
    yield "runs by words", "/runs?q=yellow"
    yield "run", f"/runs/{run}"
    yield "earliest run", f"/runs/{early}"
    yield "why", f"/runs/{run}/why/{action}"
    yield f"run of {LARGE}", f"/runs/{large}"
    yield f"why of {LARGE}", f"/runs/{large}/why/{many}"
    yield "reviews", "/reviews"
    yield "review", f"/reviews/{review}"
    yield "mesh", "/mesh"
    yield "audit", "/audit"
    yield "audit of a run", f"/audit?run={run}"
    yield "audit by words", "/audit?q=nobody-wrote-this"


def _look(mesh: RunningMesh, home: Path) -> tuple[dict[str, Any], float]:
    pids = [pid for name, pid in mesh.pids().items() if name in ("console", "orchestrator")]
    pages: dict[str, Any] = {}
    asked, spent = 0, 0.0
    with httpx.Client(base_url=mesh.urls["console"], timeout=60, follow_redirects=True) as browser:
        for name, path in _paths(home):
            browser.get(path).raise_for_status()
            before, took = sum(map(cpu_seconds, pids)), []
            for _ in range(TIMES):
                began = time.perf_counter()
                browser.get(path).raise_for_status()
                took.append((time.perf_counter() - began) * 1000)
            spent += sum(map(cpu_seconds, pids)) - before
            asked += TIMES
            size = len(browser.get(path).content)
            quantiles = statistics.quantiles(took, n=20)
            pages[name] = {
                "p50_ms": round(statistics.median(took), 1),
                "p95_ms": round(quantiles[18], 1),
                "kb": size // 1024,
            }
            print(f"{name:16} {pages[name]}", flush=True)
    return pages, round(spent / asked * 1000, 1)


if __name__ == "__main__":
    main()
