"""A tool server as an ASGI app: health, the doorman, strict admission, places for its calls, MCP at `/mcp`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from meshwright.inbound.admission import Admission
from meshwright.inbound.doorman import Doorman
from meshwright.inbound.health import Readiness
from meshwright.inbound.identity import Identity
from meshwright.inbound.places import Places
from meshwright.inbound.turnstile import Turnstile
from meshwright.settings import Settings
from meshwright.shipped import shipped
from meshwright.toolserver import Access, ToolServer

#: Where the limit on calls at the same time begins. Most of them only wait for a database, so the loop says soon if it is too high.
START = 64.0


def tool_app(
    server: ToolServer, settings: Settings, identity: Identity, access: Access | None = None
) -> Starlette:
    """The app that serves `server`. Every path but health wants a token."""
    from mcp.server.transport_security import TransportSecuritySettings

    # The Host check guards browsers on a developer's machine against rebinding; behind the doorman every call
    # carries a token that no browser has, and in a cluster the host is the service's name.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    rules = access or Access.load(settings.access or shipped("policies", "access.toml"))
    mcp = server.mcp(rules, identity.trust).streamable_http_app(
        stateless_http=True, max_request_body_size=settings.max_body, transport_security=security
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with mcp.router.lifespan_context(mcp):
            yield
        await server.settle()

    readiness = Readiness()
    readiness.name = server.name
    readiness.places = places = Places(settings.queue, settings.at_once, start=START)
    app = Starlette(
        routes=[*readiness.routes(), Mount("/", mcp)],
        middleware=[
            Middleware(Doorman, trust=identity.trust),
            Middleware(Admission, max_body=settings.max_body),
            Middleware(Turnstile, places=places),
        ],
        lifespan=lifespan,
    )
    app.state.readiness = readiness
    return app
