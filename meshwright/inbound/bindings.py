"""The bindings of A2A over HTTP that a card lists: their routes, and how a body that does not get that far is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from meshwright.card import JSONRPC_PATH, REST_PATH, serves
from meshwright.inbound.context import HttpContexts
from meshwright.inbound.jsonrpcdoor import JsonRpcDoor
from meshwright.inbound.restdoor import rest_routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from a2a.server.request_handlers import RequestHandler
    from a2a.types import AgentCard
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

PARSE_ERROR, INVALID_REQUEST = -32700, -32600
_STATUS = {400: "INVALID_ARGUMENT", 408: "DEADLINE_EXCEEDED", 413: "RESOURCE_EXHAUSTED"}


def http_bindings(handler: RequestHandler, card: AgentCard) -> list[BaseRoute]:
    """The routes under which `handler` serves `card`, which is complete."""
    routes: list[BaseRoute] = []
    if serves(card, "JSONRPC"):
        door = JsonRpcDoor(handler, HttpContexts(card), legacy=serves(card, "JSONRPC", "0.3"))
        routes.append(Route(JSONRPC_PATH, door, methods=["POST"]))
    if serves(card, "HTTP+JSON"):
        # Mounted, because with its `path_prefix` the SDK looks for the tenant before the prefix, where no client puts it.
        operations = rest_routes(handler, card, legacy=serves(card, "HTTP+JSON", "0.3"))
        routes.append(Mount(REST_PATH, routes=operations))
    return routes


class ShortWay:
    """ASGI middleware: a call to the JSON-RPC address goes straight to its door, past the search for a route."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        doors = [each.endpoint for each in routes if isinstance(each, Route) and each.path == JSONRPC_PATH]
        self._door: ASGIApp = doors[0] if doors else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == JSONRPC_PATH and scope["method"] == "POST":
            return await self._door(scope, receive, send)
        return await self._app(scope, receive, send)


def refusal(scope: Scope, status: int, why: str) -> JSONResponse:
    """The answer to a body that is not even read, in the form of the binding it was sent to."""
    content: dict[str, Any]
    if scope["path"] == JSONRPC_PATH:
        code = PARSE_ERROR if status == 400 else INVALID_REQUEST
        content = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": why}}
    else:
        content = {"error": {"code": status, "status": _STATUS.get(status, "UNKNOWN"), "message": why}}
    return JSONResponse(content, status, headers={"connection": "close"})
