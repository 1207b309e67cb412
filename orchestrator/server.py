"""The orchestrator as an ASGI app: its A2A server, its catalogue, and its graph."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from meshwright.audit.notary import notarized
from meshwright.card import card_of, offered
from meshwright.chore import Chore
from meshwright.contradictions import Contradictions
from meshwright.errors import Overloaded
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.inbound.health import Readiness
from meshwright.inbound.server import a2a_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.switchboard import Switchboard
from meshwright.outbound.toolbox import Toolbox
from meshwright.outbound.warmth import warming
from meshwright.policy.rules import Policy, shipped_policy
from meshwright.records import semconv
from meshwright.records.runs import RunStore, end_with_task
from meshwright.reviews.overdue import Watch
from meshwright.reviews.store import Patience, ReviewStore
from meshwright.settings import Settings
from meshwright.tasks.retention import DAY, HOUR
from orchestrator.api import Api
from orchestrator.collect import Collector

if TYPE_CHECKING:
    import httpx
    from starlette.applications import Starlette

    from meshwright.database import Database
    from meshwright.inbound.handler import MeshRequestHandler
    from meshwright.inbound.identity import Identity

log = logging.getLogger(__name__)

NAME = "orchestrator"


def orchestrator_app(
    settings: Settings, identity: Identity, http: httpx.AsyncClient | None = None
) -> Starlette:
    """The app. Raises SettingsError for a card, policy or database that cannot be used."""
    client = http or http_client()
    card = offered(card_of(NAME), settings.grpc_port)
    rules = settings.policy or shipped_policy()
    policy, contradictions = Policy.load(rules), Contradictions.beside(rules)
    directory = Directory(settings.peers, client, identity)
    toolbox = Toolbox(settings.tools, client, identity, hedge=settings.hedge)
    readiness = Readiness("graph", "directory")
    readiness.details = lambda: {**directory.health(), **toolbox.health()}
    readiness.metrics = [directory.samples, toolbox.samples]
    api = Api(card, settings.public_url)

    @asynccontextmanager
    async def lifespan(handler: MeshRequestHandler) -> AsyncIterator[None]:
        # LangGraph takes seconds to import; the port opens meanwhile and the card is served.
        times = Patience(settings.review_due * HOUR, settings.review_expires * DAY)
        reviews = ReviewStore(handler.book.database, NAME, times)
        starting = asyncio.create_task(start(handler.book.database, reviews))
        starting.add_done_callback(started)
        watch = Watch(reviews)
        watch.start()
        board = Switchboard(handler.book.database, NAME, [*directory.breakers, *toolbox.breakers])
        refreshing = Chore("the look at peers", refresh)
        refreshing.start()
        async with notarized(handler.book.database, NAME, settings) as notary:
            api.audit.notary = notary
            readiness.metrics += [notary.samples] if notary else []
            async with warming(readiness, settings.warm, directory.greet, toolbox.schemas):
                yield
        starting.cancel()
        await asyncio.wait({starting})
        await refreshing.stop()
        await api.mesh.aclose()
        await api.audit.aclose()
        await watch.aclose()
        await board.aclose()
        await client.aclose()

    async def start(database: Database, reviews: ReviewStore) -> None:
        build, saver, driver = await asyncio.to_thread(_engine)
        graph = build(saver(database))
        api.driver = driver(
            *(graph, directory, toolbox, policy, RunStore(database), reviews, database, NAME, settings),
            is_operator=identity.trust.is_operator,
            collector=Collector(database, directory, client, identity),
            contradictions=contradictions,
        )
        readiness.done("graph")

    def started(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()):
            log.error("the graph cannot be made, so nothing can be worked on", exc_info=error)
            readiness.waits("graph", f"cannot be made: {type(error).__name__}, see the log")

    async def refresh() -> None:
        await directory.refresh()
        readiness.done("directory")
        await directory.keep_fresh(settings.refresh)

    async def work(incoming: Incoming) -> Outcome:
        while api.driver is None:
            incoming.by.require()
            await asyncio.sleep(0.05)
        return await api.driver.work(incoming)

    async def unheard(incoming: Incoming, why: Overloaded) -> Outcome:
        while api.driver is None:
            incoming.by.require()
            await asyncio.sleep(0.05)
        return await api.driver.unheard(incoming, why)

    return a2a_app(
        *(NAME, card, work, settings, identity, readiness),
        lifespan=lifespan,
        routes=api.routes(),
        revive=settings.deadline,
        unheard=unheard,
        on_end=end_with_task,
        deliveries={"cancel": directory.call_off},
        operation=semconv.INVOKE_WORKFLOW,
    )


def _engine() -> tuple[Any, Any, Any]:
    from orchestrator.checkpoints import Checkpoints
    from orchestrator.driver import Driver
    from orchestrator.graph import build

    return build, Checkpoints, Driver
