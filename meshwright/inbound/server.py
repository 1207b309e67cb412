"""An agent as an ASGI app. One constructor shows the whole machine: doorman, admission, health, card, A2A."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from a2a.server.routes import create_jsonrpc_routes, create_rest_routes
from starlette.applications import Starlette
from starlette.middleware import Middleware

from meshwright.card import REST_PATH, CardError, load_card, stamped
from meshwright.inbound.admission import Admission
from meshwright.inbound.cardroute import card_routes
from meshwright.inbound.doorman import Doorman
from meshwright.inbound.executor import MeshExecutor, Work
from meshwright.inbound.handler import MeshRequestHandler
from meshwright.inbound.health import Readiness
from meshwright.inbound.specialist import Specialist
from meshwright.outbound.http import http_client
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings, SettingsError
from meshwright.shipped import shipped

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
    client = http or http_client()
    toolbox = Toolbox(settings.tools, client, identity)
    readiness = Readiness()
    specialist = Specialist(agent, settings, toolbox)
    readiness.details = toolbox.health

    @asynccontextmanager
    async def lifespan(handler: MeshRequestHandler) -> AsyncIterator[None]:
        yield
        await client.aclose()

    card = card_of(agent.name)
    return a2a_app(agent.name, card, specialist.work, settings, identity, readiness, lifespan=lifespan)


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
) -> Starlette:
    """An A2A server around `work`; `routes` come before those of A2A."""
    # The handler wants a complete card; what it is asked of it does not depend on the address.
    complete = stamped(card, settings.public_url or f"http://{settings.host}:{settings.port}")
    handler = MeshRequestHandler(MeshExecutor(work, settings, name), complete)
    readiness.name = name

    @asynccontextmanager
    async def whole_life(app: Starlette) -> AsyncIterator[None]:
        async with lifespan(handler):
            yield
            readiness.draining = True
            await handler.aclose()

    return Starlette(
        routes=[
            *readiness.routes(),
            *card_routes(card, settings.public_url),
            *routes,
            *create_jsonrpc_routes(handler, rpc_url="/"),
            *create_rest_routes(handler, path_prefix=REST_PATH),
        ],
        middleware=[
            Middleware(Doorman, trust=identity.trust),
            Middleware(Admission, max_body=settings.max_body),
        ],
        lifespan=whole_life,
    )


def card_of(name: str) -> AgentCard:
    """The card of agent `name`. Raises SettingsError, so that a process with a bad card says so and does not start."""
    try:
        return load_card(shipped("agent_cards", f"{name}.json"))
    except CardError as error:
        raise SettingsError(str(error)) from None
