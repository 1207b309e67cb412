"""A run whose process dies at any write is explained as one that nobody killed: no decision is lost, and none is there twice."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import Any

from a2a.types import Message, Part

from meshwright.database import Database, open_database
from meshwright.deadline import Deadline
from meshwright.errors import StoreUnavailable
from meshwright.ledger import Account
from meshwright.outbound.directory import Directory
from meshwright.outbound.toolbox import Toolbox
from meshwright.policy.rules import Policy
from meshwright.records.minutes import Minutes
from meshwright.records.runs import RunStore
from meshwright.reviews.store import ReviewStore
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.outbox import Outbox
from orchestrator.checkpoints import Checkpoints
from orchestrator.driver import run_id
from orchestrator.graph import build
from orchestrator.purse import Purse
from orchestrator.resume import ready_to_go_on
from orchestrator.work import GRAPH_VERSION, Drive, new_work


class Mortal:
    """A database in which a process can write so often, and not once more."""

    def __init__(self, database: Database, dies: int) -> None:
        self._database, self._dies, self.writes = database, dies, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, op: Any) -> Any:
        self.writes += 1
        if self._dies and self.writes >= self._dies:
            raise StoreUnavailable("this process is dead")
        return await self._database.write(op)

    async def execute(self, sql: str, *values: Any) -> Any:
        return await self._database.execute(sql, *values)


class Tale:
    """One run, told by one process after the other."""

    def __init__(self, team: Any, database: Database) -> None:
        self.team, self.database = team, database
        me = team.ring.identity("orchestrator")
        self.directory = Directory(team.settings.peers, team.mesh.client(), me)
        self.toolbox = Toolbox(team.settings.tools, team.mesh.client(), me)

    async def begins(self, name: str, text: str) -> None:
        ask = Ask("\x1f", "", Message(message_id=name, parts=[Part(text=text)]), {}, 30)
        accepted = await self.database.write(lambda tx: accept(tx, Desk("orchestrator", "test", 3600), ask))
        assert accepted.claim is not None
        self.claim, self.text, self.run = accepted.claim, text, run_id(accepted.task_id)
        await RunStore(self.database).start(
            self.run, task_id=accepted.task_id, caller="", request=text, graph_version=GRAPH_VERSION
        )

    async def life(self, dies: int = 0) -> int:
        """One process drives the run on, to its end or its own; how often it wrote."""
        mortal: Any = Mortal(self.database, dies)
        minutes = Minutes("orchestrator", self.claim.task_id, 1, run=self.run)

        async def say(line: str) -> None:
            return None

        drive = Drive(
            *(
                Deadline.after(20),
                Purse(mortal, Account("run", self.run, 50_000)),
                self.directory,
                self.toolbox,
            ),
            *(
                Policy.load(self.team.settings.policy),
                RunStore(mortal),
                ReviewStore(mortal, "orchestrator"),
                say,
            ),
            Outbox(mortal, "orchestrator", self.claim, minutes),
            *(await Outbox(self.database, "orchestrator", self.claim).letters(), self.claim, self.run),
            minutes=minutes,
        )
        config: Any = {"configurable": {"thread_id": self.run, "claim": self.claim, "minutes": minutes}}
        graph = build(Checkpoints(mortal))
        begin: Any = None if await ready_to_go_on(graph, config) else new_work(self.run, self.text)
        await graph.ainvoke(begin, config, context=drive, durability="sync")
        return int(mortal.writes)

    async def told(self) -> Counter[tuple[str, ...]]:
        """What was decided, as one can compare it between runs."""
        rows = await self.database.execute("SELECT body FROM decisions WHERE run = ?", self.run)
        found = [json.loads(row["body"]) for row in rows]
        ids = {row["id"] for row in found}
        for row in found:
            if (
                row.get("parent") and row["kind"] != "gate"
            ):  # what ends a run follows from its last decision, which is not here
                assert row["parent"] in ids, row
        return Counter(
            (row["kind"], row["outcome"], row.get("selected", ""), row.get("subtask", "")) for row in found
        )


async def test_who_takes_over_at_any_write_tells_the_same_decisions(start_team: Any) -> None:
    async with start_team() as team:
        database = await open_database(f"sqlite:///{team.settings.home}/tale.db")
        tale = Tale(team, database)
        await tale.directory.refresh()
        await tale.begins("whole", "paint t1 red")
        writes = await tale.life()
        whole = await tale.told()
        assert {kind for kind, *_ in whole} == {"plan", "route", "agent_call", "gate", "effect"}
        for dies in range(1, writes + 1):
            await tale.begins(f"dies at {dies}", "paint t1 red")
            with suppress(StoreUnavailable):
                await tale.life(dies)
            await tale.life()
            assert await tale.told() == whole, f"died at write {dies} of {writes}"
        await database.close()
