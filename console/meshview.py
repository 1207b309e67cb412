"""The mesh on a page: who is there and how, drawn and in cards, and who called whom."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.drawing import NARROW, WIDE, Link, Node, Picture, Shape, picture
from console.page import fingerprint
from meshwright.explaining.plain import duration, rough

if TYPE_CHECKING:
    from console.page import Page

#: How far back calls are counted: the word, and the hours.
SPANS = (("Last hour", 1), ("6 hours", 6), ("24 hours", 24))
#: Rows of the table of calls.
MOST = 100
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def routes(page: Page) -> list[Route]:
    room = MeshPage(page)
    return [Route("/mesh", room.show), Route("/parts/mesh", room.part)]


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody is, in a word, a tone and a sign that are never the same for two kinds of trouble; and what to say of it."""

    word: str
    tone: str
    sign: str
    why: str = ""


#: By the status that the mesh tells. What is wrong with somebody's breaker goes before a status that is well.
STATUS = {
    "ready": Standing("ready", "good", "check"),
    "cold": Standing("cold", "accent", "clock", "It still starts; it is asked as soon as it is ready."),
    "draining": Standing("leaving", "accent", "arrow", "It ends what it has and takes nothing new."),
    "busy": Standing("busy", "warn", "pause", "It answers, and takes no more at the moment."),
    "silent": Standing("silent", "bad", "pause"),
    "stale": Standing("unreachable", "bad", "cross", "Its last card stays in use until it is back."),
    "unreachable": Standing("unreachable", "bad", "cross"),
    "invalid": Standing("bad card", "bad", "eye", "It is not asked anything until its card is good."),
    "used": Standing("in use", "quiet", "dot", "The orchestrator does not know it; how it is they say."),
    "unknown": Standing("unknown", "quiet", "dot", "It was not asked yet."),
}
SICK = Standing("sick", "bad", "warn")
TRIED = Standing("being tried", "warn", "warn")
PAUSED = Standing("asked for a pause", "warn", "pause")
UP = ("ready", "busy", "draining", "used")


def standing(row: Mapping[str, Any]) -> Standing:
    """How an agent or a tool server is."""
    status, health = str(row.get("status", "")), row.get("health") or {}
    known = STATUS.get(status, Standing(status or "unknown", "quiet", "dot"))
    if status in UP and row.get("breaker") == "open":
        return _with(SICK, f"Its breaker is open{_since(health)}: {_failures(health)}. {_again(health)}")
    if status in UP and row.get("breaker") == "half-open":
        return _with(TRIED, f"One call finds out whether it is well again. {_sentence(_failures(health))}")
    if status == "ready" and health.get("overloaded"):
        return _with(PAUSED, _again(health))
    why = " ".join(filter(None, (_sentence(str(row.get("why") or "")), known.why)))
    return _with(known, "" if status == "ready" else why)


def _with(found: Standing, why: str) -> Standing:
    return Standing(found.word, found.tone, found.sign, why.strip())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""


def _since(health: Mapping[str, Any]) -> str:
    since = health.get("since")
    return f" for {rough(time.time() - since)}" if isinstance(since, int | float) else ""


def _failures(health: Mapping[str, Any]) -> str:
    failures = health.get("failures") or {}
    told = (
        ", ".join(f"{count} × {name}" for name, count in failures.items())
        if isinstance(failures, dict)
        else ""
    )
    return told or "no failure of its own"


def _again(health: Mapping[str, Any]) -> str:
    wait = health.get("retry_in")
    if not isinstance(wait, int | float) or wait <= 0:
        return "It is tried with the next call."
    return f"It is tried again in {duration(float(wait))}."


