"""An agent's function, as work for the executor: reads the subtask, lets the agent answer, fills in what it used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from meshwright.agent import Agent, Alone, Job
from meshwright.errors import InvalidRequest, MeshError
from meshwright.findings import Finding, Part, Subtask, Usage
from meshwright.parts import read_as
from meshwright.settings import Settings
from meshwright.wallet import Wallet, daily

if TYPE_CHECKING:
    from meshwright.inbound.executor import Incoming, Outcome
    from meshwright.ledger import Ledger
    from meshwright.outbound.colleagues import Colleagues
    from meshwright.outbound.directory import Directory
    from meshwright.outbound.model import Model
    from meshwright.outbound.toolbox import Toolbox


class Specialist:
    """One agent, its tools, the agents it may ask (none: it has no peers) and, where a model is configured, its model."""

    def __init__(
        self, agent: Agent, settings: Settings, toolbox: Toolbox, directory: Directory | None = None
    ) -> None:
        self._agent = agent
        self._settings = settings
        self._toolbox = toolbox
        self._directory = directory
        #: Set once the database is open.
        self.ledger: Ledger | None = None

    async def work(self, incoming: Incoming) -> Outcome:
        from meshwright.inbound.executor import Outcome

        began = time.monotonic()
        subtask = self._subtask(incoming)
        budget, origin = incoming.budget, incoming.origin
        tools = self._toolbox.session(by=incoming.by, ticket=incoming.run, priority=origin.priority)
        self._back(incoming)
        peers = self._colleagues(incoming)
        job = Job(
            *(incoming.by, tools, budget, incoming.text, incoming.caller, incoming.run, peers or Alone()),
            self._model(),
        )

        def used() -> Usage:
            ms = int((time.monotonic() - began) * 1000)
            asked = peers.used if peers else []
            return Usage(tokens=budget.spent, tools=[*tools.used, *asked], ms=ms)

        try:
            answer, instead = await self._answer(subtask, job)
        except MeshError as error:
            error.notes = {"usage": {**used().model_dump(), "micros": budget.paid}}
            raise
        finally:
            await budget.close()
        usage = used()
        if "usage" in type(answer).model_fields:
            answer = answer.model_copy(update={"usage": usage})
        if isinstance(answer, Finding):
            answer = answer.model_copy(update={"subtask": subtask.id, "agent": self._agent.name})
        reply = str(getattr(answer, "reply", "") or "")
        notes: dict[str, Any] = {"usage": {**usage.model_dump(), "micros": budget.paid}}
        if budget.exhausted or instead:
            notes["degraded"] = ["budget" if budget.exhausted else "model"]
        return Outcome(text=reply, data=answer, metadata=notes)

    def _model(self) -> Model | None:
        if not self._settings.model:
            return None
        from meshwright.outbound.model import Model

        return Model.from_settings(self._settings)

    def _back(self, incoming: Incoming) -> None:
        """Put the ledger behind the budget of a task that may ask a model, or somebody who may."""
        spends = self._settings.model or self._directory is not None
        if self.ledger is None or not spends or not incoming.task_id:
            return
        accounts = daily(self._settings, self._agent.name, incoming.caller)
        task = f"{self._agent.name}/{incoming.task_id}/{incoming.message_id}"
        incoming.budget.backing = Wallet(self.ledger, task, accounts, max(incoming.by.remaining, 0.0))

    def _colleagues(self, incoming: Incoming) -> Colleagues | None:
        if self._directory is None:
            return None
        from meshwright.outbound.colleagues import Colleagues

        return Colleagues(
            self._directory,
            incoming.by,
            incoming.budget,
            incoming.origin,
            incoming.message_id,
        )

    def _subtask(self, incoming: Incoming) -> Subtask:
        """The subtask that was sent; a client that only sends text gets one made of it."""
        for content in incoming.data:
            if isinstance(content, dict) and "subtask" in content:
                return read_as(Subtask, content["subtask"])
        if not incoming.text:
            raise InvalidRequest("send text, or a data part {'subtask': {...}}")
        return Subtask(id="ask", skill="any", instruction=incoming.text[:8000])

    async def _answer(self, subtask: Subtask, job: Job) -> tuple[Part, bool]:
        """By the model where there is one, else, and whenever it fails, by the playbook: then it is True that it did instead."""
        agent = self._agent
        if job.model and agent.instructions:
            from meshwright.reasoning import reason

            try:
                answer = await reason(agent, subtask, job, job.model, self._toolbox)
            except MeshError as error:
                answer = await agent.playbook(subtask, job)
                return _noted(answer, f"the model was not used: {error}"), True
            return answer, False
        return await agent.playbook(subtask, job), False


def _noted(answer: Part, why: str) -> Part:
    """`answer` with a claim that says how it came about, where it has room for one."""
    if not isinstance(answer, Finding):
        return answer
    notes: dict[str, Any] = {**answer.facts, "fallback": why[:400]}
    return answer.model_copy(update={"facts": notes})
