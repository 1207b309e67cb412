"""An agent's function, as work for the executor: reads the subtask, lets the agent answer, fills in what it used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from meshwright.agent import Agent, Job
from meshwright.errors import InvalidRequest, MeshError
from meshwright.findings import Finding, Part, Subtask, Usage
from meshwright.parts import read_as
from meshwright.settings import Settings

if TYPE_CHECKING:
    from meshwright.inbound.executor import Incoming, Outcome
    from meshwright.outbound.toolbox import Toolbox


class Specialist:
    """One agent, its tools and, where a model is configured, its model."""

    def __init__(self, agent: Agent, settings: Settings, toolbox: Toolbox) -> None:
        self._agent = agent
        self._settings = settings
        self._toolbox = toolbox

    async def work(self, incoming: Incoming) -> Outcome:
        from meshwright.inbound.executor import Outcome

        began = time.monotonic()
        subtask = self._subtask(incoming)
        ledger = self._toolbox.session(by=incoming.by, ticket=incoming.run)
        job = Job(incoming.by, ledger, incoming.budget, incoming.text, incoming.caller, incoming.run)
        answer = await self._answer(subtask, job)
        usage = Usage(
            tokens=incoming.budget.spent, tools=ledger.used, ms=int((time.monotonic() - began) * 1000)
        )
        if "usage" in type(answer).model_fields:
            answer = answer.model_copy(update={"usage": usage})
        if isinstance(answer, Finding):
            answer = answer.model_copy(update={"subtask": subtask.id, "agent": self._agent.name})
        reply = str(getattr(answer, "reply", "") or "")
        return Outcome(text=reply, data=answer, metadata={"usage": usage.model_dump()})

    def _subtask(self, incoming: Incoming) -> Subtask:
        """The subtask that was sent; a client that only sends text gets one made of it."""
        for content in incoming.data:
            if isinstance(content, dict) and "subtask" in content:
                return read_as(Subtask, content["subtask"])
        if not incoming.text:
            raise InvalidRequest("send text, or a data part {'subtask': {...}}")
        return Subtask(id="ask", skill="any", instruction=incoming.text[:8000])

    async def _answer(self, subtask: Subtask, job: Job) -> Part:
        """By the model where there is one, else, and whenever it fails, by the playbook."""
        agent, settings = self._agent, self._settings
        if settings.model and agent.instructions:
            from meshwright.outbound.model import Model
            from meshwright.reasoning import reason

            try:
                return await reason(agent, subtask, job, Model.from_settings(settings), self._toolbox)
            except MeshError as error:
                answer = await agent.playbook(subtask, job)
                return _noted(answer, f"the model was not used: {error}")
        return await agent.playbook(subtask, job)


def _noted(answer: Part, why: str) -> Part:
    """`answer` with a claim that says how it came about, where it has room for one."""
    if not isinstance(answer, Finding):
        return answer
    notes: dict[str, Any] = {**answer.facts, "fallback": why[:400]}
    return answer.model_copy(update={"facts": notes})
