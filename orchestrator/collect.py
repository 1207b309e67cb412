"""What the agents of a run decided, asked of them: each keeps its own decisions, and names those that it made for an answer.

Nobody's word is taken for another's decision: what an agent tells is its own, of this run, was named in its answer or made in the task
that we gave it, and is what its digest says. What cannot be had is named, with the agent and the reason.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import ValidationError

from meshwright.errors import InvalidRequest
from meshwright.inbound.admission import strict_json
from meshwright.records import decisions
from meshwright.records.decision import Decision, digest

if TYPE_CHECKING:
    from meshwright.database import Database
    from meshwright.inbound.identity import Identity
    from meshwright.outbound.directory import Directory, Entry

#: Seconds for asking all, and how far below the agents that we asked others are asked.
SECONDS, DEEP = 1.5, 4
#: Bytes and decisions that one agent may tell.
BYTES, MOST = 6_291_456, decisions.MOST
_ID = re.compile(r"d[0-9a-f]{24}")

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Collected:
    """The decisions of a run as JSON, the oldest first; and what could not be had: [{agent, ids, why}]."""

    decisions: list[Told]
    missing: list[Told]


@dataclass(slots=True)
class Wanted:
    """Of one agent: the decisions that it named, and the tasks that it had of us and of which nothing is known."""

    ids: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)


class Lied(Exception):
    """Why what an agent told is not believed."""


class Collector:
    """Asks the agents of a directory, and keeps what they told of a run that has ended."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        http: httpx.AsyncClient,
        identity: Identity,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._directory, self._http, self._identity = database, directory, http, identity
        self.clock = clock

    async def of(self, run: Mapping[str, Any]) -> Collected:
        """All that was decided for a run: what is here, and what the agents tell of the rest."""
        rows = await decisions.found(self._database, run=run["id"])
        known: dict[str, Told] = {row["id"]: json.loads(row["body"]) for row in rows}
        heard: dict[str, Decision] = {}
        missing: list[Told] = []
        asked: set[str] = set()
        until = time.monotonic() + SECONDS
        for _ in range(DEEP):
            wanted = {name: one for name, one in _wanted(known.values()).items() if name not in asked}
            if not wanted:
                break
            asked |= wanted.keys()
            answers = await asyncio.gather(
                *(self._ask(name, one, run["id"], until - time.monotonic()) for name, one in wanted.items())
            )
            for name, (told, refused) in zip(wanted, answers, strict=True):
                for decision in told:
                    if decision.id in heard:  # two who claim the same: neither is believed
                        refused[decision.id] = f"{heard[decision.id].agent} says that it is its own"
                        known.pop(decision.id, None)
                    elif decision.id not in known:
                        heard[decision.id] = decision
                        known[decision.id] = json.loads(decision.row())
                missing += _named(name, refused)
        lost = {one for each in missing for one in each["ids"]}
        kept = [decision for name, decision in heard.items() if name in known and name not in lost]
        if kept and run["ended"] is not None:
            await self._database.write(lambda tx: decisions.write(tx, kept, heard=True))
        return Collected(sorted(known.values(), key=lambda told: told["at"]), missing)

    async def _ask(
        self, name: str, wanted: Wanted, run: str, seconds: float
    ) -> tuple[list[Decision], dict[str, str]]:
        """What one agent tells that is believed, and of each decision that is not there why."""
        entry = self._entry(name)
        try:
            if entry is None or not entry.audience:
                raise Lied("it is not an agent of this mesh that is known here")
            rows = await self._told(entry, run, seconds)
        except Lied as why:
            return [], dict.fromkeys(wanted.ids, str(why))
        found: dict[str, Decision] = {}
        refused = dict.fromkeys(wanted.ids, "it has no such decision (any more)")
        for row in rows:
            claimed = str(row.get("id", "")) if isinstance(row, dict) else ""
            try:
                decision = _believed(row, entry.audience, run, wanted)
            except Lied as why:
                if _ID.fullmatch(claimed):
                    refused[claimed] = str(why)
                continue
            if decision is not None:
                found.setdefault(decision.id, decision)
                refused.pop(decision.id, None)
        return list(found.values()), refused

    async def _told(self, entry: Entry, run: str, seconds: float) -> list[Any]:
        """The rows in an agent's answer. Raises Lied, also for none."""
        headers = self._identity.authorization(entry.audience)
        body = bytearray()
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                query = httpx.QueryParams({"run": run})
                async with self._http.stream(
                    "GET", f"{entry.url}/decisions?{query}", headers=headers
                ) as response:
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > BYTES:
                            raise Lied("it tells more than is read")
        except TimeoutError:
            raise Lied(f"it did not answer within {SECONDS} s") from None
        except httpx.HTTPError as error:
            raise Lied(f"it cannot be reached ({type(error).__name__})") from None
        if response.status_code in (401, 403):
            raise Lied(
                f"it does not show them to us: name {self._identity.name or 'us'} under `readers` in its trust file"
            )
        if response.status_code != 200:
            raise Lied(f"it answered {response.status_code}")
        try:
            rows = strict_json(bytes(body))["decisions"]
        except (InvalidRequest, KeyError, TypeError):
            raise Lied("its answer cannot be read") from None
        if not isinstance(rows, list):
            raise Lied("its answer cannot be read")
        if len(rows) > MOST:
            raise Lied(f"it tells of {len(rows)} decisions in one run; at most {MOST} are read")
        return rows

    def _entry(self, name: str) -> Entry | None:
        """Who is meant: by the name that its tokens are made for, its address, or what its card says."""
        entries = self._directory.entries
        return next(
            (e for of in ("audience", "url", "name") for e in entries if name and getattr(e, of) == name),
            None,
        )


