"""Eyes on the storm: any replica is asked about any task, orphans are timed until somebody has them, and all is asked in the end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from random import Random

from benchmarks.chaos.answers import MARK, Answers
from benchmarks.chaos.fleet import Fleet, Member
from benchmarks.chaos.history import TERMINAL, WAITING, Final, History, Takeover
from benchmarks.chaos.verdict import run_of
from benchmarks.chaos.wire import (
    TASK_NOT_FOUND,
    Json,
    NoAnswer,
    Refused,
    Wire,
    content_of,
    question_of,
    state_of,
)
from meshwright.database import Database, Row, Transaction

#: Of the tasks accepted last, as many are looked at more often than those before them.
RECENT = 60
#: Requests at a time in the last round.
AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Orphan:
    """A task whose holder was killed `at` some instant. `heirs` were ready then: (member, its life)."""

    task: str
    token: int
    at: float
    heirs: tuple[tuple[Member, int], ...]


class Recorder:
    """`database` is the orchestrator's, which is only read; None where there is none that all replicas share. What a task still asks
    its client when all is over gets one of the `answers`."""

    def __init__(
        self,
        fleet: Fleet,
        wire: Wire,
        database: Database | None,
        history: History,
        answers: Answers,
        dice: Random,
    ) -> None:
        self._answers = answers
        self._fleet, self._wire, self._database = fleet, wire, database
        self._history, self._dice = history, dice
        self._orphans: dict[str, Orphan] = {}
        self.entrances = fleet.named("orchestrator")

    async def blow(self, victims: Sequence[Member]) -> None:
        """Kill `victims`, and remember which tasks that leaves without a holder: between the two nobody else can have them."""
        holders = {m.holder for m in victims if m.holder and m in self.entrances}
        self._fleet.kill(*victims)
        at = time.monotonic()
        late = [member.name for member in self._fleet.members if not member.ready]
        self._history.note(f"killed {[member.name for member in victims]}; not ready: {late}")
        if not holders or self._database is None:
            return
        heirs = tuple((m, m.life) for m in self.entrances if m.ready)
        rows = await self._rows(
            "SELECT id, holder, token FROM tasks WHERE agent = 'orchestrator' AND work = 'running'"
        )
        for row in rows:
            if row["holder"] in holders:
                self._orphans[row["id"]] = Orphan(row["id"], row["token"], at, heirs)
                self._history.note(f"orphan {row['id']}, heirs {[member.name for member, _ in heirs]}")

    async def time_takeovers(self, every: float = 0.05) -> None:
        """Until cancelled: see who takes the orphans up. Those that a client cancels meanwhile do not count."""
        while True:
            await asyncio.sleep(every)
            if not self._orphans:
                continue
            marks = ", ".join("?" * len(self._orphans))
            rows = await self._rows(
                f"SELECT id, token, state FROM tasks WHERE id IN ({marks})", *self._orphans
            )
            for row in rows:
                orphan = self._orphans[row["id"]]
                if row["token"] == orphan.token:
                    continue
                del self._orphans[row["id"]]
                if row["state"] != "canceled":
                    survivor = any(m.ready and m.life == life for m, life in orphan.heirs)
                    self._history.takeovers.append(Takeover(time.monotonic() - orphan.at, survivor))
                    how = "by a survivor" if survivor else "after a blackout"
                    self._history.note(
                        f"taken over {orphan.task} after {time.monotonic() - orphan.at:.2f} s {how}"
                    )

    async def _rows(self, sql: str, *values: str) -> list[Row]:
        assert self._database is not None

        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute(sql, *values)

        return await self._database.read(op)

    async def watch(self, every: float = 0.15) -> None:
        """Until cancelled: ask any replica about any task; now and then for a whole page of them."""
        turn = 0
        while True:
            await asyncio.sleep(every)
            names, turn = list(self._history.accepted), turn + 1
            if not names:
                continue
            if turn % 15 == 0:
                await self._list(self._dice.choice(self.entrances))
            pool = names[-RECENT:] if self._dice.random() < 0.6 else names
            await self.see(self._dice.choice(pool), self._dice.choice(self.entrances))

    async def see(self, task: str, member: Member) -> Json:
        """The task at a replica; empty without an answer."""
        asked = time.monotonic()
        found = await self._get(task, member, historyLength=0)
        if found:
            self._history.saw(task, state_of(found), content_of(found), member.name, asked)
        return found

    async def _get(self, task: str, member: Member, **params: int) -> Json:
        who = self._history.accepted[task].who
        try:
            return await self._wire.call(member.url, "GetTask", {"id": task, **params}, who)
        except NoAnswer:
            return {}
        except Refused as refusal:
            if refusal.code == TASK_NOT_FOUND:
                self._history.missed(task, member.name)
            return {}

    async def _list(self, member: Member) -> None:
        who, asked = self._dice.choice(("operator", "")), time.monotonic()
        params = {"pageSize": 50, "historyLength": 0, "includeArtifacts": True}
        with contextlib.suppress(NoAnswer, Refused):
            page = await self._wire.call(member.url, "ListTasks", params, who)
            for task in page.get("tasks", []):
                if task["id"] in self._history.accepted:
                    self._history.saw(
                        task["id"], state_of(task), content_of(task), f"a list of {member.name}", asked
                    )

    async def settle(self, seconds: float) -> None:
        """Everything runs again: wait until all tasks rest, at most `seconds`, then ask every replica about each of them."""
        until = time.monotonic() + seconds
        open_ = set(self._history.accepted)
        while open_ and time.monotonic() < until:
            await self._reviews()
            open_ = {task for task in open_ if not self._is_at_rest(task, await self._asked(task))}
            open_ -= self._history.unknown.keys()  # nobody waits for what is lost
            left = await self._unfinished()
            self._history.unfinished = left
            if not open_ and not left:
                break
            await asyncio.sleep(0.5)
        await self._reviews()
        self._history.unfinished = await self._unfinished()
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._ask_all(task, gate) for task in self._history.accepted))

    async def _asked(self, task: str) -> str:
        known = self._history.ended.get(task)
        if known:
            return known[0]
        found = await self.see(task, self._dice.choice(self.entrances))
        if found and await self._answers.give(found, self._history.accepted[task].who):
            return ""
        return state_of(found)

    def _is_at_rest(self, task: str, state: str) -> bool:
        return state in TERMINAL or (state in WAITING and run_of(task) in self._history.reviewed)

    async def _reviews(self) -> None:
        with contextlib.suppress(NoAnswer, Refused):
            found = await self._wire.page(self._dice.choice(self.entrances).url, "/reviews?limit=1000")
            self._history.reviewed = {review["run"] for review in found["reviews"]}

    async def _ask_all(self, task: str, gate: asyncio.Semaphore) -> None:
        words = self._history.final[task] = []
        for member in self.entrances:
            async with gate:
                asked = time.monotonic()
                found = await self._get(task, member) or await self._get(task, member)
            if found:
                self._history.saw(task, state_of(found), content_of(found), member.name, asked)
                words.append(_final(found, member.name))

    async def _unfinished(self) -> list[str]:
        """What is still queued or in work, of any agent, in any database; of those that are files, of all files."""
        sql = "SELECT agent, id, work, state FROM tasks WHERE work IN ('queued', 'running')"
        rows: list[tuple[str, str, str, str]] = []
        if self._database is not None:
            rows = [(r["agent"], r["id"], r["work"], r["state"]) for r in await self._rows(sql)]
        for member in self._fleet.members:
            file = self._fleet.home.path / f"{member.process.name}.db"
            if member.process.name == "orchestrator" or not file.exists():
                continue
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as db:
                if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tasks'").fetchone():
                    rows += db.execute(sql).fetchall()
        return [
            f"{agent}: its task {task} is {work}, {state}" for agent, task, work, state in sorted(set(rows))
        ]


def _final(task: Json, replica: str) -> Final:
    status = task["status"]
    reason = " ".join(part.get("text", "") for part in status.get("message", {}).get("parts", []))
    messages = frozenset(message["messageId"] for message in task.get("history", []))
    digest = hashlib.sha256(content_of(task).encode()).hexdigest()
    reports = _reports(task)
    applied = [row for report in reports for row in report.get("applied", [])]
    last = reports[-1] if reports else {}
    return Final(
        *(replica, state_of(task), digest, reason, messages),
        receipts=frozenset(str(row["key"]) for row in applied if "key" in row),
        asks=question_of(task),
        outcome=str(last.get("outcome", "")),
        heard=tuple(MARK.findall(str(last.get("reply", "")))),
    )


def _reports(task: Json) -> list[Json]:
    parts = [part for artifact in task.get("artifacts", []) for part in artifact["parts"]]
    return [part["data"] for part in parts if isinstance(part.get("data"), dict)]
