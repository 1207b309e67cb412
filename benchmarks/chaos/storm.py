"""The storm itself: kills at random moments, an eye on what every replica says meanwhile, and the reckoning afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from random import Random

import httpx

from benchmarks.chaos.fleet import Fleet, Member
from benchmarks.chaos.history import TERMINAL, WAITING, EffectRow, History
from benchmarks.chaos.load import get
from meshwright.database import Database, Row, Transaction

#: How often each kind of process is hit, relative to the others.
WEIGHTS = {"orchestrator": 6, "triage": 2, "orders": 3, "accounts": 2, "aggregator": 2}
#: One kill in so many hits every replica of the orchestrator at once.
ALL_AT_ONCE = 12
#: Seconds after the storm in which everything must have come to rest, beyond the mesh's own deadline.
SETTLE = 60.0


class Storm:
    """Kills members of a fleet and watches."""

    def __init__(
        self, fleet: Fleet, client: httpx.AsyncClient, database: Database, history: History, dice: Random
    ) -> None:
        self._fleet, self._client, self._database = fleet, client, database
        self._history, self._dice = history, dice
        self._orphans: dict[tuple[str, int], float] = {}
        #: Orphans that nobody could take for a while, because every replica was dead or still starting.
        self._alone: set[tuple[str, int]] = set()
        self.entrances = fleet.named("orchestrator")

    async def rage(self, kills: int, pause: float) -> None:
        """Kill `kills` times, each when an entrance is open again and `pause` seconds (more or less) have passed."""
        done = 0
        while done < kills:
            await asyncio.sleep(pause * (0.5 + self._dice.random()))
            while not any([await self._fleet.look(self._client, member) for member in self.entrances]):
                await asyncio.sleep(0.1)
            victims = self.entrances if self._dice.randrange(ALL_AT_ONCE) == 0 else [self._victim()]
            for victim in victims[: kills - done]:
                await self._kill(victim)
                done += 1
            if done % 10 < len(victims):
                seen = f"{len(self._history.accepted)} accepted, {len(self._history.ended)} seen ended"
                print(f"{done} of {kills} kills, {seen}", file=sys.stderr, flush=True)

    def _victim(self) -> Member:
        weights = [WEIGHTS.get(m.process.name, 1) for m in self._fleet.members]
        return self._dice.choices(self._fleet.members, weights)[0]

    async def _kill(self, member: Member) -> None:
        holder = member.holder
        self._fleet.kill(member)
        at = time.monotonic()
        if member in self.entrances and holder:
            for row in await self._running():
                if row["holder"] == holder:
                    self._orphans[row["id"], row["token"]] = at
        if not any(entrance.holder for entrance in self.entrances):
            self._alone |= set(self._orphans)

    async def _running(self) -> list[Row]:
        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute(
                "SELECT id, holder, token FROM tasks WHERE agent = 'orchestrator' AND work = 'running'"
            )

        return await self._database.read(op)

    async def watch(self) -> None:
        """Until cancelled: ask any replica about any task, learn holders, and time how long orphans stay alone."""
        last = 0.0
        while True:
            await asyncio.sleep(0.05)
            if self._orphans:
                still = {(row["id"], row["token"]) for row in await self._running()}
                for orphan in [o for o in self._orphans if o not in still]:
                    seconds = time.monotonic() - self._orphans.pop(orphan)
                    kind = self._history.restarts if orphan in self._alone else self._history.takeovers
                    kind.append(seconds)
            if time.monotonic() - last < 0.3 or not self._history.accepted:
                continue
            last = time.monotonic()
            for member in self.entrances:
                await self._fleet.look(self._client, member)
            task = self._dice.choice(list(self._history.accepted)[-200:])
            await self._see(task, self._dice.choice(self.entrances))

    async def _see(self, task: str, member: Member) -> str | None:
        answer = await get(self._client, member.url, task)
        if answer is None:
            return "no answer"
        state, content = answer
        if state is not None:
            self._history.saw(task, state, content, member.name)
        return state

    async def settle(self, deadline: float) -> None:
        """Everything runs again: wait for all tasks to come to rest, then ask each replica about each of them."""
        await self._fleet.ready(self._client, *self._fleet.members)
        until = time.monotonic() + deadline + SETTLE
        final = self._history.final
        while True:
            open_ = [t for t in self._history.accepted if final.get(t) not in TERMINAL | WAITING]
            for task in open_:
                final[task] = await self._see(task, self.entrances[0])
            left = [t for t in open_ if final[t] not in TERMINAL | WAITING and final[t] is not None]
            if not left or time.monotonic() > until:
                break
            await asyncio.sleep(0.5)
        for task in self._history.accepted:
            for member in self.entrances:
                if await self._see(task, member) is None:
                    final[task] = None
        with closing(sqlite3.connect(self._fleet.shop)) as db:
            rows = db.execute("SELECT key, tool, arguments, ticket FROM effects ORDER BY seq").fetchall()
        self._history.effects = [EffectRow(*row) for row in rows]
