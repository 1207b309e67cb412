"""Drives runs through the graph: starts them, parks those that wait for a person, takes them up again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import InvalidRequest, NotFound
from meshwright.inbound.executor import Incoming, Outcome
from orchestrator.aggregate import MERGE
from orchestrator.graph import RECURSION_LIMIT
from orchestrator.plan import SPLIT
from orchestrator.work import GRAPH_VERSION, Drive, Work, new_work, report

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from meshwright.outbound.directory import Directory
    from meshwright.outbound.toolbox import Toolbox
    from meshwright.policy.rules import Policy
    from meshwright.records.runs import RunStore

#: Characters of a request. What is longer is not a ticket.
MAX_REQUEST = 20_000
#: The share of the deadline that a request may wait for the mesh to be complete.
PATIENCE = 0.3


@dataclass(frozen=True, slots=True)
class Driver:
    """Everything a run needs. `work` is what the A2A server calls."""

    graph: CompiledStateGraph[Any, Drive, Any, Any]
    directory: Directory
    toolbox: Toolbox
    policy: Policy
    store: RunStore
    deadline: float

    async def work(self, incoming: Incoming) -> Outcome:
        """One message: a new request, or word that a waiting one may go on."""
        if incoming.follow_up:
            run = await self.store.by_task(incoming.task_id)
            if run is None:
                raise NotFound("this task belongs to no run; send a new message without taskId")
            return await self._resume(run, incoming)
        if not incoming.text:
            raise InvalidRequest("the ticket is empty: say in a text part what you need")
        if len(incoming.text) > MAX_REQUEST:
            raise InvalidRequest(
                f"the ticket has {len(incoming.text)} characters; at most {MAX_REQUEST} are read"
            )
        run_id = uuid.uuid4().hex[:12]
        await self.store.start(
            run_id,
            task_id=incoming.task_id,
            caller=incoming.caller,
            request=incoming.text,
            graph_version=GRAPH_VERSION,
        )
        await self.directory.wait_for([SPLIT, MERGE], incoming.by.share(PATIENCE))
        return await self._drive(run_id, new_work(run_id, incoming.text), incoming)

    async def _resume(self, run: dict[str, Any], incoming: Incoming) -> Outcome:
        if run["state"] != "waiting":
            raise InvalidRequest(
                f"the run {run['id']} is {run['state']} and waits for nothing; send a new message"
            )
        undecided = await self.store.undecided(run["id"])
        if undecided:
            return Outcome(data=run["report"], name="report", waits=_waits(undecided))
        return await self._drive(run["id"], None, incoming)

    async def take_up(self, run: dict[str, Any]) -> None:
        """Go on with a decided run whose A2A task this process no longer knows."""

        async def say(line: str) -> None:
            return None

        by = Deadline.after(self.deadline)
        await self._resume(run, Incoming("", [], by, Budget(), say, task_id=run["task_id"], follow_up=True))

    async def _drive(self, run: str, begin: Work | None, incoming: Incoming) -> Outcome:
        drive = Drive(
            incoming.by,
            incoming.budget,
            self.directory,
            self.toolbox,
            self.policy,
            self.store,
            incoming.say,
            run,
        )
        config: Any = {"configurable": {"thread_id": run}, "recursion_limit": RECURSION_LIMIT}
        finished = False
        try:
            state: Any = await self.graph.ainvoke(begin, config, context=drive, durability="sync")
            finished = True
        finally:
            if not finished:
                # The caller's time is up, or something broke: the run must not look as if it were still going on.
                now = await self.graph.aget_state(config)
                await self.store.save(run, "failed", report({**(begin or new_work(run, "")), **now.values}))
        waiting = "__interrupt__" in state
        if not waiting and not state.get("outcome"):
            await self.store.save(run, "failed", report(state))
            raise RuntimeError(f"run {run} ended without an outcome")
        summary = report(state, waiting=waiting)
        await self.store.save(run, summary["outcome"], summary)
        if waiting:
            return Outcome(data=summary, name="report", waits=_waits(await self.store.undecided(run)))
        return Outcome(
            text=state["reply"], data=summary, name="report", metadata={"outcome": summary["outcome"]}
        )


def _waits(reviews: int) -> str:
    what = "one proposal waits" if reviews == 1 else f"{reviews} proposals wait"
    return f"{what} for a person to decide; the answer follows on this task"
