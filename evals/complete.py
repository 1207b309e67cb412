"""Is each ticket's work told completely, in its trace and in its decision rows? Real tickets through a mesh of processes.

    python -m evals.complete --tickets TICKETS.jsonl --shop SHOP.json --handbook HANDBOOK.md

Every process exports to a receiver here and keeps its rows in its own database. When the mesh has stopped, each ticket's spans and
rows are held against each other (`meshwright.records.complete`). What is missing, or twice, or without its parent is named; ends with one
JSON line, and fails if there is anything to name, or a ticket with more spans than `--most` that has more than its calls need.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sqlite3
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.running import CannotRun, running
from evals.tickets import TicketCase, TicketsUnreadable, load
from meshwright.errors import MeshError
from meshwright.records.complete import Flaw, flaws
from meshwright.records.correlation import CORRELATION
from meshwright.testing import MeshDidNotStart
from meshwright.testing.backend import Told, TraceBackend
from shop.database import ShopError

#: Spans that a workflow may have.
MOST = 25


@dataclass(frozen=True, slots=True)
class Account:
    """What was told of one ticket, and what is wrong with it."""

    ticket: str
    spans: Sequence[Told] = ()
    decisions: Sequence[Mapping[str, Any]] = ()
    flaws: Sequence[Flaw] = field(default_factory=tuple)

    @property
    def size(self) -> int:
        return len({span.id for span in self.spans})

    @property
    def needed(self) -> int:
        """Spans that its calls need: two for an agent, one for a tool or a model; and three for the run, its plan and its gate."""
        kinds = Counter(str(row["kind"]) for row in self.decisions)
        return 3 + 2 * kinds["agent_call"] + kinds["tool_call"] + kinds["effect"] + kinds["model_call"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="evals.complete", description=__doc__.splitlines()[0])
    for name in ("tickets", "shop", "handbook"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="ids of the tickets to run")
    parser.add_argument("--most", type=int, default=MOST, help="spans a ticket may have (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="spans by name, per ticket")
    given = parser.parse_args()
    try:
        cases = [case for case in load(given.tickets) if not given.only or case.id in given.only]
        if not cases:
            raise CannotRun("none of the tickets has one of these ids")
        with tempfile.TemporaryDirectory(prefix="mesh-evals-") as folder:
            accounts = asyncio.run(accounted(cases, given.shop, given.handbook, Path(folder)))
    except (CannotRun, MeshDidNotStart, TicketsUnreadable, ShopError) as error:
        print(f"evals: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    for account in accounts:
        show(account, verbose=given.verbose)
    figures = summary(accounts, given.most)
    print(json.dumps(figures))
    raise SystemExit(1 if figures["flaws"] or figures["superfluous"] else 0)


async def accounted(cases: Sequence[TicketCase], shop: Path, handbook: Path, folder: Path) -> list[Account]:
    """Each case with what was told of it. Raises CannotRun, MeshDidNotStart, ShopError."""
    async with TraceBackend().serving() as backend:
        async with running(shop, handbook, folder, backend.environment(1000)) as mesh:
            for case in cases:
                with contextlib.suppress(
                    MeshError
                ):  # one that waits for a person, or that nobody understands
                    await mesh.ask(case)
        # stopped: the last spans have been sent, the last rows written
    if backend.wrong:
        raise CannotRun(f"the export is not as a backend takes it: {backend.wrong[0]}")
    spans: dict[str, list[Told]] = defaultdict(list)
    for span in backend.spans:
        spans[str(span.attributes.get(CORRELATION))].append(span)
    rows = rows_in(folder / "home")
    correlations = requests_in(folder / "home")
    return [
        Account(case.id, spans[key], rows[key], flaws(spans[key], rows[key]))
        for case, key in zip(cases, correlations, strict=True)
    ]


def rows_in(home: Path) -> dict[str, list[dict[str, Any]]]:
    """Every decision that a process of the mesh keeps, by correlation id."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in sorted(home.glob("*.db")):
        with contextlib.closing(sqlite3.connect(file)) as database:
            known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'decisions'").fetchone()
            for key, body in database.execute("SELECT correlation, body FROM decisions") if known else ():
                found[key].append(json.loads(body))
    return found


def requests_in(home: Path) -> list[str]:
    """The correlation ids of what was asked for, in the order in which it was."""
    with contextlib.closing(sqlite3.connect(home / "orchestrator.db")) as database:
        return [row[0] for row in database.execute("SELECT task_id FROM runs ORDER BY started, rowid")]


def show(account: Account, *, verbose: bool) -> None:
    kinds = Counter(str(row["kind"]) for row in account.decisions)
    print(f"{account.ticket:<18} {account.size:3} spans  {len(account.decisions):3} rows  {dict(kinds)}")
    if verbose:
        for name, count in Counter(span.name for span in account.spans).most_common():
            print(f"    {count:3} {name}")
    for flaw in account.flaws[:20]:
        print(f"    ! {flaw}", flush=True)


def summary(accounts: Sequence[Account], most: int) -> dict[str, Any]:
    sizes = [account.size for account in accounts]
    large = [account for account in accounts if account.size > most]
    return {
        "tickets": len(accounts),
        "flaws": sum(len(account.flaws) for account in accounts),
        "complete": sum(not account.flaws for account in accounts),
        "spans_median": statistics.median(sizes),
        "spans_most": max(sizes),
        "over": len(large),
        "superfluous": sum(max(0, account.size - account.needed) for account in large),
        "rows_median": statistics.median(len(account.decisions) for account in accounts),
        "by_flaw": dict(Counter(flaw.what for account in accounts for flaw in account.flaws)),
    }


if __name__ == "__main__":
    main()
