"""An agent as an ASGI app. One constructor shows the whole machine: doorman, admission, health, card, A2A."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from meshwright.card import card_of, offered, stamped
from meshwright.chore import Chore
from meshwright.database import open_database
from meshwright.inbound.activityroute import activity_routes
from meshwright.inbound.admission import Admission
from meshwright.inbound.ancestry import Ancestry
from meshwright.inbound.bindings import ShortWay, http_bindings, refusal
from meshwright.inbound.busy import RetryAfter
from meshwright.inbound.cardroute import card_routes
from meshwright.inbound.decisionroute import decision_route
from meshwright.inbound.doorman import Doorman
from meshwright.inbound.executor import Executor, Unheard, Work
from meshwright.inbound.extensions import ExtensionEcho
from meshwright.inbound.grpcdoor import GrpcDoor
from meshwright.inbound.handler import MeshRequestHandler
from meshwright.inbound.health import Readiness
from meshwright.inbound.sanitised import Sanitised
from meshwright.inbound.specialist import Specialist
from meshwright.isolation.cradle import must_be_isolated
from meshwright.ledger import Ledger
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.switchboard import Switchboard
from meshwright.outbound.toolbox import Toolbox
from meshwright.outbound.warmth import warming
from meshwright.outbound.webhook import Screen, Webhooks, key_routes
from meshwright.records import semconv
from meshwright.records.retelling import retell
from meshwright.settings import Settings
from meshwright.tasks.book import OnEnd, TaskBook
from meshwright.tasks.census import Census
from meshwright.tasks.courier import Courier, Deliver
from meshwright.tasks.notebooks import Notebooks
from meshwright.tasks.retention import Sweeper
from meshwright.tasks.worker import Worker
from meshwright.wallet import daily

if TYPE_CHECKING:
    import httpx
    from a2a.types import AgentCard
    from starlette.routing import BaseRoute

    from meshwright.agent import Agent
    from meshwright.inbound.identity import Identity

Lifespan = Callable[[MeshRequestHandler], AbstractAsyncContextManager[None]]


def agent_app(
    agent: Agent, settings: Settings, identity: Identity, http: httpx.AsyncClient | None = None
) -> Starlette:
    """The app that serves `agent`. Raises SettingsError for a card that cannot be served."""
    must_be_isolated(agent, settings)
    client = http or http_client()
    toolbox = Toolbox(settings.tools, client, identity, hedge=settings.hedge)
    readiness = Readiness()
    directory = Directory(settings.peers, client, identity) if settings.peers else None
    specialist = Specialist(agent, settings, toolbox, directory)
    asked = [toolbox, *([directory] if directory else ())]
    readiness.details = lambda: {key: value for each in asked for key, value in each.health().items()}
    readiness.metrics = [each.samples for each in asked]

    @asynccontextmanager
    async def lifespan(handler: MeshRequestHandler) -> AsyncIterator[None]:
        specialist.ledger = Ledger(handler.book.database, agent.name)
        specialist.notebooks = Notebooks(handler.book.database, agent.name)
        breakers = [*toolbox.breakers, *(directory.breakers if directory else ())]
        board = Switchboard(handler.book.database, agent.name, breakers)
        meeting = Chore("the look at peers", partial(meet, directory)) if directory else None
        if meeting is not None:
            meeting.start()
        async with warming(readiness, settings.warm, toolbox.schemas):
            yield
        if meeting is not None:
            await meeting.stop()
        await board.aclose()
        await specialist.ledger.aclose()
        if settings.model:
            from meshwright.outbound.model import close_clients

            await close_clients()
        await client.aclose()

    async def meet(peers: Directory) -> None:
        await peers.refresh()
        await peers.keep_fresh(settings.refresh)

    card = card_of(agent.name)
    return a2a_app(
        *(agent.name, card, specialist.work, settings, identity, readiness),
        lifespan=lifespan,
        deliveries={"cancel": directory.call_off} if directory else None,
        answers_only=True,
    )


def a2a_app(
    name: str,
    card: AgentCard,
    work: Work,
    settings: Settings,
    identity: Identity,
    readiness: Readiness,
    *,
    lifespan: Lifespan,
    routes: Sequence[BaseRoute] = (),
    revive: float = 0.0,
    unheard: Unheard | None = None,
    on_end: OnEnd | None = None,
    deliveries: Mapping[str, Deliver] | None = None,
    answers_only: bool = False,
    operation: str = semconv.INVOKE_AGENT,
) -> Starlette:
    """An A2A server around `work`; `routes` come before those of A2A.

    For `revive`, `unheard` and `operation` see the Executor, for `on_end` the TaskBook, for `deliveries` (besides webhooks) the Courier, for
    `answers_only` the Desk. Its `state.drain` is for
    a signal handler: work is no longer taken, and what cannot be finished in time is handed over.
    """
    card = offered(card, settings.grpc_port)
    # The handler wants a complete card; what it is asked of it does not depend on the address.
    complete = stamped(card, settings.public_url or f"http://{settings.host}:{settings.port}")
    screen = Screen(settings.webhooks)
    ancestry = Ancestry(identity.trust, settings.depth)
    handler = MeshRequestHandler(complete, settings, screen, ancestry)
    operations = Sanitised(handler)
    grpc = GrpcDoor(operations, complete, settings, identity.trust)
    handler.patient, handler.revive = unheard is not None, revive
    handler.credulous = not identity.trust.knows_somebody
    executor = Executor(
        *(work, settings, name, handler.places), revive=revive, unheard=unheard, operation=operation
    )
    readiness.name = name
    readiness.places = handler.places
    readiness.metrics.append(executor.worked.samples)

    async def drain() -> None:
        readiness.draining = True
        await asyncio.gather(handler.worker.drain(settings.grace), grpc.close(settings.grace))
        handler.book.feed.close()  # who follows a task that is worked on elsewhere now can do it there

    @asynccontextmanager
    async def whole_life(app: Starlette) -> AsyncIterator[None]:
        app.state.readiness = readiness
        loop, draining = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        app.state.drain = lambda: loop.call_soon_threadsafe(lambda: draining.add(loop.create_task(drain())))
        async with AsyncExitStack() as stack:
            database = await open_database(settings.database_of(name))
            stack.push_async_callback(database.close)
            handler.book = TaskBook(database, name, on_end)
            handler.worker = Worker(
                *(handler.book, executor.perform),
                lease=settings.lease,
                claims=settings.claims,
                answers_only=answers_only,
            )
            await stack.enter_async_context(lifespan(handler))
            webhooks = Webhooks(handler.book, screen, identity)
            stack.push_async_callback(webhooks.aclose)
            courier = Courier(handler.book, {"push": webhooks.deliver, **(deliveries or {})})
            stack.push_async_callback(courier.aclose)
            sweeper = Sweeper(database, name, settings.retention)
            stack.push_async_callback(sweeper.aclose)
            census = Census(database, name, daily(settings, name, ""))
            stack.push_async_callback(census.aclose)
            readiness.metrics += [census.samples, handler.worker.decided.samples]
            stack.push_async_callback(handler.worker.aclose)
            readiness.worker = handler.worker
            for each in (handler.worker, courier, sweeper, census):
                each.start()
            await stack.enter_async_context(grpc.open())
            # of who was here before, and may have been killed
            retelling = asyncio.create_task(retell(database, name, operation=operation))
            stack.push_async_callback(_stopped, retelling)
            yield
            await drain()

    bindings = http_bindings(operations, complete)
    return Starlette(
        routes=[
            *bindings,  # first, because nearly all requests are for them
            *readiness.routes(),
            *card_routes(card, settings.public_url),
            *key_routes(identity),
            decision_route(name, lambda: handler.book.database),
            *activity_routes(name, lambda: handler.book.database),
            *routes,
        ],
        middleware=[
            Middleware(Doorman, trust=identity.trust),
            Middleware(Admission, max_body=settings.max_body, refusal=refusal),
            Middleware(ExtensionEcho, card=complete),
            Middleware(ShortWay, routes=bindings),
            Middleware(RetryAfter),
        ],
        lifespan=whole_life,
    )


async def _stopped(task: asyncio.Task[int]) -> None:
    task.cancel()
    await asyncio.wait({task})
