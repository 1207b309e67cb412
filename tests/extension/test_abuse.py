"""Peers that do not know the extension, or abuse it: they cost their caller its deadline at most, and nobody more than was given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, TaskState
from starlette.applications import Starlette

from meshwright.agent import Job
from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, PeerError, PeerTimedOut
from meshwright.extension import URI
from meshwright.findings import Finding, Subtask

SKILL = "strange-work"


class Stranger(AgentExecutor):
    """An agent on a2a-sdk's own server, which knows nothing of the extension. `work` is what it does before its answer."""

    def __init__(self, work: Callable[[], Awaitable[None]], notes: dict[str, Any]) -> None:
        self._work, self._notes = work, notes
        self.headers: dict[str, str] = {}
        self.cancelled = asyncio.Event()

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        self.headers = context.call_context.state["headers"]
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        await event_queue.enqueue_event(new_task_from_user_message(context.message))
        await updater.start_work()
        await self._work()
        await updater.add_artifact([Part(text="here you are")], name="answer")
        await updater.update_status(TaskState.TASK_STATE_COMPLETED, metadata=self._notes)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        self.cancelled.set()
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


@asynccontextmanager
async def stranger(
    team: Any, work: Callable[[], Awaitable[None]], *, streaming: bool = True, notes: Any = None
) -> AsyncIterator[Stranger]:
    address = team.url("stranger") + "/"
    card = AgentCard(
        name="Stranger",
        description="Works.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=address, protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(streaming=streaming),
        default_input_modes=["application/json"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id=SKILL, name="Work", description="Works.", tags=["work"])],
    )
    executor = Stranger(work, notes or {})
    handler = DefaultRequestHandler(agent_executor=executor, task_store=InMemoryTaskStore(), agent_card=card)
    routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, rpc_url="/")]
    await team.serve("stranger", Starlette(routes=routes))
    yield executor
    await handler.aclose()


async def at_once() -> None:
    return None


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_stranger_answers_as_anybody(team: Any, streaming: bool) -> None:
    async with stranger(team, at_once, streaming=streaming) as peer:
        colleagues = await team.colleagues("stranger")
        assert (await colleagues.ask(SKILL, "work")).reply == "here you are"
    assert "authorization" not in peer.headers
    assert "x-mesh-ancestry" not in peer.headers


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_stranger_that_ignores_the_deadline_is_cancelled_by_its_caller(
    team: Any, hand: Any, streaming: bool
) -> None:
    work = hand(waits=True)
    async with stranger(team, work.work, streaming=streaming) as peer:
        colleagues = await team.colleagues("stranger", seconds=0.6)
        with pytest.raises(PeerTimedOut):
            await colleagues.ask(SKILL, "work", share=1)
        await peer.cancelled.wait()
        await work.stopped.wait()


async def test_a_stranger_is_cancelled_when_its_callers_task_is(team: Any, hand: Any) -> None:
    async def orders(subtask: Subtask, job: Job) -> Finding:
        return await job.peers.ask(SKILL, "work")

    work = hand(waits=True)
    async with stranger(team, work.work):
        await team.start("orders", orders, peers=["stranger"])
        asked = asyncio.ensure_future(team.ask("orders"))
        await work.began.wait()
        asked.cancel()
        await work.stopped.wait()


async def test_an_answer_after_the_cancel_is_not_heard(team: Any) -> None:
    asked = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            asked.set()  # and goes on to answer as if nothing had happened

    async with stranger(team, stubborn):
        colleagues = await team.colleagues("stranger", seconds=0.6)
        with pytest.raises(PeerTimedOut):
            await colleagues.ask(SKILL, "work", share=1)
        await asked.wait()
    assert colleagues.budget.reserved == 0


@pytest.mark.parametrize("tokens", [10**9, -5, 1e30, "lots", None, True, 2.5])
async def test_no_claim_of_usage_costs_more_than_was_given_or_less_than_nothing(
    team: Any, tokens: Any
) -> None:
    notes = {URI: {"usage": {"tokens": tokens, "micros": tokens}}}
    async with stranger(team, at_once, notes=notes):
        colleagues = await team.colleagues("stranger", budget=Budget(1000, micros=10_000))
        await colleagues.ask(SKILL, "work", share=0.5)
    budget = colleagues.budget
    assert (budget.spent, budget.paid) == (500, 5_000)
    assert (budget.reserved, budget.pledged) == (0, 0)


async def test_a_claim_that_leaves_out_the_money_that_was_limited_is_none(team: Any) -> None:
    async with stranger(team, at_once, notes={URI: {"usage": {"tokens": 5}}}):
        limited = await team.colleagues("stranger", budget=Budget(1000, micros=10_000))
        await limited.ask(SKILL, "work", share=0.5)
        unlimited = await team.colleagues("stranger", budget=Budget(1000))
        await unlimited.ask(SKILL, "work", share=0.5)
    assert (limited.budget.spent, limited.budget.paid) == (500, 5_000)
    assert (unlimited.budget.spent, unlimited.budget.paid) == (5, 0)


async def test_a_loop_of_agents_that_hide_who_stands_above_ends_with_the_time(team: Any) -> None:
    """Whoever leaves out what stood above it poses as the beginning. The deadline shrinks all the same."""
    asked: list[float] = []

    async def honest(subtask: Subtask, job: Job) -> Finding:
        asked.append(job.by.remaining)
        return await job.peers.ask("order-return", "and you?", share=0.9)

    async def hiding(subtask: Subtask, job: Job) -> Finding:
        peer = await team.peer("orders", who="returns")
        question = {"subtask": Subtask(id="x", skill="order-status", instruction="and you?").model_dump()}
        answer = await peer.ask(question, by=job.by)
        return Finding(reply=answer.text)

    await team.start("returns", hiding)
    await team.start("orders", honest, peers=["returns"])
    with pytest.raises((MeshError, PeerError)):
        await team.ask("orders", seconds=1)
    assert len(asked) > 1
    assert asked == sorted(asked, reverse=True)
    assert Deadline.after(0).expired