class MeshPage:
    """The page, and the part of it that lives."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def show(self, request: Request) -> Response:
        found = await self._found(request)
        text, seen = self._page.part(request, "_mesh_now.html", **found)
        return self._page.show(request, "mesh.html", now=text, seen=seen, spans=SPANS, hours=found["hours"])

    async def part(self, request: Request) -> Response:
        return self._page.live(request, "_mesh_now.html", **await self._found(request))

    async def _found(self, request: Request) -> dict[str, Any]:
        asked = request.query_params.get("hours", "")
        hours = next((hours for _, hours in SPANS if str(hours) == asked), SPANS[0][1])
        told = await self._page.mesh.get("/mesh", self._page.person(request), hours=hours)
        taken: set[str] = set()
        agents = [_party(row, "agent", taken) for row in _rows(told, "agents")]
        tools = [_party(row, "tool", taken) for row in _rows(told, "tools")]
        edges = [_edge(row) for row in _rows(told, "edges")]
        parties = [*agents, *tools]
        titles = {party["id"]: party["title"] for party in parties}
        for edge in edges:
            edge["source_title"] = titles.get(edge["source"], edge["from"])
            edge["target_title"] = titles.get(edge["target"], edge["to"])
        troubled = [party for party in parties if party["standing"].tone in ("bad", "warn")]
        return {
            "hours": hours,
            "agents": agents,
            "tools": tools,
            "edges": edges[:MOST],
            "more": max(0, len(edges) - MOST),
            "parties": {party["id"]: party for party in parties},
            "troubled": troubled,
            "asked": sum(party["standing"].word != "in use" for party in parties),
            "ready": sum(party["standing"].word == "ready" for party in parties),
            "pictures": [("wide", _drawn(parties, edges, WIDE)), ("narrow", _drawn(parties, edges, NARROW))],
            "calls": {(edge["source"], edge["target"]): edge for edge in edges},
            "since": told.get("since"),
            "complete": bool(told.get("complete")),
            "unheard": [str(name) for name in _list(told.get("unheard"))],
        }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _rows(told: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [row for row in _list(told.get(name)) if isinstance(row, dict)]


def anchor(kind: str, name: str) -> str:
    """What a page calls an agent or a tool server in its own links: its name, or a fingerprint of one that has odd letters."""
    return f"{kind}-{name if _PLAIN.fullmatch(name) else fingerprint(name)}"


def _party(row: Mapping[str, Any], kind: str, taken: set[str]) -> dict[str, Any]:
    """An agent or a tool server, with everything a card may ask for. `taken` are the anchors there are already."""
    name = str(row.get("name") or row.get("url") or "?")
    first = own = anchor(kind, name)
    while own in taken:  # two addresses that say they are the same
        own = f"{first}-{len(taken)}"
    taken.add(own)
    return {
        "id": own,
        "kind": kind,
        "here": row.get("here") is True,
        "name": name,
        "title": str(row.get("title") or name),
        "url": str(row.get("url") or ""),
        "version": str(row.get("version") or ""),
        "description": str(row.get("description") or ""),
        "members": [str(member) for member in _list(row.get("skills" if kind == "agent" else "tools"))],
        "standing": standing(row),
        "breaker": str(row.get("breaker") or ""),
        "replicas": _number(row.get("replicas")),
        "latency": _numbers(row.get("latency"), "calls", "failed", "p50_ms", "p95_ms"),
        "load": _numbers(row.get("load"), "taken", "limit", "waiting"),
        "budget": _numbers(row.get("budget"), "tokens", "token_limit", "micros", "micro_limit"),
    }


def _edge(row: Mapping[str, Any]) -> dict[str, Any]:
    kind = "tool" if row.get("kind") == "tool" else "agent"
    numbers = _numbers(row, "calls", "failed", "p95_ms") or {}
    calls, failed = numbers["calls"] or 0, numbers["failed"] or 0
    return {
        "from": str(row.get("from", "")),
        "to": str(row.get("to", "")),
        "source": anchor("agent", str(row.get("from", ""))),
        "target": anchor(kind, str(row.get("to", ""))),
        "kind": kind,
        "calls": calls,
        "failed": failed,
        "share": failed / calls if calls else 0.0,
        "p95": numbers["p95_ms"],
    }


def _number(value: Any) -> int | None:
    right = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
    return int(value) if right else None


def _numbers(value: Any, *names: str) -> dict[str, int | None] | None:
    return {name: _number(value.get(name)) for name in names} if isinstance(value, Mapping) else None


def _drawn(parties: Iterable[Mapping[str, Any]], edges: Iterable[Mapping[str, Any]], shape: Shape) -> Picture:
    nodes = [
        Node(party["id"], "entry" if party["here"] else "tool" if party["kind"] == "tool" else "agent")
        for party in parties
    ]
    links = [Link(edge["source"], edge["target"], max(edge["calls"], 1)) for edge in edges]
    return picture(nodes, links, shape)
