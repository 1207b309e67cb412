"""What survives kill -9: a real mesh with replicas, under load, whose processes are killed at random moments.

    make chaos KILLS=30 STORE=sqlite          # or STORE=postgres

Lost, stuck, done twice, changed, ungated, unsound, untold: each must be 0. Effects are counted in the tool servers' own journal, states
as clients see them on every replica. `ungated` are writes that no gate let through or that people did not allow, by the audit log;
`unsound` is that log as a whole, `untold` what is missing in the decisions of the runs that ended. `takeover_p95_s` is from a kill until
another process holds the task, where a replica that was ready lived through it; `restart_p95_s` is of the others, where somebody had to
start first. Ends with one JSON line, and with exit code 1 if one of those is not 0; then the folder with all logs and databases stays.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.chaos.answers import Answers
from benchmarks.chaos.evidence import gathered
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.history import History
from benchmarks.chaos.journal import effects, money
from benchmarks.chaos.killer import Killer
from benchmarks.chaos.load import Customers
from benchmarks.chaos.people import Operators
from benchmarks.chaos.recorder import Recorder
from benchmarks.chaos.stores import STORES, store
from benchmarks.chaos.tickets import make_shop, tickets
from benchmarks.chaos.verdict import Verdict, judge, p95
from benchmarks.chaos.wire import Wire
from meshwright.database.door import connect
from meshwright.outbound.http import http_client

#: Seconds a ticket may take; who takes one up after a crash gets as many again.
DEADLINE = 30.0
#: Seconds after that, and after a lease has run out, in which everything must have come to rest.
MARGIN = 20.0
#: Seconds between checkpoints of the audit log: few processes live so long that they would sign once a minute.
SIGNED = 5.0
#: Whoever every ticket goes through. The others are one each: a mesh has to live with their gaps.
REPLICATED = ("orchestrator", "triage", "accounts", "orders", "aggregator")
#: Copies of the demo shop, so that there are orders enough: at least, and one more for so many kills.
COPIES, KILLS_A_COPY = 2, 40


def main() -> None:
    arguments = _arguments()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="mesh-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as another user where we are root, and its data lies in here
    with store(arguments.store, folder) as (given, shared):
        figures, verdict = asyncio.run(run(arguments, folder.resolve(), given, shared))
    if verdict.lines:
        (folder / "verdict.txt").write_text("\n".join(verdict.lines) + "\n")
        for line in verdict.lines[:50]:
            print(line, file=sys.stderr)
    if verdict.lines or arguments.keep:
        print(f"everything is kept in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures), flush=True)
    raise SystemExit(1 if verdict.lines else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--store", choices=STORES, default="sqlite")
    parser.add_argument(
        "--replicas", type=int, default=2, help="of the orchestrator, and of whom every ticket needs"
    )
    parser.add_argument("--lease", type=float, default=3.0, help="seconds")
    parser.add_argument("--customers", type=int, default=6, help="served at the same time")
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between kills, more or less")
    parser.add_argument("--seed", type=int, default=None, help="of the kills and the tickets")
    parser.add_argument(
        "--keep", type=Path, default=None, metavar="DIR", help="a new folder for logs and databases"
    )
    return parser.parse_args()


async def run(
    arguments: argparse.Namespace, folder: Path, given: str, shared: str
) -> tuple[dict[str, Any], Verdict]:
    began = time.monotonic()
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    dice, history = Random(seed), History()
    settings = {
        "MESHWRIGHT_LEASE": str(arguments.lease),
        "MESHWRIGHT_DEADLINE": str(DEADLINE),
        "MESHWRIGHT_AUDIT_EVERY": str(SIGNED),
    }
    if given:
        settings["MESHWRIGHT_DATABASE"] = given
    fleet = Fleet(folder, dict.fromkeys(REPLICATED, arguments.replicas), settings)
    contents = make_shop(fleet.shop, COPIES + arguments.kills // KILLS_A_COPY)
    before = money(fleet.shop)
    async with http_client() as client, _kept(fleet.keep(client)):
        try:
            await fleet.all_ready()
            print(
                f"{len(fleet.members)} processes ready, seed {seed}, in {folder}", file=sys.stderr, flush=True
            )
            database = await connect(shared) if shared else None
            wire = Wire(client, fleet.home, DEADLINE)
            urls = [member.url for member in fleet.named("orchestrator")]
            answers = Answers(urls, wire, history, dice)
            recorder = Recorder(fleet, wire, database, history, answers, dice)
            customers = Customers(urls, wire, history, tickets(contents, dice), answers, dice)
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(_kept(recorder.watch()))
                await stack.enter_async_context(_kept(recorder.time_takeovers()))
                await stack.enter_async_context(_kept(Operators(urls, wire, history, dice).decide(1.0)))
                serving = [asyncio.create_task(customers.serve(0.5)) for _ in range(arguments.customers)]
                await Killer(fleet, history, dice, recorder.blow).rage(arguments.kills, arguments.pause)
                customers.stopping = True
                await asyncio.gather(*serving)
            _say(began, "the last customer is served")
            await fleet.all_ready()
            _say(began, "all processes are ready")
            await recorder.settle(DEADLINE + arguments.lease + MARGIN)
            _say(began, "every replica was asked about every task")
        finally:
            fleet.stop()
            (folder / "storm.log").write_text("\n".join(history.notes) + "\n")
    journal = effects(fleet.shop)
    evidence = await gathered(database, given, fleet.home, journal)
    if database is not None:
        await database.close()
    verdict = judge(history, journal, before, money(fleet.shop), evidence, arguments.replicas)
    _say(began, "everything is judged")
    if history.refusals:
        print(f"refused: {dict(history.refusals.most_common(5))}", file=sys.stderr)
    ended = Counter(words[0].state if words else "unknown" for words in history.final.values())
    figures = {
        "kills": sum(member.deaths for member in fleet.members),
        "accepted": len(history.accepted),
        **{name: verdict.counts[name] for name in ("lost", "stuck", "twice", "changed")},
        "takeover_p95_s": p95(t.seconds for t in history.takeovers if t.survivor),
        "takeovers": sum(t.survivor for t in history.takeovers),
        "restart_p95_s": p95(t.seconds for t in history.takeovers if not t.survivor),
        "restarts": sum(not t.survivor for t in history.takeovers),
        "ended": dict(sorted(ended.items())),
        "effects": len(journal),
        "changes": sum(bool(row.order) for row in journal),
        "follow_ups": len(history.followed),
        "crashes": {member.name: member.crashes for member in fleet.members if member.crashes},
        "by_process": {member.name: member.deaths for member in fleet.members if member.deaths},
        "store": arguments.store,
        "lease_s": arguments.lease,
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        **{name: verdict.counts[name] for name in ("ungated", "unsound", "untold")},
        "words": dict(sorted(Counter(told.decision for told in history.told).items())),
        "refused": sum(times for why, times in history.refusals.items() if not why.startswith("SendMessage")),
        "again": history.again,
        "questions": sum(map(len, history.asked.values())),
        "told": len(evidence.tellings),
        "signed": f"{evidence.signed} of {len(evidence.log)}",
    }
    return figures, verdict


def _say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:5.0f} s: {what}", file=sys.stderr, flush=True)


@contextlib.asynccontextmanager
async def _kept(work: Any) -> AsyncIterator[None]:
    """Run something beside the body. It ends with the body, and its error is the body's."""
    going = asyncio.ensure_future(work)
    try:
        yield
    finally:
        failed = going.done()
        going.cancel()
        await asyncio.wait({going})
        if failed:
            going.result()


if __name__ == "__main__":
    main()
