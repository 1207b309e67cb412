"""The orchestrator as an ASGI app: its A2A server, its catalogue, and its graph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from meshwright.card import card_of, offered
from meshwright.errors import NoPeer, Overloaded
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.inbound.health import Readiness
from meshwright.inbound.server import a2a_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.switchboard import Switchboard
from meshwright.outbound.toolbox import Toolbox
from meshwright.outbound.warmth import warming
from meshwright.policy.rules import Policy
from meshwright.records import semconv
from meshwright.records.runs import RunStore, end_with_task
from meshwright.settings import Settings
from meshwright.shipped import shipped
from orchestrator.api import Api

if TYPE_CHECKING:
    import httpx
    from starlette.applications import Starlette

    from meshwright.database import Database
    from meshwright.inbound.handler import MeshRequestHandler
    from meshwright.inbound.identity import Identity
    from meshwright.tasks.courier import Parcel

NAME = "orchestrator"


def orchestrator_app(
    settings: Settings, identity: Identity, http: httpx.AsyncClient | None = None
) -> Starlette:
    """The app. Raises SettingsError for a card, policy or database that cannot be used."""
    client = http or http_client()
    card = offered(card_of(NAME), settings.grpc_port)
    policy = Policy.load(settings.policy or shipped("policies", "shop.toml"))
    directory = Directory(settings.peers, client, identity)
    toolbox = Toolbox(settings.tools, client, identity, hedge=settings.hedge)
    readiness = Readiness("graph", "directory")
    readiness.details = lambda: {**directory.health(), **toolbox.health()}
    readiness.metrics = [directory.samples, toolbox.samples]
    api = Api(card, settings.public_url)

    @asynccontextmanager
    async def lifespan(handler: MeshRequestHandler) -> AsyncIterator[None]:
        # LangGraph takes seconds to import; the port opens meanwhile and the card is served.
        starting = asyncio.create_task(start(handler.book.database))
        board = Switchboard(handler.book.database, NAME, [*directory.breakers, *toolbox.breakers])
        refreshing = asyncio.create_task(refresh())
        async with warming(readiness, settings.warm, directory.greet, toolbox.schemas):
            yield
        for task in (starting, refreshing):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await board.aclose()
        await client.aclose()

    async def start(database: Database) -> None:
        build, saver, driver = await asyncio.to_thread(_engine)
        graph = build(saver(database))
        api.driver = driver(graph, directory, toolbox, policy, RunStore(database), database, NAME, settings)
        readiness.done("graph")

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

    async def call_off(parcel: Parcel) -> None:
        """A run was cancelled: the peer that still works for it is told so."""
        for entry in directory.entries:
            if entry.url == parcel.address and entry.card is not None:
                return await directory.peer(entry).cancel(parcel.remote)
        raise NoPeer(f"nobody is known at {parcel.address}")

    return a2a_app(
        *(NAME, card, work, settings, identity, readiness),
        lifespan=lifespan,
        routes=api.routes(),
        revive=settings.deadline,
        unheard=unheard,
        on_end=end_with_task,
        deliveries={"cancel": call_off},
        operation=semconv.INVOKE_WORKFLOW,
    )


def _engine() -> tuple[Any, Any, Any]:
    from orchestrator.checkpoints import Checkpoints
    from orchestrator.driver import Driver
    from orchestrator.graph import build

    return build, Checkpoints, Driver
