"""Runaway agents: are they killed in time, all of them, and does anybody else notice?

    make runaway
    python -m benchmarks.runaway [--runs 100]

A real agent server with `isolation="process"` gets RUNS runaways of each kind, one after the other, each with a deadline, and all
the while well-behaved calls at a steady rate: the bystanders. First the bystanders are alone. What becomes of a runaway is seen
from outside: the kernel tells when its process is gone, and /proc whether anything else of it is left.

* killed: gone, with nothing left of it.
* late_ms: from the deadline and the grace, counted from the moment of sending (so it holds the way there too), to the process being
  gone. Of those kinds that do not end before: the others are gone, and answered for, in `short_ms_p99` after their sending.
* bystanders_failed: without an answer, or with another than theirs. `bystanders_p99_ratio`: p99 with runaways by p99 without.
* cost: one call that does nothing, in a process and as a task: milliseconds of CPU of all processes of the server, and p50.

Ends with one JSON line; exit code 1 if a runaway was not killed within 100 ms, or a bystander failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import select
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.runaway.household import Household, household, parents
from benchmarks.runaway.wild import ENDLESS, SHORT
from meshwright.deadline import margin
from meshwright.extension import URI

#: Seconds that a runaway has, of which the server keeps some for the way home, and of grace after it.
GIVEN, GRACE = 0.3, 0.2
DUE = GIVEN - margin(GIVEN) + GRACE
#: Milliseconds after it that are still in time.
LATE_MS = 100.0
#: Seconds after which a runaway is not counted as killed any more.
LOST = 5.0
#: Bystanders a second, and for how many seconds they are alone first.
RATE, ALONE = 10.0, 30.0
#: Calls that the cost is measured with, after so many that are not counted.
CALLS, WARM_UP = 300, 30
HEADERS = {"a2a-version": "1.0"}


@dataclass(slots=True)
class Bystanders:
    """Calls at a steady rate, whatever becomes of them; `seconds` is what the good ones took."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """What became of a runaway: when it was gone, in ms after it was sent, and whether all was as it should be."""

    gone_ms: float
    killed: bool
    told: str


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runaway")
    parser.add_argument("--runs", type=int, default=100, help="runaways of each kind (%(default)s)")
    result = asyncio.run(measure(parser.parse_args().runs))
    print(json.dumps(result))
    in_time = result["killed"] == result["runaways"] and result["late_ms_max"] <= LATE_MS
    raise SystemExit(not in_time or result["bystanders_failed"] > 0)


async def measure(runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mesh-runaway-") as folder:
        async with aiohttp.ClientSession(headers=HEADERS) as http:
            cost = {how: await cost_of(http, Path(folder) / how, how) for how in ("task", "process")}
            with household(Path(folder) / "wild", KILL_GRACE=str(GRACE), WORKER_MEMORY="256") as wild:
                alone, beside = Bystanders(), Bystanders()
                await stream(http, wild, alone, asyncio.ensure_future(asyncio.sleep(ALONE)))
                running_away = asyncio.ensure_future(runaways(http, wild, runs))
                await stream(http, wild, beside, running_away)
                ends = running_away.result()
                strays = wild.strays()
    late = [end.gone_ms - DUE * 1000 for kind in ENDLESS for end in ends[kind]]
    everyone = [end for kind in ends.values() for end in kind]
    return {
        "runaways": len(everyone),
        "killed": sum(end.killed for end in everyone) - len(strays),
        "late_ms_p50": percentile(late, 50),
        "late_ms_p99": percentile(late, 99),
        "late_ms_max": percentile(late, 100),
        "short_ms_p99": percentile([end.gone_ms for kind in SHORT for end in ends[kind]], 99),
        "bystanders": len(alone.seconds) + len(beside.seconds),
        "bystanders_failed": alone.failed + beside.failed,
        "bystanders_p50_ms": [percentile(each.seconds, 50, 1000) for each in (alone, beside)],
        "bystanders_p99_ms": [percentile(each.seconds, 99, 1000) for each in (alone, beside)],
        "bystanders_p99_ratio": round(
            percentile(beside.seconds, 99, 1000) / percentile(alone.seconds, 99, 1000), 2
        ),
        "cost": cost,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


async def runaways(http: aiohttp.ClientSession, wild: Household, runs: int) -> dict[str, list[End]]:
    """`runs` of each kind, one after the other."""
    ends: dict[str, list[End]] = {}
    for kind in (*ENDLESS, *SHORT):
        ends[kind] = [await runaway(http, wild, kind) for _ in range(runs)]
        gone = [end.gone_ms for end in ends[kind]]
        print(
            f"{kind:16} killed {sum(end.killed for end in ends[kind])} of {runs},"
            f" gone {percentile(gone, 50):.0f} ms after sending (p99 {percentile(gone, 99):.0f}),"
            f" told {', '.join(sorted({end.told for end in ends[kind]}))}",
            file=sys.stderr,
            flush=True,
        )
    return ends


async def runaway(http: aiohttp.ClientSession, wild: Household, kind: str) -> End:
    body, note = wild.request(kind)
    began = time.monotonic()
    asking = asyncio.ensure_future(call(http, wild, body, GIVEN))
    pid = await asyncio.to_thread(note.pid, LOST)
    gone = await asyncio.to_thread(_gone_at, pid)
    told = (await asking)["code"]
    note.close()
    expected = ["DEADLINE_EXCEEDED"] if kind in ENDLESS else ["WORKER_FAILED", "DEADLINE_EXCEEDED"]
    killed = gone < began + LOST and told in expected and not _left_of(pid)
    return End((gone - began) * 1000, killed, told)


def _gone_at(pid: int) -> float:
    """When the process ended, as the kernel tells whoever holds it; infinity if it does not within LOST seconds."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return time.monotonic()
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    ended = poll.poll(LOST * 1000)
    os.close(watch)
    return time.monotonic() if ended else float("inf")


