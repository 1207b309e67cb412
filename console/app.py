"""The console as an ASGI app: its walls, its login, and its pages.

It keeps nothing. What it shows it asks the orchestrator for, as the person who is logged in.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import audit, meshview, reviews, runs
from console.assets import Assets
from console.client import MAX_ANSWER, Mesh
from console.guard import Guard, hosts_of, is_near
from console.login import Login
from console.page import NAVIGATION, OPERATOR, Page
from console.people import VARIABLE, People, load_people
from console.session import Sessions
from console.trouble import handlers
from console.visits import Visits
from meshwright.inbound.health import Readiness
from meshwright.inbound.identity import load_identity
from meshwright.outbound.http import http_client
from meshwright.settings import Settings, SettingsError

if TYPE_CHECKING:
    import httpx

    from meshwright.inbound.identity import Identity

NAME = "console"
#: The rooms with pages; each gives its `routes(page)`.
ROOMS = (runs, reviews, meshview, audit)


def console_app(
    settings: Settings, http: httpx.AsyncClient | None = None, identity: Identity | None = None
) -> Starlette:
    """The app. Raises SettingsError where it would stand open, or does not know whom to ask."""
    people = _people(settings)
    if not settings.peers:
        raise SettingsError("MESHWRIGHT_PEERS: name the orchestrator that the console is to show")
    me = identity or load_identity(NAME, settings)
    client = http or http_client(MAX_ANSWER)
    key = me.signer.secret("console sessions") if me.signer else secrets.token_bytes(32)
    proof = people.proof if people else lambda name: None
    sessions = Sessions(key, proof, secure=not is_near(settings))
    assets = Assets()
    page = Page(
        *(Mesh(settings.peers[0], client, me), sessions, assets),
        open_house=people is None,
        may_speak=lambda person: not me.trust.knows_somebody or me.trust.may_speak(NAME, person),
    )
    readiness = Readiness()
    readiness.name = NAME
    routes = [route for room in ROOMS for route in room.routes(page)]
    there = {route.path for route in routes}
    page.navigation = [(word, path) for word, path in NAVIGATION if path in there]
    first = page.navigation[0][1]

    async def home(request: Request) -> Response:
        return RedirectResponse(first, 303)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        if http is None:
            await client.aclose()

    app = Starlette(
        routes=[
            *readiness.routes(),
            *assets.routes(),
            *(Login(page, people, sessions).routes() if people else []),
            Route("/", home),
            Route("/theme", page.theme, methods=["POST"]),
            *routes,
        ],
        middleware=[
            Middleware(Guard, hosts=hosts_of(settings)),
            Middleware(Visits, sessions=sessions, open_house=people is None),
        ],
        exception_handlers=handlers(page),
        lifespan=lifespan,
    )
    app.state.readiness = readiness
    return app


def _people(settings: Settings) -> People | None:
    """Who may log in; None where everybody at this machine is the operator. Raises SettingsError."""
    if settings.console_users is not None:
        return load_people(settings.console_users)
    if not (settings.is_loopback and is_near(settings)):
        raise SettingsError(
            f"{settings.public_url or settings.host} can be reached from other machines, and anybody there could decide reviews as {OPERATOR}:"
            f" set {VARIABLE} to a file of names and password hashes (`meshwright keys person NAME` makes it), or bind 127.0.0.1"
        )
    return None
