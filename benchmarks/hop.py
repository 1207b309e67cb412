"""What a hop costs: server CPU per blocking echo call, a2a-sdk's stock servers and ours side by side.

    make bench-hop
    python -m benchmarks.hop [--only NAME]... [--calls N] [--rounds N]

Every row is a server process of its own under uvicorn with uvloop and httptools, on this machine's loopback. A call is one
JSON-RPC SendMessage of about 150 bytes; its answer, a task with the message, one artifact of a text and a data part and
the state completed, is checked each time. CPU is that of the server process, user and system, threads and children
included, by the kernel's clock; PostgreSQL's own is a column of its own. Rounds are interleaved (A B C, A B C, …), so that
noise hits all rows alike, and each figure is the median of its rounds. Compare figures of one run only.

* `sdk …`: `benchmarks.hop_stock`, a2a-sdk's DefaultRequestHandler and JSON-RPC route as they are shipped. Its spans are on, as
  they are after `pip install a2a-sdk[http-server]` (which brings opentelemetry-api), with no exporter; `spans off` is the same
  with OTEL_INSTRUMENTATION_A2A_SDK_ENABLED=false. The garbage collector is Python's default. `folding` is no server that one would
  run, but the least that a call can cost here: `benchmarks.hop_stock.Folding`, without spans, its garbage seldom collected. `database` is its DatabaseTaskStore,
  tables made at the start, SQLAlchemy's defaults, except for PostgreSQL's pool: 32 connections, so that it never reconnects.
* `ours …`: an agent as `meshwright new agent` lays it out, served by `meshwright.serve` with MESHWRIGHT_DATABASE set and
  everything else, gates included, as it comes (on an open loopback, so without tokens; the stock server checks none either).

A row with a database counts only if its `tasks` table holds a row for every call that was answered. One that cannot run is
null, and says why on stderr. `ratio` is ours by theirs, CPU at one call at a time, `ratio_c32` at 32 at a time: those keep a server busy,
and under so many our aims were measured. At one at a time each call finds the processor's caches cold. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import uvloop

from benchmarks.hop_load import Figures
from benchmarks.hop_servers import CannotRun, Server, database, postgres, server

#: Each row's name, and the kind of store it keeps tasks in.
ROWS = {
    "sdk memory": "memory",
    "sdk memory, spans off": "memory",
    "sdk memory, folding": "memory",
    "sdk database sqlite": "sqlite",
    "sdk database postgres": "postgres",
    "ours memory": "memory",
    "ours sqlite": "sqlite",
    "ours postgres": "postgres",
}
RATIOS = {
    "durable sqlite vs sdk database sqlite": ("ours sqlite", "sdk database sqlite"),
    "durable postgres vs sdk database postgres": ("ours postgres", "sdk database postgres"),
    "memory vs sdk memory": ("ours memory", "sdk memory"),
    "memory vs sdk memory, spans off": ("ours memory", "sdk memory, spans off"),
    "memory vs sdk memory, folding": ("ours memory", "sdk memory, folding"),
}
#: Connections that call at the same time, in turn.
LINES = (1, 32)

#: What was measured, by row and connections, one entry a round.
Measured = dict[tuple[str, int], list[Figures]]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a hop costs: server CPU per blocking echo call.")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--calls", type=int, default=400, help="calls of each measurement (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds, of which the median counts (%(default)s)"
    )
    given = parser.parse_args()
    names = [name for name in ROWS if not given.only or name in given.only]
    measured = uvloop.run(measure(names, given.calls, given.rounds))
    report(names, measured)


async def measure(names: list[str], calls: int, rounds: int) -> Measured:
    """Start the servers called `names`, and measure them in turn. What cannot be measured is missing."""
    measured: Measured = defaultdict(list)
    servers: dict[str, Server] = {}
    with tempfile.TemporaryDirectory(prefix="mesh-hop-") as place, contextlib.ExitStack() as running:
        folder, uri, postmaster = Path(place), "", 0
        if any(ROWS[name] == "postgres" for name in names):
            with _reason("PostgreSQL"):
                uri, postmaster = running.enter_context(postgres(folder / "postgres"))
        for number, name in enumerate(names):
            room = folder / f"row{number}"
            with _reason(name):
                if ROWS[name] == "postgres":
                    if not uri:
                        raise CannotRun("there is no PostgreSQL")
                    started = server(name, await database(uri, room.name), room, postmaster)
                else:
                    url = "memory:" if ROWS[name] == "memory" else f"sqlite:///{room / 'hop.db'}"
                    started = server(name, url, room)
                candidate = running.enter_context(started)
                await candidate.warm_up()
                servers[name] = candidate
        void: set[tuple[str, int]] = set()
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for lines in LINES:
                for name in servers:
                    if (name, lines) in void:
                        continue
                    void.add((name, lines))
                    with _reason(f"{name}, {lines} at a time"):
                        measured[name, lines].append(await servers[name].measure(calls, lines))
                        void.discard((name, lines))
    return {key: figures for key, figures in measured.items() if key not in void}


@contextlib.contextmanager
def _reason(what: str) -> Iterator[None]:
    """Say on stderr why `what` cannot be measured, and go on."""
    try:
        yield
    except CannotRun as error:
        print(f"{what}: not measured: {error}", file=sys.stderr)


def report(names: list[str], measured: Measured) -> None:
    """A table for people, and the JSON line."""

    def of(figure: str, lines: int, rows: list[str] = names) -> dict[str, float | None]:
        return {name: _median(measured.get((name, lines), []), figure) for name in rows}

    cpu, cpu_c32, p50, pace = of("cpu_ms", 1), of("cpu_ms", 32), of("p50_ms", 1), of("calls_per_s", 32)
    store = of("store_cpu_ms", 1, [name for name in names if ROWS[name] == "postgres"])
    size = of("answer_bytes", 1)
    print(f"{'':<24}{'CPU ms':>9}{'32 at once':>12}{'p50 ms':>9}{'calls/s':>9}{'PG CPU ms':>11}{'bytes':>7}")
    for name in names:
        cells = zip(
            (cpu[name], cpu_c32[name], p50[name], pace[name], store.get(name), size[name]),
            ("9.2f", "12.2f", "9.2f", "9.0f", "11.2f", "7.0f"),
            strict=True,
        )
        print(f"{name:<24}" + "".join(_cell(value, shape) for value, shape in cells))
    line = {
        "cpu_ms": cpu,
        "cpu_ms_c32": cpu_c32,
        "p50_ms": p50,
        "calls_per_s": pace,
        "postgres_cpu_ms": store,
        "ratio": {title: _ratio(cpu.get(ours), cpu.get(theirs)) for title, (ours, theirs) in RATIOS.items()},
        "ratio_c32": {
            title: _ratio(cpu_c32.get(ours), cpu_c32.get(theirs)) for title, (ours, theirs) in RATIOS.items()
        },
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    print(json.dumps(line))


def _median(measured: list[Figures], figure: str) -> float | None:
    return round(statistics.median(getattr(one, figure) for one in measured), 3) if measured else None


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 4) if ours is not None and theirs else None


def _cell(value: float | None, shape: str) -> str:
    return f"{value:>{shape}}" if value is not None else f"{'-':>{shape.partition('.')[0]}}"


if __name__ == "__main__":
    main()
