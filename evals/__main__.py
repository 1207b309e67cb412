"""Real tickets through the running mesh, one after the other, each on a shop as it was at first.

    python -m evals --tickets TICKETS.jsonl --shop SHOP.json --handbook HANDBOOK.md

What counts is read from the shop's journal of effects, not from what the mesh says of itself. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.running import CannotRun, Running, running
from evals.scoring import ACTIONS, Score, score
from evals.tickets import TicketCase, TicketsUnreadable, load
from meshwright.errors import MeshError
from meshwright.testing import MeshDidNotStart
from shop.database import Shop, ShopError
from shop.effects import journal


@dataclass(frozen=True, slots=True)
class Handled:
    """One ticket after its handling."""

    case: TicketCase
    score: Score
    applied: list[tuple[str, dict[str, Any]]]
    reason: str
    seconds: float


def main() -> None:
    arguments = _arguments()
    try:
        cases = load(arguments.tickets)
        if arguments.only:
            cases = [case for case in cases if case.id in arguments.only]
            if not cases:
                raise CannotRun("none of the tickets has one of these ids")
        with tempfile.TemporaryDirectory(prefix="mesh-evals-") as folder:
            handled = asyncio.run(_evaluate(cases, arguments, Path(folder)))
    except (CannotRun, MeshDidNotStart, TicketsUnreadable, ShopError) as error:
        print(f"evals: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    counts = Counter(one.score for one in handled)
    print(f"median {statistics.median(one.seconds for one in handled):.2f} s a ticket", file=sys.stderr)
    figures = {name: counts[name] for name in ("exact", "partial", "escalated", "wrong")}
    print(json.dumps({"tickets": len(handled), **figures}))
    raise SystemExit(1 if counts["wrong"] else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evals", description=__doc__.splitlines()[0])
    for name in ("tickets", "shop", "handbook"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="ids of the tickets to run")
    parser.add_argument(
        "--verbose", action="store_true", help="what was applied and what was right, per ticket"
    )
    return parser.parse_args()


async def _evaluate(cases: list[TicketCase], arguments: argparse.Namespace, folder: Path) -> list[Handled]:
    handled: list[Handled] = []
    async with running(arguments.shop, arguments.handbook, folder) as mesh:
        for case in cases:
            one = await _handle(case, mesh)
            handled.append(one)
            _print(one, verbose=arguments.verbose)
    return handled


async def _handle(case: TicketCase, mesh: Running) -> Handled:
    began = time.monotonic()
    try:
        answer = await mesh.ask(case)
        report: dict[str, Any] = next(iter(answer.data), {})
        reason = "; ".join(_reasons(report))
    except MeshError as error:
        reason = str(error)
    effects = await _effects(mesh.shop)
    applied = [(e.tool, e.arguments) for e in effects if e.tool in ACTIONS]
    return Handled(case, score(applied, case.gold), applied, reason, time.monotonic() - began)


async def _effects(shop: Path) -> list[Any]:
    opened = Shop(shop)
    try:
        return await opened.read(journal)
    finally:
        opened.close()


def _reasons(report: dict[str, Any]) -> list[str]:
    words = [f"not understood: {text}" for text in report.get("unread", [])]
    words += [
        f"{row['action']}: {row['why']}" for row in report.get("verdicts", []) if row["state"] != "applied"
    ]
    return words + [f"{gap['what']}: {gap['why']}" for gap in report.get("gaps", [])]


def _print(one: Handled, *, verbose: bool) -> None:
    print(f"{one.score:<10} {one.case.id:<18} {one.seconds:5.2f} s  {one.reason[:140]}", flush=True)
    if verbose or one.score == "wrong":
        for name, arguments in one.applied:
            print(f"             applied {name} {json.dumps(arguments)}")
        for gold in one.case.gold:
            print(f"             right   {gold['name']} {json.dumps(gold['arguments'])}")


if __name__ == "__main__":
    main()