def _left_of(pid: int) -> list[int]:
    """What lives on of a process that is gone: itself, its session, its children."""
    left = []
    for other, parent in parents().items():
        try:
            session = os.getsid(other)
        except ProcessLookupError:
            continue
        if pid in (other, parent, session):
            left.append(other)
    return left


async def stream(
    http: aiohttp.ClientSession, wild: Household, bystanders: Bystanders, until: asyncio.Future[Any]
) -> None:
    """Send well-behaved calls at RATE until something is done, and wait for their answers."""
    calls: set[asyncio.Task[None]] = set()

    async def one() -> None:
        body, note = wild.request("well")
        began = time.monotonic()
        try:
            answer = await call(http, wild, body, 10.0)
        except (aiohttp.ClientError, TimeoutError):
            answer = {"state": "unreachable"}
        took = time.monotonic() - began
        note.close()
        if answer["state"] == "TASK_STATE_COMPLETED":
            bystanders.seconds.append(took)
        else:
            bystanders.failed += 1

    due = time.monotonic()
    while not until.done():
        calls.add(asyncio.create_task(one()))
        due += 1 / RATE
        await asyncio.sleep(max(due - time.monotonic(), 0))
    await asyncio.gather(*calls)


async def call(
    http: aiohttp.ClientSession, wild: Household, body: dict[str, Any], seconds: float
) -> dict[str, str]:
    """The state and the code that one call ends with."""
    headers = {"x-mesh-deadline-ms": str(int(seconds * 1000))}
    limit = aiohttp.ClientTimeout(total=seconds + LOST)
    async with http.post(wild.url, json=body, headers=headers, timeout=limit) as response:
        answer = await response.json()
    if "result" not in answer:
        return {"state": "refused", "code": str(answer.get("error"))[:200]}
    task = answer["result"]["task"]
    return {
        "state": task["status"]["state"],
        "code": task.get("metadata", {}).get(URI, {}).get("code", ""),
    }


async def cost_of(http: aiohttp.ClientSession, folder: Path, how: str) -> dict[str, float]:
    """What a call costs that does nothing: CPU of the server and of all that it made, in ms, and p50."""
    with household(folder, tools=False, ISOLATION=how) as wild:
        for _ in range(WARM_UP):
            await _timed(http, wild)
        before = _cpu(wild)
        times = [await _timed(http, wild) for _ in range(CALLS)]
        cpu = _cpu(wild) - before
    return {"cpu_ms": round(cpu / CALLS * 1000, 2), "p50_ms": percentile(times, 50, 1000)}


async def _timed(http: aiohttp.ClientSession, wild: Household) -> float:
    body, note = wild.request("nothing")
    began = time.monotonic()
    answer = await call(http, wild, body, 10.0)
    took = time.monotonic() - began
    note.close()
    if answer["state"] != "TASK_STATE_COMPLETED":
        raise SystemExit(f"a call that does nothing failed: {answer}")
    return took


def _cpu(wild: Household) -> float:
    """Seconds of CPU of the server, its nursery and their dead children."""
    everyone = [wild.process.pid, *(p for p, parent in parents().items() if parent == wild.process.pid)]
    ticks = 0
    for pid in everyone:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: int, scale: float = 1.0) -> float:
    """The value below which `share` percent of them lie, times `scale`, with one decimal."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) * share // 100, len(ordered) - 1)] * scale, 1)


if __name__ == "__main__":
    main()