def _wanted(known: Iterable[Told]) -> dict[str, Wanted]:
    """What is to be asked, by the agent: what it named and is not here; and where its answer was lost, what it did in that task."""
    rows = list(known)
    ids, tasks = {row["id"] for row in rows}, {row.get("task") for row in rows}
    found: dict[str, Wanted] = {}
    for row in rows:
        if row["kind"] != "agent_call":
            continue
        named, task = set(row.get("below", ())) - ids, row.get("remote", "")
        lost = bool(task) and not row.get("below") and task not in tasks
        if named or lost:
            wanted = found.setdefault(row.get("selected", ""), Wanted())
            wanted.ids |= named
            wanted.tasks |= {task} - {""}
    return found


def _believed(row: Any, agent: str, run: str, wanted: Wanted) -> Decision | None:
    """A decision as its agent told it; None for one that nobody asked about. Raises Lied."""
    if not isinstance(row, dict):
        raise Lied("it is no decision")
    said = row.get("digest")
    try:
        decision = Decision.model_validate({name: value for name, value in row.items() if name != "digest"})
        text = decision.row()
        json.dumps(row, allow_nan=False)
    except (ValidationError, ValueError, RecursionError):
        raise Lied("it cannot be read by this build") from None
    if decision.agent != agent:
        raise Lied(f"it says that {decision.agent[:40]} decided it")
    if decision.run != run:
        raise Lied("it belongs to another run")
    if said not in (digest(text), digest(text.replace("\ufffd", "\\ufffd"))):  # as a database keeps a NUL
        raise Lied("it is not what its digest says")
    return decision if decision.id in wanted.ids or decision.task in wanted.tasks else None


def _named(agent: str, refused: Mapping[str, str]) -> list[Told]:
    """What is missing of an agent, by the reason."""
    by: dict[str, list[str]] = {}
    for one, why in refused.items():
        by.setdefault(why, []).append(one)
    return [{"agent": agent, "ids": sorted(ids)[:MOST], "why": why} for why, ids in by.items()]
