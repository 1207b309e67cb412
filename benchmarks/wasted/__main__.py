"""Wasted work: how long a chain of agents still works for a caller that has given up.

    make wasted
    python -m benchmarks.wasted [--trials N] [--seed N]

A caller asks an agent (alpha), which asks another (beta), which calls a tool that takes 2 s; the caller gives up after 0.2 to
0.8 s, drawn at random. Four callers at a time, and then one call that succeeds, so that no breaker opens. Only a trial that reached
the tool counts. Wasted is the time from the instant it gave up until the last of the three stopped
working on that trial, by the system's one monotonic clock, as the stages log it; 0 where all had stopped before. The ways:

* deadline: its time passes. Ours sends it along as the extension's header; the stock client has it as its timeout.
* cancel: it cancels the task. Ours is a `Peer.ask` that is cancelled; the stock client sends CancelTask.
* disconnect: it goes away. Ours said before that this is a cancel (`x-mesh-on-disconnect`); the stock server has nothing like it.

`ours`: two agents served by `meshwright.serve` with keys and SQLite, and a `ToolServer`. `stranger`: our alpha, and beta and the tool
as shipped: a peer that does not know the extension. `reference`: all three and the caller with a2a-sdk and mcp as shipped.
Ends with one JSON line; the figures without a way are over all of them. `median` and `p99` in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks.wasted import callers
from benchmarks.wasted.processes import ready, running
from benchmarks.wasted.toil import LOG, last_work, reached_by
from meshwright.inbound.identity import Identity, Signer, Trust
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client

#: Seconds that the tool takes, and between which a caller gives up.
TAKES, SOONEST, LATEST = 2.0, 0.2, 0.8
#: Callers at a time: fewer than the failures in a row that open a breaker.
AT_ONCE = 4
WAYS = ("deadline", "cancel", "disconnect")
#: What alpha asks for in each chain.
CHAINS = {"ours": "beta-work", "stranger": "stock-beta-work", "reference": "beta-work"}


async def measure(
    folder: Path, urls: dict[str, str], trials: int, chance: random.Random
) -> dict[str, list[float]]:
    """Milliseconds wasted in each trial, by chain and way (`ours deadline`)."""
    await ready(urls)
    jwk = json.loads((folder / "keys" / "operator.json").read_text())
    me = Identity("operator", Signer.from_jwk("operator", jwk), Trust("operator", {}))
    gave_up: dict[str, tuple[str, float]] = {}
    async with http_client() as http, httpx.AsyncClient(timeout=None) as plain:
        directory = Directory([urls["alpha"]], http, me)
        await directory.refresh()
        ours = callers.ours(directory.candidates("alpha-work")[0], urls["alpha"], plain, me)
        ways = {"ours": ours, "stranger": ours, "reference": await callers.stock(urls["stock alpha"], plain)}

        async def one(chain: str, way: str, number: int) -> None:
            trial = f"{chain}-{way}-{number}"
            details = {"trial": trial, "seconds": TAKES, "skill": CHAINS[chain]}
            at = await ways[chain][way](details, chance.uniform(SOONEST, LATEST))
            gave_up[trial] = (f"{chain} {way}", at)

        async def well(chain: str, number: int) -> None:
            details = {"trial": f"well-{chain}-{number}", "seconds": 0.01, "skill": CHAINS[chain]}
            await ways[chain]["deadline"](details, callers.PLENTY)

        for chain in CHAINS:
            for each in range(3):  # the first calls make connections
                await well(chain, -1 - each)
            for way in WAYS:
                for first in range(0, trials, AT_ONCE):
                    batch = range(first, min(first + AT_ONCE, trials))
                    await asyncio.gather(*(one(chain, way, number) for number in batch))
                    await well(chain, first)
                await asyncio.sleep(TAKES + 0.5)  # whatever is still at work ends by itself
    log = (folder / LOG).read_text()
    ends, reached = last_work(log), reached_by("tool", log)
    wasted: dict[str, list[float]] = {}
    for trial, (kind, at) in gave_up.items():
        if trial in reached:
            wasted.setdefault(kind, []).append(max(0.0, (ends[trial] - at) * 1000))
    return wasted


def p99(values: list[float]) -> float:
    """The value that at most one in a hundred exceeds (nearest rank)."""
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def report(wasted: dict[str, list[float]]) -> dict[str, Any]:
    print(f"{'':<24}{'trials':>7}{'median ms':>11}{'p99 ms':>9}{'max ms':>9}")
    for kind, values in wasted.items():
        print(
            f"{kind:<24}{len(values):>7}{statistics.median(values):>11.0f}{p99(values):>9.0f}{max(values):>9.0f}"
        )
    line: dict[str, Any] = {}
    for chain, prefix in (("ours", ""), ("stranger", "stranger_"), ("reference", "reference_")):
        every = [value for kind, values in wasted.items() if kind.startswith(chain) for value in values]
        line |= {
            f"{prefix}wasted_ms_p50": round(statistics.median(every), 1),
            f"{prefix}wasted_ms_p99": round(p99(every), 1),
        }
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description="How long agents still work for a caller that has given up.")
    parser.add_argument("--trials", type=int, default=40, help="of each chain and way")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mesh-wasted-") as name:
        folder = Path(name)
        with running(folder) as urls:
            try:
                wasted = asyncio.run(measure(folder, urls, options.trials, random.Random(options.seed)))
            except (TimeoutError, ValueError) as error:
                logs = "".join(
                    log.read_text()[-400:] for log in sorted(folder.glob("*.log")) if log.name != LOG.name
                )
                sys.exit(f"{type(error).__name__} {error}\n{logs}")
    print(f"the tool takes {TAKES:.0f} s; callers give up after {SOONEST} to {LATEST} s, {AT_ONCE} at a time")
    line = report(wasted)
    line |= {
        "trials": sum(map(len, wasted.values())),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
