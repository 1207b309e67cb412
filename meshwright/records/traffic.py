"""Who called whom lately, how often it failed and how long it took: read from the decisions that every call leaves behind.

A sample, bounded by the newest LOOKED decisions, so that it costs the same on a quiet day and after a burst; it says since when it counts.
Each process reads its own rows. What it tells another of them (`Activity`) is believed in its shape only: see `heard`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from meshwright.clipping import clipped
from meshwright.ledger import Spent, spent_today

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction

#: Decisions that are looked at, whatever they are about.
LOOKED = 10_000
#: Edges and times of an edge that a process tells of itself.
EDGES, TIMES = 200, 100
#: What a call came to that is an answer; and what is none, and no failure of the one who was called: it was not asked, or called off.
WELL = frozenset({"answered", "asked", "refused", "applied"})
NO_CALL = frozenset({"not-asked", "called-off"})
#: The decisions that are calls.
AGENT_CALL, TOOL_CALL, EFFECT = "agent_call", "tool_call", "effect"

Side = Literal["agent", "tool"]


Name = Annotated[str, BeforeValidator(clipped)]
Count = Annotated[int, Field(ge=0, le=2**53)]


@dataclass(slots=True)
class Edge:
    """The calls of one to another. `times` are milliseconds of those that were answered: all, or evenly chosen ones of them."""

    target: str
    kind: Side
    calls: int = 0
    failed: int = 0
    times: list[int] = field(default_factory=list)

    def thinned(self) -> list[int]:
        """At most TIMES of its times, from the shortest to the longest."""
        ordered = sorted(self.times)
        if len(ordered) <= TIMES:
            return ordered
        step = (len(ordered) - 1) / (TIMES - 1)
        return [ordered[round(place * step)] for place in range(TIMES)]


def quantile(edges: Iterable[Edge], share: float) -> int | None:
    """The time within which this share of the answers came, over all `edges`; None where nothing was answered."""
    weighed = [
        (ms, max(edge.calls - edge.failed, 1) / len(edge.times)) for edge in edges for ms in edge.times
    ]
    weighed.sort()
    due = share * sum(weight for _, weight in weighed) - 1e-9
    for ms, weight in weighed:
        due -= weight
        if due <= 0:
            return ms
    return None


class TheirCalls(BaseModel):
    """An edge, as a process tells it of itself."""

    model_config = ConfigDict(strict=False, extra="ignore")

    to: Name
    kind: Side
    calls: Count
    failed: Count
    ms: Annotated[list[Count], Field(max_length=TIMES)]


class Activity(BaseModel):
    """What a process says of its last hours: whom it called, since when that counts, and what it has spent today."""

    model_config = ConfigDict(extra="ignore")

    since: float
    complete: bool
    calls: Annotated[list[TheirCalls], Field(max_length=EDGES)] = []
    budget: Spent | None = None

    def edges(self) -> list[Edge]:
        return [Edge(c.to, c.kind, c.calls, min(c.failed, c.calls), list(c.ms)) for c in self.calls]


def heard(document: Any) -> Activity | None:
    """What a process told of itself; None where it is no such thing."""
    try:
        return Activity.model_validate(document)
    except (ValidationError, RecursionError):
        return None


async def activity(database: Database, agent: str, hours: float, *, runs: bool = False) -> Activity:
    """What `agent` did in the last `hours`, from its own rows. With `runs` it is who the runs are of, and what they spend is its own."""
    seconds = hours * 3600.0

    async def op(tx: Transaction) -> tuple[float, float | None, list[Row], Spent]:
        # The inner limit is what bounds it: without it a rare agent is looked for through all of the time.
        rows = await tx.execute(
            "SELECT kind, outcome, body FROM (SELECT kind, outcome, body, agent, heard FROM decisions"
            " WHERE at > EPOCH() - ? ORDER BY at DESC LIMIT ?) AS newest"
            f" WHERE kind IN ('{AGENT_CALL}', '{TOOL_CALL}', '{EFFECT}') AND agent = ? AND heard = 0",
            *(seconds, LOOKED, agent),
        )
        last = await tx.execute(
            "SELECT at FROM decisions WHERE at > EPOCH() - ? ORDER BY at DESC LIMIT 1 OFFSET ?",
            *(seconds, LOOKED),
        )
        now = (await tx.execute("SELECT EPOCH() AS now"))[0]["now"]
        return (
            float(now),
            float(last[0]["at"]) if last else None,
            rows,
            await spent_today(tx, agent, runs=runs),
        )

    now, cut, rows, spent = await database.read(op)
    edges = await asyncio.to_thread(edges_of, rows)
    calls = [
        TheirCalls(to=e.target, kind=e.kind, calls=e.calls, failed=e.failed, ms=e.thinned())
        for e in sorted(edges, key=lambda edge: -edge.calls)[:EDGES]
    ]
    since = now - seconds if cut is None else cut
    return Activity(since=since, complete=cut is None, calls=calls, budget=spent)


def edges_of(rows: Sequence[Row | Mapping[str, Any]]) -> list[Edge]:
    """The calls in rows of {kind, outcome, body}, one edge for each who was called."""
    edges: dict[tuple[str, str], Edge] = {}
    for row in rows:
        body = from_json(row["body"])
        call = body.get("call") or {}
        kind: Side = "agent" if row["kind"] == AGENT_CALL else "tool"
        target = clipped((body.get("selected") if kind == "agent" else call.get("server")) or "")
        if not target or row["outcome"] in NO_CALL:
            continue
        edge = edges.get((kind, target))
        if edge is None:
            edge = edges[kind, target] = Edge(target, kind)
        edge.calls += 1
        if row["outcome"] in WELL:
            edge.times.append(int(body.get("ms", 0)))
        else:
            edge.failed += 1
    return list(edges.values())
