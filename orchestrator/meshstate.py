"""The mesh as it stands now, at `/mesh`: agents and tool servers, how each is, and who called whom.

It is gathered beside the request, from everybody at once, and no more often than every FRESH seconds: who asks is shown what is known, and
one who hangs keeps nobody waiting. Cards, numbers and names are what peers say of themselves; they are cut to size and never more than shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse

from meshwright.clipping import clipped
from meshwright.deadline import Deadline
from meshwright.errors import StoreUnavailable
from meshwright.inbound.activityroute import PATH as ACTIVITY
from meshwright.inbound.activityroute import hours_in
from meshwright.outbound.breaker import Breaker
from meshwright.outbound.readiness import Sightings, read
from meshwright.records.traffic import Activity, activity, heard
from orchestrator.meshrows import (
    MEMBERS,
    UP,
    WHY,
    Edges,
    Gathered,
    agent_row,
    budget_row,
    card_row,
    edge_row,
    edges_of,
    latency_row,
    load_row,
    name_of,
    used_rows,
)

if TYPE_CHECKING:
    from a2a.types import AgentCard

    from meshwright.inbound.health import Readiness
    from meshwright.outbound.directory import Entry
    from orchestrator.driver import Driver

#: Seconds for which what was gathered is good enough, that one who is asked has for an answer, and that all of it may take.
FRESH, LOOK, GATHER = 2.0, 2.0, 4.0
#: Seconds that a request waits for it: where nothing is known yet, and where something is.
FIRST, NEXT = 1.5, 0.1
#: Edges that are told.
MOST = 400


class MeshState:
    """The page. `live` gives the driver, or says that the process still starts."""

    def __init__(self, live: Callable[[], Driver], card: AgentCard, public_url: str | None) -> None:
        self._live, self._card, self._url = live, card, public_url or ""
        self._known: dict[int, Gathered] = {}
        self._gathering: dict[int, asyncio.Task[None]] = {}
        self._tools: dict[str, Sightings] = {}

    async def shown(self, request: Request) -> JSONResponse:
        """All of it; `?hours=` says how far back calls are counted, `?fresh=1` waits until everybody was asked anew."""
        query = request.query_params
        hours, anew = hours_in(query.get("hours", "1")), query.get("fresh") == "1"
        known = await self._gathered(hours, anew=anew)
        return JSONResponse(self._page(known, hours, request.app.state.readiness))

    async def aclose(self) -> None:
        for task in self._gathering.values():
            task.cancel()
        if self._gathering:
            await asyncio.wait(self._gathering.values())

    async def _gathered(self, hours: int, *, anew: bool) -> Gathered:
        known, task = self._known.get(hours, Gathered()), self._gathering.get(hours)
        if anew and task is not None:
            await asyncio.wait({task})  # it may have begun before what is to be seen
            task = newer if (newer := self._gathering[hours]) is not task else None
        if task is None or (task.done() and time.time() - known.at > FRESH):
            task = self._gathering[hours] = asyncio.ensure_future(self._gather(self._live(), hours))
        if not task.done():
            await asyncio.wait({task}, timeout=None if anew else NEXT if known.at else FIRST)
        return self._known.get(hours, known)

    async def _gather(self, driver: Driver, hours: int) -> None:
        # Of one who is gone the last word stays: that is when one wants to know whom it called. Not longer than it counts.
        before, since = self._known.get(hours, Gathered()), time.time() - hours * 3600
        kept = {url: at for url, at in before.told_at.items() if at > since}
        found = Gathered(time.time(), told={url: before.told[url] for url in kept}, told_at=kept)
        entries, began = driver.directory.entries, time.monotonic()

        async def own() -> None:
            with suppress(StoreUnavailable):
                found.own = await activity(driver.database, driver.name, hours, runs=True)

        async def tools() -> None:
            found.tools = await driver.toolbox.catalogue(Deadline.after(GATHER))
            await asyncio.gather(
                *(self._look(driver, row["url"]) for row in found.tools if row["status"] != "unreachable")
            )

        async def told(entry: Entry) -> None:
            answer = await self._asked(driver, entry, hours)
            if answer is not None:
                found.told[entry.url], found.told_at[entry.url] = answer, time.time()

        asked = [told(entry) for entry in entries if entry.audience]
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER):
                await asyncio.gather(own(), tools(), driver.directory.look_around(LOOK), *asked)
        known = [e for e in entries if e.audience and e.card and e.status in UP]
        found.silent = {e.url for e in known if e.sightings.at < began}
        found.at = time.time()
        self._known[hours] = found

    async def _asked(self, driver: Driver, entry: Entry, hours: int) -> Activity | None:
        try:
            async with asyncio.timeout(LOOK):
                path = f"{ACTIVITY}?hours={hours}"
                status, document = await driver.directory.told(entry.url, path, entry.audience)
        except (httpx.HTTPError, TimeoutError):
            return None
        return heard(document) if status == 200 else None

    async def _look(self, driver: Driver, url: str) -> None:
        sightings = self._tools.setdefault(url, Sightings())
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(LOOK):
                sightings.note(read(*await driver.directory.told(url, "/readyz")))

    def _page(self, known: Gathered, hours: int, readiness: Readiness) -> dict[str, Any]:
        driver = self._live()
        entries, hosts = driver.directory.entries, driver.toolbox.hosts
        names = {alias: name_of(e) for e in entries for alias in (e.url, e.name, e.audience) if alias}
        edges = edges_of(driver.name, known, entries, names)
        breakers = {host.url: host.breaker for host in hosts}
        agents = [self._self(driver, known.own, readiness), *(agent_row(e, known, edges) for e in entries)]
        tools = [self._tool(row, breakers.get(row["url"]), edges) for row in known.tools]
        since = known.own.since if known.own else known.at - hours * 3600
        return {
            "at": known.at,
            "hours": hours,
            "since": since,
            "complete": known.own is not None and known.own.complete,
            "unheard": [name_of(e) for e in entries if known.told_at.get(e.url, 0) < known.began],
            "agents": agents,
            "tools": [*tools, *used_rows(entries, {row["name"] for row in tools}, edges)],
            "edges": [edge_row(source, edge) for source, edge in edges[:MOST]],
        }

    def _self(self, driver: Driver, own: Activity | None, readiness: Readiness) -> dict[str, Any]:
        places = readiness.places
        load = readiness.load(places) if places is not None else None
        status = "draining" if readiness.draining else "ready" if readiness.ready else "cold"
        return {
            **card_row(self._card),
            "name": driver.name,
            "title": self._card.name,
            "url": self._url,
            "status": status,
            "why": "",
            "cold": status == "cold",
            "breaker": "closed",
            "health": None,
            "replicas": 1,
            "load": load,
            "latency": None,
            "budget": budget_row(own),
            "here": True,
        }

    def _tool(self, row: dict[str, Any], breaker: Breaker | None, edges: Edges) -> dict[str, Any]:
        sightings = self._tools.get(row["url"], Sightings())
        up = row["status"] not in ("unreachable", "cold")
        name = clipped(row["name"])
        return {
            "name": name,
            "url": row["url"],
            "status": "draining" if up and sightings.last.draining else row["status"],
            "why": clipped(row.get("why", ""), WHY),
            "tools": [clipped(tool) for tool in row["tools"][:MEMBERS]],
            "breaker": breaker.state if breaker else row["breaker"],
            "health": breaker.shown() if breaker else row["health"],
            "replicas": len(sightings.lately()) if up else 0,
            "load": load_row(sightings.load) if up else None,
            "latency": latency_row(edges, "tool", name),
        }
