"""The rows of the page of the mesh, made of what was gathered: an agent, a tool server, an edge; nothing in them longer than shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshwright.clipping import clipped
from meshwright.outbound.readiness import Load
from meshwright.records.traffic import Activity, Edge, quantile

if TYPE_CHECKING:
    from a2a.types import AgentCard

    from meshwright.outbound.directory import Entry

#: Characters of a reason and of a version; skills and tools of one.
WHY, VERSION, MEMBERS = 300, 40, 100
#: How an entry stands of which something can be said beyond that.
UP = ("ready", "cold")

Edges = list[tuple[str, Edge]]


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


def name_of(entry: Entry) -> str:
    """What an address is called here: as its tokens are made out, as its card says, or by its address."""
    return clipped(entry.audience or entry.name or entry.url)


def edges_of(own: str, known: Gathered, entries: Iterable[Entry], names: dict[str, str]) -> Edges:
    """All edges, those with the most calls first: this process's own, and those that agents told of themselves."""
    found = [(own, edge) for edge in (known.own.edges() if known.own else [])]
    for entry in entries:
        if (told := known.told.get(entry.url)) is not None:
            found += [(name_of(entry), edge) for edge in told.edges()]
    pairs: dict[tuple[str, str, str], Edge] = {}
    for source, edge in found:
        if edge.kind == "agent":
            edge.target = names.get(edge.target, edge.target)
        # several addresses may be one agent's
        pair = pairs.setdefault((source, edge.kind, edge.target), Edge(edge.target, edge.kind))
        pair.calls, pair.failed = pair.calls + edge.calls, pair.failed + edge.failed
        pair.times += edge.times
    edges = [(source, edge) for (source, _, _), edge in pairs.items()]
    return sorted(edges, key=lambda pair: (-pair[1].calls, pair[0], pair[1].target))


def agent_row(entry: Entry, known: Gathered, edges: Edges) -> dict[str, Any]:
    name, up, sightings = name_of(entry), entry.status in UP, entry.sightings
    status, why = str(entry.status), entry.why
    if entry.url in known.silent:
        status, why, up = "silent", "it does not answer in time", False
    elif up and sightings.last.draining:
        status = "draining"
    return {
        **(card_row(entry.card) if entry.card else {"version": "", "skills": [], "description": ""}),
        "name": name,
        "title": clipped(entry.name or entry.audience),
        "url": entry.url,
        "status": status,
        "why": clipped(why, WHY),
        "cold": entry.status == "cold",
        "breaker": entry.breaker.state,
        "health": entry.breaker.shown(),
        "replicas": len(sightings.lately()) if up else 0,
        "load": load_row(sightings.load) if up else None,
        "latency": latency_row(edges, "agent", name),
        "budget": budget_row(known.told.get(entry.url)),
        "here": False,
    }


def used_rows(entries: Iterable[Entry], known: set[str], edges: Edges) -> list[dict[str, Any]]:
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
            "latency": latency_row(edges, "tool", tool),
        }
        for tool, seen in sorted(states.items())
    ]


def card_row(card: AgentCard) -> dict[str, Any]:
    return {
        "version": clipped(card.version, VERSION),
        "description": clipped(card.description, WHY),
        "skills": [clipped(skill.id) for skill in card.skills[:MEMBERS]],
    }


def edge_row(source: str, edge: Edge) -> dict[str, Any]:
    return {
        "from": source,
        "to": edge.target,
        "kind": edge.kind,
        "calls": edge.calls,
        "failed": edge.failed,
        "p95_ms": quantile([edge], 0.95),
    }


def latency_row(edges: Edges, kind: str, name: str) -> dict[str, int | None] | None:
    some = [edge for _, edge in edges if (edge.kind, edge.target) == (kind, name)]
    if not some:
        return None
    return {
        "calls": sum(edge.calls for edge in some),
        "failed": sum(edge.failed for edge in some),
        "p50_ms": quantile(some, 0.5),
        "p95_ms": quantile(some, 0.95),
    }


def load_row(load: Load | None) -> dict[str, int] | None:
    return {"taken": load.taken, "limit": load.limit, "waiting": load.waiting} if load else None


def budget_row(told: Activity | None) -> dict[str, int | None] | None:
    if told is None or told.budget is None:
        return None
    spent = told.budget
    return {
        "tokens": spent.tokens,
        "token_limit": spent.token_limit,
        "micros": spent.micros,
        "micro_limit": spent.micro_limit,
    }
