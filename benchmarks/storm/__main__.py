"""What retries add to the load of a tool server that is failing: nothing that could keep it down.

    make storm
    python -m benchmarks.storm [--calls 1000] [--at-once 40]

A real tool server stands behind a proxy that resets all exchanges, or every other one. So many callers at once read from it, call after
call, in three ways: with the retries of the mesh, `without` any, and `unbudgeted`, where every call is tried three times if need be.
The proxy counts what reaches the server. All of it once without a breaker, so that nothing but the retries is measured, and once with.

* amplification: load with retries by load without, without a breaker, the worse of both storms
* unbudgeted_amplification: the same for retries that nobody limits
* with_breaker: requests that reached the server, of so many calls, with retries and the breaker
* saved_share: calls answered with retries that would not have been without, of those that would have failed (every other fails)
* recovery_s: from the moment the server is well to the first answer, with a caller every 50 ms; `probe_interval_s` bounds it

Ends with one JSON line; exit code 1 if retries add more than a tenth, or recovery takes longer than an interval.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel

from meshwright.deadline import Deadline
from meshwright.errors import MeshError
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.breaker import RESET_SECONDS, Breaker
from meshwright.outbound.http import http_client
from meshwright.outbound.retry import Retries, RetryBudget
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings
from meshwright.testing import WELL, Fault, FaultProxy, Keyring, serving
from meshwright.toolserver import Access, ToolServer

#: Seconds a call may take.
DEADLINE = 2.0
STORMS = {"all": (Fault("reset"),), "half": (Fault("reset"), WELL)}
#: Failures in a row that no storm has.
NEVER = 10**9


class Answer(BaseModel):
    value: int


class Unlimited(RetryBudget):
    """What retries are without a budget."""

    def withdraw(self) -> bool:
        return True


class Nothing(RetryBudget):
    """No retries."""

    def withdraw(self) -> bool:
        return False


BUDGETS: dict[str, type[RetryBudget]] = {"with": RetryBudget, "without": Nothing, "unbudgeted": Unlimited}


@dataclass(frozen=True, slots=True)
class Load:
    """One storm: calls that were made, requests that reached the server, calls that were answered."""

    calls: int
    sent: int
    answered: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm")
    parser.add_argument("--calls", type=int, default=1000, help="calls of each storm (%(default)s)")
    parser.add_argument("--at-once", type=int, default=40, help="callers at the same time (%(default)s)")
    given = parser.parse_args()
    result = asyncio.run(storms(given.calls, given.at_once))
    print(json.dumps(result))
    raise SystemExit(result["amplification"] > 1.1 or result["recovery_s"] > RESET_SECONDS + DEADLINE)


async def storms(calls: int, at_once: int) -> dict[str, Any]:
    server = ToolServer("sick", version="1")

    @server.read
    async def value() -> Answer:
        """An answer."""
        return Answer(value=1)

    ring = Keyring("sick", "caller")
    identity = ring.identity("sick", open_to_strangers=False)
    app = tool_app(server, Settings(), identity, Access({"caller": ("sick.*",)}, {}))
    async with serving(app) as url, FaultProxy(url).running() as proxy:
        sick = Sick(proxy, ring)
        plain = {
            storm: {name: await sick.storm(storm, name, calls, at_once, NEVER) for name in BUDGETS}
            for storm in STORMS
        }
        broken = {storm: await sick.storm(storm, "with", calls, at_once, None) for storm in STORMS}
        recovery = await sick.recovery()
    for storm, loads in plain.items():
        for name, load in loads.items():
            print(
                f"{storm:5} {name:11} {load.calls} calls: {load.sent} sent, {load.answered} answered",
                file=sys.stderr,
            )
    lost = calls - plain["half"]["without"].answered
    return {
        "amplification": _worst(plain, "with"),
        "unbudgeted_amplification": _worst(plain, "unbudgeted"),
        "with_breaker": {storm: load.sent for storm, load in broken.items()},
        "saved_share": round((plain["half"]["with"].answered - plain["half"]["without"].answered) / lost, 3),
        "recovery_s": round(recovery, 2),
        "probe_interval_s": RESET_SECONDS,
        "calls": calls,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def _worst(plain: dict[str, dict[str, Load]], name: str) -> float:
    return round(max(loads[name].sent / loads["without"].sent for loads in plain.values()), 3)


class Sick:
    """The server behind its proxy, and callers of it."""

    def __init__(self, proxy: FaultProxy, ring: Keyring) -> None:
        self._proxy, self._ring = proxy, ring

    async def storm(self, storm: str, retries: str, calls: int, at_once: int, fail_max: int | None) -> Load:
        """So many calls while the storm goes on. With a `fail_max` of None the breaker is that of the mesh."""
        async with http_client() as http:
            box = await self._box(http, Retries(BUDGETS[retries]()), fail_max)
            left = iter(range(calls))
            answered = 0

            async def caller() -> None:
                nonlocal answered
                for _ in left:
                    came = await _asked(box)  # not in one line: others count meanwhile
                    answered += came

            self._proxy.shows(*STORMS[storm])
            before = self._proxy.exchanges
            await asyncio.gather(*(caller() for _ in range(at_once)))
            sent = self._proxy.exchanges - before
            self._proxy.shows(WELL)
        return Load(calls, sent, answered)

    async def recovery(self) -> float:
        """Seconds from the end of a storm to the first answer."""
        async with http_client() as http:
            box = await self._box(http, Retries(), None)
            self._proxy.shows(*STORMS["all"])
            while box.hosts[0].breaker.state == "closed":
                await _asked(box)
            self._proxy.shows(WELL)
            well = time.monotonic()
            while not await _asked(box):
                await asyncio.sleep(0.05)
            return time.monotonic() - well

    async def _box(self, http: httpx.AsyncClient, retries: Retries, fail_max: int | None) -> Toolbox:
        box = Toolbox([self._proxy.url], http, self._ring.identity("caller"))
        await box.schemas(Deadline.after(20))
        host = box.hosts[0]
        host.retries = retries
        if fail_max is not None:
            host.breaker = Breaker(host.url, "tool", fail_max=fail_max)
        return box


async def _asked(box: Toolbox) -> bool:
    try:
        await box.session(by=Deadline.after(DEADLINE)).call("value")
    except MeshError:
        return False
    return True


if __name__ == "__main__":
    main()
