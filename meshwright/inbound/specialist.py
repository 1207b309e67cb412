"""An agent's function, as work for the executor: reads the subtask, lets the agent answer, fills in what it used."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from meshwright.agent import Agent, Alone, Job
from meshwright.asking import Asking
from meshwright.errors import InvalidRequest, MeshError
from meshwright.findings import Asks, Finding, Part, Subtask, Usage
from meshwright.inbound.executor import Outcome
from meshwright.notebook import KeptTools, Notebook
from meshwright.outbound.called import came_of
from meshwright.parts import read_as
from meshwright.records.context import Context
from meshwright.settings import Settings
from meshwright.wallet import Wallet, daily

if TYPE_CHECKING:
    from meshwright.inbound.executor import Incoming
    from meshwright.ledger import Ledger
    from meshwright.outbound.colleagues import Colleagues
    from meshwright.outbound.directory import Directory
    from meshwright.outbound.model import Model
    from meshwright.outbound.session import Session
    from meshwright.outbound.toolbox import Toolbox
    from meshwright.records.minutes import Minutes
    from meshwright.tasks.notebooks import Notebooks

#: The part of an agent's time that its model does not get, and the most of it in seconds: one that hangs must leave the playbook some.
KEPT, MOST_KEPT = 0.25, 5.0


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
        self.notebooks: Notebooks | None = None

    async def work(self, incoming: Incoming) -> Outcome:
        """One turn: the answer to a subtask, or what the agent asks in the middle of it."""
        began = time.monotonic()
        if incoming.follow_up:
            notebook = await self._kept(incoming)
            if why := notebook.hear(incoming.data, incoming.text):
                return Outcome(notice=_asked(Asks.model_validate(notebook.open)), waits=why)
            subtask = Subtask.model_validate(notebook.subtask)
        else:
            subtask = self._subtask(incoming)
            notebook = Notebook(text=incoming.text, message=incoming.message_id)
        budget, origin = incoming.budget, incoming.origin
        asking = Asking(notebook)
        tools = self._toolbox.session(
            by=incoming.by, ticket=incoming.run, priority=origin.priority, minutes=incoming.minutes
        )
        self._back(incoming)
        peers = self._colleagues(incoming, asking)
        context = _given(incoming, subtask, notebook)
        job = Job(
            *(incoming.by, KeptTools(tools, notebook), budget, notebook.text, incoming.caller, incoming.run),
            *(peers or Alone(), self._model(incoming.minutes), asking, context),
        )

        def used() -> dict[str, Any]:
            ms = int((time.monotonic() - began) * 1000)
            called = [*notebook.used, *tools.used, *(peers.used if peers else [])]
            return {"tokens": budget.used.tokens, "tools": called[:256], "ms": ms}

        answer, instead, came = None, False, "failed"
        try:
            answer, instead = await self._answer(subtask, job, notebook, tools)
            if asking.put is None:
                _require_part(self._agent, answer)
            came = "answered"
        except MeshError as error:
            came = came_of(error)
            await budget.close()
            error.notes = {"usage": {**used(), "micros": budget.used.micros}}
            await self._leave(incoming, notebook)
            raise
        except asyncio.CancelledError:
            came = "called-off"
            if not await asking.stopped():
                raise
        finally:
            if asking.put is not None:
                came = "asked"
            way = "model" if job.model and self._agent.instructions else "playbook"
            way = "playbook-instead" if instead else way
            context.note(came, selected=subtask.skill, subtask=subtask.id, strategy=way)
            await budget.close()
        usage = used()
        notes: dict[str, Any] = {"usage": {**usage, "micros": budget.used.micros}}
        if asking.put is not None or answer is None:
            notebook.subtask = subtask.model_dump(mode="json")
            return await self._asked(incoming, asking, usage, notes)
        await self._leave(incoming, notebook)
        if "usage" in type(answer).model_fields:
            answer = answer.model_copy(update={"usage": Usage.model_validate(usage)})
        if isinstance(answer, Finding):
            answer = answer.model_copy(update={"subtask": subtask.id, "agent": self._agent.name})
        reply = str(getattr(answer, "reply", "") or "")
        if budget.exhausted or instead:
            notes["degraded"] = ["budget" if budget.exhausted else "model"]
        return Outcome(text=reply, data=answer, metadata=notes)

    def _model(self, minutes: Minutes) -> Model | None:
        if not self._settings.model:
            return None
        from meshwright.outbound.model import Model

        return Model.from_settings(self._settings, minutes)

    async def _kept(self, incoming: Incoming) -> Notebook:
        """The notebook of a task that waited for this message. Raises InvalidRequest."""
        found = await self.notebooks.find(incoming.task_id) if self.notebooks is not None else None
        if found is None:
            raise InvalidRequest("this task asked nothing; send a new message without taskId")
        return found

    async def _asked(
        self, incoming: Incoming, asking: Asking, usage: dict[str, Any], notes: dict[str, Any]
    ) -> Outcome:
        """The end of a turn with a question: what was told so far is kept, and the task waits."""
        asks, notebook = asking.put, asking.notebook
        assert asks is not None
        assert self.notebooks is not None
        assert incoming.claim is not None
        called = list(dict.fromkeys([*asks.called, *usage["tools"]]))
        asks = asks.model_copy(update={"called": called[:256]})
        notebook.open, notebook.used = asks.model_dump(mode="json"), usage["tools"]
        await self.notebooks.keep(incoming.claim, notebook)
        return Outcome(notice=_asked(asks), waits=_in_words(asks), metadata=notes)

    async def _leave(self, incoming: Incoming, notebook: Notebook) -> None:
        """The work is over. Whoever still waits for an answer that was to come through us hears that none will."""
        if notebook.underway and self.notebooks is not None and incoming.claim is not None:
            await self.notebooks.call_off(incoming.claim)

    def _back(self, incoming: Incoming) -> None:
        """Put the ledger behind the budget of a task that may ask a model, or somebody who may."""
        spends = self._settings.model or self._directory is not None
        if self.ledger is None or not spends or not incoming.task_id:
            return
        accounts = daily(self._settings, self._agent.name, incoming.caller)
        task = f"{self._agent.name}/{incoming.task_id}/{incoming.message_id}"
        incoming.budget.backing = Wallet(self.ledger, task, accounts, max(incoming.by.remaining, 0.0))

    def _colleagues(self, incoming: Incoming, asking: Asking) -> Colleagues | None:
        if self._directory is None:
            return None
        from meshwright.outbound.colleagues import Colleagues

        moved = incoming.origin.moved
        # A turn that ends with a question goes on later: what it asked of others meanwhile is still wanted.
        origin = dataclasses.replace(incoming.origin, moved=lambda: asking.put is not None or moved())
        return Colleagues(self._directory, incoming.by, incoming.budget, origin, asking, incoming.minutes)

    def _subtask(self, incoming: Incoming) -> Subtask:
        """The subtask that was sent; a client that only sends text gets one made of it."""
        for content in incoming.data:
            if isinstance(content, dict) and "subtask" in content:
                return read_as(Subtask, content["subtask"])
        if not incoming.text:
            raise InvalidRequest("send text, or a data part {'subtask': {...}}")
        return Subtask(id="ask", skill="any", instruction=incoming.text[:8000])

    async def _answer(
        self, subtask: Subtask, job: Job, notebook: Notebook, tools: Session
    ) -> tuple[Part, bool]:
        """By the model where there is one, else, and whenever it fails, by the playbook: then it is True that it did instead."""
        agent = self._agent
        if not (job.model and agent.instructions):
            return await agent.playbook(subtask, job), False
        why = "it failed before"
        if notebook.transcript is not None:
            from meshwright.reasoning import reason

            # What a model was told is in its transcript: a playbook that has to take over reads for itself.
            by = job.by.at_most(job.by.remaining - min(job.by.remaining * KEPT, MOST_KEPT))
            own = dataclasses.replace(job, tools=dataclasses.replace(tools, by=by), by=by)
            try:
                return await reason(agent, subtask, own, job.model, self._toolbox, notebook.transcript), False
            except MeshError as error:
                why = str(error)
                notebook.transcript = None
        answer = await agent.playbook(subtask, job)
        return _noted(answer, f"the model was not used: {why}"), True


def _given(incoming: Incoming, subtask: Subtask, notebook: Notebook) -> Context:
    """What an agent is given for this turn."""
    context = Context(incoming.minutes, "work")
    caller = incoming.caller or "stranger"
    context.passed("instruction", subtask.instruction, caller)
    if notebook.text:
        context.passed("text", notebook.text, caller)
    context.fields("details", subtask.details, caller)
    context.fields("context", subtask.context, caller)
    if notebook.told or notebook.answers:
        context.passed(
            "notebook", f"{len(notebook.told)} results, {len(notebook.answers)} answers", "earlier turns"
        )
    return context


def _asked(asks: Asks) -> dict[str, Any]:
    """For the machine that asked us."""
    return {"asks": asks.model_dump(mode="json", exclude_defaults=True)}


def _in_words(asks: Asks) -> str:
    """For people who look at the task."""
    if asks.question is not None:
        return asks.question.text
    assert asks.proposal is not None
    return f"proposes {asks.proposal.action}, and goes on when it is settled"


def _require_part(agent: Agent, answer: object) -> None:
    """Raises TypeError, which whoever wrote the playbook finds in their log."""
    if not isinstance(answer, Part):
        wanted, got = agent.answers.__name__, type(answer).__name__
        raise TypeError(f"the playbook of {agent.name} must return a {wanted}; it returned: {got}")


def _noted(answer: Part, why: str) -> Part:
    """`answer` with a claim that says how it came about, where it has room for one."""
    if not isinstance(answer, Finding):
        return answer
    notes: dict[str, Any] = {**answer.facts, "fallback": why[:400]}
    return answer.model_copy(update={"facts": notes})
