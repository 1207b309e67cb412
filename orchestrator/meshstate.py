"""The mesh as it stands now, at `/mesh`: agents and tool servers, how each is, and who called whom.

It is gathered beside the request, from everybody at once, and no more often than every FRESH seconds: who asks is shown what is known, and
one who hangs keeps nobody waiting. Cards, numbers and names are what peers say of themselves; they are cut to size and never more than shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
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
from meshwright.outbound.readiness import Load, Sightings, read
from meshwright.records.traffic import Activity, Edge, activity, heard, quantile

if TYPE_CHECKING:
    from a2a.types import AgentCard

    from meshwright.inbound.health import Readiness
    from meshwright.outbound.directory import Entry
    from orchestrator.driver import Driver

#: Seconds for which what was gathered is good enough, that one who is asked has for an answer, and that all of it may take.
FRESH, LOOK, GATHER = 2.0, 2.0, 4.0
#: Seconds that a request waits for it: where nothing is known yet, and where something is.
FIRST, NEXT = 1.5, 0.1
#: Characters of a reason, a version and a skill; skills and tools of a server; edges.
WHY, VERSION, MEMBERS, EDGES = 300, 40, 100, 400


@dataclass(slots=True)
class Gathered:
    """What was told last, and by whom just now. By address, but `own`, which is of this process."""

    began: float = 0.0
    at: float = 0.0
    own: Activity | None = None
    told: dict[str, Activity] = field(default_factory=dict)
    told_at: dict[str, float] = field(default_factory=dict)
    tools: list[dict[str, Any]] = field(default_factory=list)
    #: Who took the question and did not answer it in time.
    silent: set[str] = field(default_factory=set)


#: How an entry stands of which something can be said beyond that.
UP = ("ready", "cold")


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
            task = None
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
        edges = _edges(driver.name, known, entries, names)
        breakers = {host.url: host.breaker for host in hosts}
        agents = [self._self(driver, known.own, readiness), *(_agent(e, known, edges) for e in entries)]
        tools = [self._tool(row, breakers.get(row["url"]), edges) for row in known.tools]
        since = known.own.since if known.own else known.at - hours * 3600
        return {
            "at": known.at,
            "hours": hours,
            "since": since,
            "complete": known.own is not None and known.own.complete,
            "unheard": [name_of(e) for e in entries if known.told_at.get(e.url, 0) < known.began],
            "agents": agents,
            "tools": [*tools, *_used(entries, {row["name"] for row in tools}, edges)],
            "edges": [_shown(source, edge) for source, edge in edges[:EDGES]],
        }

    def _self(self, driver: Driver, own: Activity | None, readiness: Readiness) -> dict[str, Any]:
        places = readiness.places
        load = readiness.load(places) if places is not None else None
        status = "draining" if readiness.draining else "ready" if readiness.ready else "cold"
        return {
            **_card_of(self._card),
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
            "budget": _budget(own),
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
            "load": _load(sightings.load) if up else None,
            "latency": _latency(edges, "tool", name),
        }


Edges = list[tuple[str, Edge]]


def name_of(entry: Entry) -> str:
    """What an address is called here: as its tokens are made out, as its card says, or by its address."""
    return clipped(entry.audience or entry.name or entry.url)


def _edges(own: str, known: Gathered, entries: Iterable[Entry], names: dict[str, str]) -> Edges:
    """All edges, those with the most calls first: this process's own, and those that agents told of themselves."""
    found = [(own, edge) for edge in (known.own.edges() if known.own else [])]
    for entry in entries:
        if (told := known.told.get(entry.url)) is not None:
            found += [(name_of(entry), edge) for edge in told.edges()]
    for _, edge in found:
        if edge.kind == "agent":
            edge.target = names.get(edge.target, edge.target)
    return sorted(found, key=lambda pair: (-pair[1].calls, pair[0], pair[1].target))


def _agent(entry: Entry, known: Gathered, edges: Edges) -> dict[str, Any]:
    name, up, sightings = name_of(entry), entry.status in UP, entry.sightings
    status, why = str(entry.status), entry.why
    if entry.url in known.silent:
        status, why, up = "silent", f"no answer within {LOOK:.0f} s", False
    elif up and sightings.last.draining:
        status = "draining"
    return {
        **(_card_of(entry.card) if entry.card else {"version": "", "skills": [], "description": ""}),
        "name": name,
        "title": clipped(entry.name or entry.audience),
        "url": entry.url,
        "status": status,
        "why": clipped(why, WHY),
        "cold": entry.status == "cold",
        "breaker": entry.breaker.state,
        "health": entry.breaker.shown(),
        "replicas": len(sightings.lately()) if up else 0,
        "load": _load(sightings.load) if up else None,
        "latency": _latency(edges, "agent", name),
        "budget": _budget(known.told.get(entry.url)),
        "here": False,
    }


def _used(entries: Iterable[Entry], known: set[str], edges: Edges) -> list[dict[str, Any]]:
    """The tool servers that only agents use: of these there is what the agents say, and no address."""
    states: dict[str, dict[str, str]] = {}
    for entry in entries:
        for tool, state in entry.sightings.last.tools if entry.status in UP else ():
            if tool not in known and "://" not in tool:  # one that was never met has only an address
                states.setdefault(tool, {})[name_of(entry)] = state
    return [
        {
            "name": tool,
            "url": "",
            "status": "used",
            "tools": [],
            "health": None,
            "replicas": None,
            "why": f"used by {', '.join(sorted(seen))}"[:WHY],
            "breaker": max(seen.values(), key=("closed", "half-open", "open").index),
            "load": None,
            "latency": _latency(edges, "tool", tool),
        }
        for tool, seen in sorted(states.items())
    ]


def _card_of(card: AgentCard) -> dict[str, Any]:
    return {
        "version": clipped(card.version, VERSION),
        "description": clipped(card.description, WHY),
        "skills": [clipped(skill.id) for skill in card.skills[:MEMBERS]],
    }


def _shown(source: str, edge: Edge) -> dict[str, Any]:
    return {
        "from": source,
        "to": edge.target,
        "kind": edge.kind,
        "calls": edge.calls,
        "failed": edge.failed,
        "p95_ms": quantile([edge], 0.95),
    }


def _latency(edges: Edges, kind: str, name: str) -> dict[str, int | None] | None:
    some = [edge for _, edge in edges if (edge.kind, edge.target) == (kind, name)]
    if not some:
        return None
    return {
        "calls": sum(edge.calls for edge in some),
        "failed": sum(edge.failed for edge in some),
        "p50_ms": quantile(some, 0.5),
        "p95_ms": quantile(some, 0.95),
    }


def _load(load: Load | None) -> dict[str, int] | None:
    return {"taken": load.taken, "limit": load.limit, "waiting": load.waiting} if load else None


def _budget(told: Activity | None) -> dict[str, int | None] | None:
    if told is None or told.budget is None:
        return None
    spent = told.budget
    return {
        "tokens": spent.tokens,
        "token_limit": spent.token_limit,
        "micros": spent.micros,
        "micro_limit": spent.micro_limit,
    }
