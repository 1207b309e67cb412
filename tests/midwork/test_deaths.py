"""The orchestrator dies at every statement that it writes, before and after it counts: nothing is asked, applied or answered twice.

A death is a database that fails from the n-th write on, and for good: whatever that process still does, nothing of it is written. The
next one has only what stands in the rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from a2a.types import Message, Part

from meshwright.agent import Job
from meshwright.database import Database, open_database
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, StoreUnavailable
from meshwright.findings import Finding, Subtask
from meshwright.ledger import Account
from meshwright.outbound.directory import Directory
from meshwright.outbound.toolbox import Toolbox
from meshwright.policy.rules import Policy
from meshwright.records.runs import RunStore
from meshwright.reviews.store import ReviewStore
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.outbox import Outbox
from orchestrator.checkpoints import Checkpoints
from orchestrator.driver import run_id
from orchestrator.graph import RECURSION_LIMIT, build
from orchestrator.purse import Purse
from orchestrator.questions import put
from orchestrator.resume import ready_to_go_on
from orchestrator.work import GRAPH_VERSION, Drive, Said, new_work


class Mortal:
    """A database that fails for good at the write number `dies`, before it counts or after."""

    def __init__(self, database: Database, dies: int, *, after: bool) -> None:
        self._database, self._dies, self._after = database, dies, after
        self.writes = 0

    async def write(self, op: Any) -> Any:
        return await self._counted(lambda: self._database.write(op))

    async def execute(self, sql: str, *values: Any) -> Any:
        return await self._counted(lambda: self._database.execute(sql, *values))

    async def read(self, op: Any) -> Any:
        self._living(self.writes)
        return await self._database.read(op)

    async def _counted(self, write: Callable[[], Awaitable[Any]]) -> Any:
        self.writes += 1
        self._living(self.writes - self._after)
        result = await write()
        self._living(self.writes)
        return result

    def _living(self, writes: int) -> None:
        if self._dies and writes >= self._dies:
            raise StoreUnavailable("this process is dead")


class Story:
    """One run of the team, driven by processes that die."""

    def __init__(
        self, team: Any, database: Database, claim: Any, text: str, directory: Directory, toolbox: Toolbox
    ) -> None:
        self._team, self._database, self._claim = team, database, claim
        self._directory, self._toolbox = directory, toolbox
        self._key, self._text = run_id(claim.task_id), text

    async def life(self, dies: int = 0, *, after: bool = False, words: str = "") -> dict[str, Any]:
        """One process drives the run on, until it waits, ends, or the process dies."""
        mortal: Any = Mortal(self._database, dies, after=after)
        outbox = Outbox(mortal, "orchestrator", self._claim)
        letters = await Outbox(self._database, "orchestrator", self._claim).letters()

        async def say(line: str) -> None:
            return None

        drive = Drive(
            *(Deadline.after(20), Purse(mortal, Account("run", self._key, 50_000))),
            *(self._directory, self._toolbox),
            *(
                Policy.load(self._team.settings.policy),
                RunStore(mortal),
                ReviewStore(mortal, "orchestrator"),
                say,
                outbox,
            ),
            *(letters, self._claim, self._key),
        )
        config: Any = {
            "configurable": {"thread_id": self._key, "claim": self._claim},
            "recursion_limit": RECURSION_LIMIT,
        }
        graph = build(Checkpoints(mortal))
        begin: Any = None if await ready_to_go_on(graph, config) else new_work(self._key, self._text)
        if words:
            asked = put((await graph.aget_state(config)).values)
            drive = replace(drive, said=Said(asked.id, words) if asked else None)
        state: dict[str, Any] = await graph.ainvoke(begin, config, context=drive, durability="sync")
        return {**state, "writes": mortal.writes}


@asynccontextmanager
async def story(team: Any, folder: Path, name: str, directory: Directory, toolbox: Toolbox) -> Any:
    database = await open_database(f"sqlite:///{folder}/{name}.db")
    text = "orders paint it"
    ask = Ask("\x1f", "", Message(message_id=name, parts=[Part(text=text)]), {}, 30)
    accepted = await database.write(lambda tx: accept(tx, Desk("orchestrator", "test", 3600), ask))
    assert accepted.claim is not None
    key = run_id(accepted.task_id)
    await RunStore(database).start(
        key, task_id=accepted.task_id, caller="", request=text, graph_version=GRAPH_VERSION
    )
    try:
        yield Story(team, database, accepted.claim, text, directory, toolbox)
    finally:
        await database.close()


def asking_both(propose: Any, turns: list[str]) -> Any:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        settled = await job.propose(propose("t1", "red"))
        turns.append(settled.state)
        return Finding(reply=f"{settled.state}, {await job.ask('Which frame?')}.")

    return playbook


@pytest.mark.parametrize("after", [False, True], ids=["before-it-counts", "after"])
async def test_at_every_statement_one_effect_one_question_one_answer(
    start_team: Any, propose: Any, tmp_path: Path, after: bool
) -> None:
    turns: list[str] = []
    async with start_team(orders=asking_both(propose, turns)) as team:
        me = team.ring.identity("orchestrator")
        directory = Directory(team.settings.peers, team.mesh.client(), me)
        await directory.refresh()
        toolbox = Toolbox(team.settings.tools, team.mesh.client(), me)

        async def lived(name: str, dies: int, words: str, on: Story) -> dict[str, Any]:
            with suppress(MeshError):
                return await on.life(dies, after=after, words=words)
            return await on.life(words=words)

        dies, writes = 0, [0, 0]
        while dies == 0 or dies <= max(writes):
            before = len(team.workshop.actions("paint")), await tasks_of(team)
            async with story(team, tmp_path, f"{after}-{dies}", directory, toolbox) as on:
                asked = await lived("ask", dies, "", on)
                assert asked.get("__interrupt__"), (dies, asked["gaps"], asked["steps"])
                ended = await lived("answer", dies, "wooden", on)
            if dies == 0:
                writes = [asked["writes"], ended["writes"]]
            assert ended["reply"].startswith("applied, wooden."), (dies, ended["gaps"])
            assert len(team.workshop.actions("paint")) == before[0] + 1, dies
            assert await tasks_of(team) == before[1] + 1, dies
            dies += 1
        assert dies > 15
    assert set(turns) == {"applied"}
    # one turn to propose (which does not get so far), one for what was settled, one for the answer: none of them twice
    assert len(turns) == 2 * dies


async def tasks_of(team: Any) -> int:
    params = {"pageSize": 1}
    return int((await team.rpc("orders", "ListTasks", params, who="orchestrator"))["totalSize"])
