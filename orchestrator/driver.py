"""Drives runs through the graph, from wherever they stand: new ones, those that waited for a person, those whose driver died."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.runtime import Runtime

from meshwright.errors import DeadlineExceeded, InvalidRequest, NotFound, Overloaded
from meshwright.findings import Gap
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.ledger import Account
from meshwright.records.tracing import in_run
from meshwright.tasks.outbox import Outbox
from meshwright.tasks.turn import Postponed
from meshwright.wallet import daily
from orchestrator.aggregate import MERGE
from orchestrator.finish import cut_short, finish, last_word
from orchestrator.graph import RECURSION_LIMIT
from orchestrator.plan import SPLIT
from orchestrator.purse import Purse
from orchestrator.resume import ready_to_go_on
from orchestrator.work import GRAPH_VERSION, Drive, code_of, new_work, report

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from meshwright.database import Database
    from meshwright.outbound.directory import Directory
    from meshwright.outbound.toolbox import Toolbox
    from meshwright.policy.rules import Policy
    from meshwright.records.runs import RunStore
    from meshwright.settings import Settings
    from meshwright.tasks.outbox import Letter

#: Characters of a request. What is longer is not a ticket.
MAX_REQUEST = 20_000
#: The share of the deadline that a request may wait for the mesh to be complete.
PATIENCE = 0.3


@dataclass(frozen=True, slots=True)
class Driver:
    """Everything a run needs. `work` is what the A2A server calls, for each message of a task and after each crash."""

    graph: CompiledStateGraph[Any, Drive, Any, Any]
    directory: Directory
    toolbox: Toolbox
    policy: Policy
    store: RunStore
    database: Database
    name: str
    settings: Settings

    async def work(self, incoming: Incoming) -> Outcome:
        """One message: a new request, or word that a waiting one may go on. Where the run stands decides what happens."""
        run = await self._run_of(incoming)
        if run["state"] not in ("working", "waiting"):
            return _ended(run)
        if run["state"] == "waiting":
            undecided = await self.store.undecided(run["id"])
            if undecided:
                known = run["report"]
                return Outcome(
                    data=known, name="report", waits=_waits(undecided), metadata=_notes(known or {})
                )
        else:
            await self.directory.wait_for([SPLIT, MERGE], incoming.by.share(PATIENCE))
        with in_run(run["id"]):
            return await self._drive(run, incoming)

    async def unheard(self, incoming: Incoming, why: Overloaded) -> Outcome:
        """The answer to a request that cannot be worked on in time: that nothing was done, for a person to take over.

        Raises Postponed for one that had begun: it goes on when there is room.
        """
        if incoming.follow_up or incoming.resumed:
            raise Postponed(str(why), why.retry_after)
        request, key = _request(incoming), run_id(incoming.task_id)
        gap = Gap(what="the whole request", why=f"too much is asked at the moment: {why}")
        state = new_work(key, request)
        state["gaps"] = [gap.model_dump(mode="json")]
        drive = self._drive_of(key, incoming, {})
        lacks = {"degraded": [code_of(why)]}
        summary = report({**state, **lacks, **await finish(state, Runtime(context=drive))})
        await self.store.ended_at_once(
            key,
            task_id=incoming.task_id,
            caller=incoming.caller,
            request=request,
            graph_version=GRAPH_VERSION,
            report=summary,
            claim=drive.claim,
        )
        return _ended({"state": summary["outcome"], "report": summary})

    async def _run_of(self, incoming: Incoming) -> dict[str, Any]:
        """The run of the task; made with its first message, found again ever after."""
        if not incoming.follow_up:
            await self.store.start(
                run_id(incoming.task_id),
                task_id=incoming.task_id,
                caller=incoming.caller,
                request=_request(incoming),
                graph_version=GRAPH_VERSION,
            )
        run = await self.store.by_task(incoming.task_id)
        if run is None:
            raise NotFound("this task belongs to no run; send a new message without taskId")
        return run

    async def _drive(self, run: dict[str, Any], incoming: Incoming) -> Outcome:
        assert incoming.claim is not None
        key, claim = run["id"], incoming.claim
        letters = await Outbox(self.database, self.name, claim).letters()
        drive = self._drive_of(key, incoming, letters)
        config: Any = {
            "configurable": {"thread_id": key, "claim": claim},
            "recursion_limit": RECURSION_LIMIT,
        }
        fresh = new_work(key, run["request"])
        finished = False
        try:
            begin = None if await ready_to_go_on(self.graph, config) else fresh
            try:
                async with asyncio.timeout(incoming.by.remaining - last_word(incoming.by)) as enough:
                    state: Any = await self.graph.ainvoke(begin, config, context=drive, durability="sync")
            except TimeoutError:
                if not enough.expired():
                    raise
                now = await self.graph.aget_state(config)
                state = await cut_short(dict(fresh) | now.values, drive)
            finished = True
        finally:
            if not finished and incoming.by.expired:
                # The time is up: the run must not look as if it went on. In every other case it does, here or elsewhere.
                now = await self.graph.aget_state(config)
                await self.store.save(key, "failed", report({**fresh, **now.values}), claim)
        if "__interrupt__" in state:
            summary = {**report(state, waiting=True), "usage": await _usage(drive)}
            await self.store.save(key, summary["outcome"], summary, claim)
            waits = _waits(await self.store.undecided(key))
            return Outcome(data=summary, name="report", waits=waits, metadata=_notes(summary))
        if not state.get("outcome"):
            await self.store.save(key, "failed", report(state), claim)
            raise RuntimeError(f"run {key} ended without an outcome")
        return await self._end(drive, state)

    async def _end(self, drive: Drive, state: Mapping[str, Any]) -> Outcome:
        summary = {**report(state), "usage": await _usage(drive)}
        await self.store.save(drive.run, summary["outcome"], summary, drive.claim)
        return _ended({"state": summary["outcome"], "report": summary})

    def _drive_of(self, key: str, incoming: Incoming, letters: Mapping[str, Letter]) -> Drive:
        assert incoming.claim is not None
        account = Account("run", key, incoming.budget.limit, incoming.budget.micros)
        purse = Purse(self.database, account, daily(self.settings, self.name, incoming.caller), self.name)
        return Drive(
            incoming.by,
            purse,
            self.directory,
            self.toolbox,
            self.policy,
            self.store,
            incoming.say,
            Outbox(self.database, self.name, incoming.claim),
            letters,
            incoming.claim,
            key,
            incoming.origin.of(key),
        )


def run_id(task_id: str) -> str:
    """The run of a task: derived, so that whoever takes the task up finds it."""
    return hashlib.sha256(task_id.encode()).hexdigest()[:12]


def _request(incoming: Incoming) -> str:
    """The ticket's text. Raises InvalidRequest."""
    if not incoming.text:
        raise InvalidRequest("the ticket is empty: say in a text part what you need")
    if len(incoming.text) > MAX_REQUEST:
        raise InvalidRequest(
            f"the ticket has {len(incoming.text)} characters; at most {MAX_REQUEST} are read"
        )
    return incoming.text


async def _usage(drive: Drive) -> dict[str, int]:
    spent = await drive.purse.spent()
    return {"tokens": spent.tokens, "micros": spent.micros}


def _ended(run: dict[str, Any]) -> Outcome:
    """What an ended run came to, as often as somebody asks. Raises DeadlineExceeded for one whose time ran out."""
    if run["state"] == "failed":
        raise DeadlineExceeded("the run ended without an answer: its time was up before it was done")
    summary = run["report"]
    return Outcome(text=summary["reply"], data=summary, name="report", metadata=_notes(summary))


def _notes(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller's machine reads without the report. An empty `degraded` is a statement too."""
    return {key: summary[key] for key in ("outcome", "usage", "degraded") if key in summary}


def _waits(reviews: int) -> str:
    what = "one proposal waits" if reviews == 1 else f"{reviews} proposals wait"
    return f"{what} for a person to decide; the answer follows on this task"
