"""Drives runs through the graph, from wherever they stand: new ones, those that waited for a person, those whose driver died."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshwright.errors import DeadlineExceeded, InvalidRequest, NotFound
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.ledger import Account
from meshwright.tasks.outbox import Outbox
from meshwright.wallet import daily
from orchestrator.aggregate import MERGE
from orchestrator.graph import RECURSION_LIMIT
from orchestrator.plan import SPLIT
from orchestrator.purse import Purse
from orchestrator.resume import ready_to_go_on
from orchestrator.work import GRAPH_VERSION, Drive, new_work, report

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from meshwright.database import Database
    from meshwright.outbound.directory import Directory
    from meshwright.outbound.toolbox import Toolbox
    from meshwright.policy.rules import Policy
    from meshwright.records.runs import RunStore
    from meshwright.settings import Settings

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
                return Outcome(data=run["report"], name="report", waits=_waits(undecided))
        else:
            await self.directory.wait_for([SPLIT, MERGE], incoming.by.share(PATIENCE))
        return await self._drive(run, incoming)

    async def _run_of(self, incoming: Incoming) -> dict[str, Any]:
        """The run of the task; made with its first message, found again ever after."""
        if not incoming.follow_up:
            if not incoming.text:
                raise InvalidRequest("the ticket is empty: say in a text part what you need")
            if len(incoming.text) > MAX_REQUEST:
                raise InvalidRequest(
                    f"the ticket has {len(incoming.text)} characters; at most {MAX_REQUEST} are read"
                )
            await self.store.start(
                run_id(incoming.task_id),
                task_id=incoming.task_id,
                caller=incoming.caller,
                request=incoming.text,
                graph_version=GRAPH_VERSION,
            )
        run = await self.store.by_task(incoming.task_id)
        if run is None:
            raise NotFound("this task belongs to no run; send a new message without taskId")
        return run

    async def _drive(self, run: dict[str, Any], incoming: Incoming) -> Outcome:
        assert incoming.claim is not None
        key, claim = run["id"], incoming.claim
        outbox = Outbox(self.database, self.name, claim)
        account = Account("run", key, incoming.budget.limit, incoming.budget.micros)
        purse = Purse(self.database, account, daily(self.settings, self.name, incoming.caller), self.name)
        drive = Drive(
            incoming.by,
            purse,
            self.directory,
            self.toolbox,
            self.policy,
            self.store,
            incoming.say,
            outbox,
            await outbox.letters(),
            claim,
            key,
        )
        config: Any = {
            "configurable": {"thread_id": key, "claim": claim},
            "recursion_limit": RECURSION_LIMIT,
        }
        fresh = new_work(key, run["request"])
        begin = None if await ready_to_go_on(self.graph, config) else fresh
        finished = False
        try:
            state: Any = await self.graph.ainvoke(begin, config, context=drive, durability="sync")
            finished = True
        finally:
            if not finished and incoming.by.expired:
                # The time is up: the run must not look as if it went on. In every other case it does, here or elsewhere.
                now = await self.graph.aget_state(config)
                await self.store.save(key, "failed", report({**fresh, **now.values}), claim)
        waiting = "__interrupt__" in state
        if not waiting and not state.get("outcome"):
            await self.store.save(key, "failed", report(state), claim)
            raise RuntimeError(f"run {key} ended without an outcome")
        spent = await purse.spent()
        usage = {"tokens": spent.tokens, "micros": spent.micros}
        summary = {**report(state, waiting=waiting), "usage": usage}
        await self.store.save(key, summary["outcome"], summary, claim)
        if waiting:
            return Outcome(data=summary, name="report", waits=_waits(await self.store.undecided(key)))
        return _ended({"state": summary["outcome"], "report": summary})


def run_id(task_id: str) -> str:
    """The run of a task: derived, so that whoever takes the task up finds it."""
    return hashlib.sha256(task_id.encode()).hexdigest()[:12]


def _ended(run: dict[str, Any]) -> Outcome:
    """What an ended run came to, as often as somebody asks. Raises DeadlineExceeded for one whose time ran out."""
    if run["state"] == "failed":
        raise DeadlineExceeded("the run ended without an answer: its time was up before it was done")
    summary = run["report"]
    notes = {key: summary[key] for key in ("outcome", "usage", "degraded") if summary.get(key)}
    return Outcome(text=summary["reply"], data=summary, name="report", metadata=notes)


def _waits(reviews: int) -> str:
    what = "one proposal waits" if reviews == 1 else f"{reviews} proposals wait"
    return f"{what} for a person to decide; the answer follows on this task"
