"""The HTTP+JSON endpoint: A2A 1.0, and 0.3 where the card declares it.

The SDK's routes with what they get wrong: they overlook a tenant that is not in the path, take a word that is no state for none at
all, tell what Python's parser said, and leave what they do not know to a page for people.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from a2a.server.routes import create_rest_routes
from a2a.server.routes.rest_dispatcher import RestDispatcher
from a2a.types import ListTasksRequest
from a2a.utils.constants import A2A_JSON_MEDIA_TYPE, PROTOCOL_VERSION_1_0
from a2a.utils.error_handlers import build_rest_error_payload, rest_error_handler
from a2a.utils.errors import InvalidParamsError, MethodNotFoundError
from a2a.utils.proto_utils import parse_params
from a2a.utils.version_validator import validate_version
from sse_starlette.sse import EventSourceResponse
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Mount, Route

from meshwright.inbound.admission import PARSED
from meshwright.inbound.context import HttpContexts
from meshwright.inbound.legacy import LegacyRest
from meshwright.inbound.listed import listed
from meshwright.inbound.seen import numbered
from meshwright.inbound.unreadable import unreadable
from meshwright.inbound.wellformed import require_state

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.server.request_handlers import RequestHandler
    from a2a.types import AgentCard
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    Endpoint = Callable[[Request], Awaitable[Response]]

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
#: What the SDK calls a request that protobuf could not read.
_UNREAD = "INVALID_REQUEST"


def rest_routes(handler: RequestHandler, card: AgentCard, *, legacy: bool) -> list[BaseRoute]:
    """The routes below the endpoint's address. `legacy`: whether 0.3 is served there too."""
    contexts = RestContexts(card)
    routes = [each for each in create_rest_routes(handler, contexts) if isinstance(each, Route)]
    lists = {"/tasks": Lists(handler, contexts).list_tasks}
    operations = [
        Route(each.path, _told(lists.get(each.path, each.endpoint)), methods=list(each.methods or ()))
        for each in routes
    ]
    old = LegacyRest(handler, contexts).routes() if legacy else {}
    before = [Route(path, endpoint, methods=[method]) for (path, method), endpoint in old.items()]
    elsewhere = Route("/{path:path}", _elsewhere(operations), methods=METHODS)
    tenants = Mount("/{tenant}", routes=[*operations, elsewhere])
    return [*before, *operations, tenants, elsewhere]


class Lists(RestDispatcher):
    """The list of tasks, as it is told over JSON-RPC."""

    @rest_error_handler
    async def list_tasks(self, request: Request) -> Response:
        @validate_version(PROTOCOL_VERSION_1_0)
        async def page(context: ServerCallContext) -> dict[str, Any]:
            params = ListTasksRequest()
            parse_params(request.query_params, params)
            found = await self.request_handler.on_list_tasks(params, context)
            return listed(found, artifacts=params.include_artifacts)

        return JSONResponse(await self._handle_non_streaming(request, page), media_type=A2A_JSON_MEDIA_TYPE)


class RestContexts(HttpContexts):
    """Builds the context of a call, with the tenant that its query or its body names; one in the path goes before it."""

    def build(self, request: Request) -> ServerCallContext:
        query, body = request.query_params, request.scope.get(PARSED, {})
        if not isinstance(body, dict):
            raise InvalidParamsError(message="the body must be one JSON object")
        if request.method == "GET":
            require_state(query.get("status"))
            if query.get("includeArtifacts", "true").lower() not in ("true", "false"):
                raise InvalidParamsError(message="includeArtifacts is true or false")
        context = super().build(request)
        tenant = query.get("tenant") or body.get("tenant")
        context.tenant = tenant if isinstance(tenant, str) else ""
        return context


def _told(endpoint: Endpoint) -> Endpoint:
    """The same operation, with its errors in A2A's media type, and without a parser's words."""

    async def told(request: Request) -> Response:
        answer = await endpoint(request)
        if isinstance(answer, EventSourceResponse):
            answer.body_iterator = numbered(
                cast(AsyncGenerator[Any, None], answer.body_iterator), request.scope
            )
        if answer.status_code < 400:
            return answer
        content: dict[str, Any] = json.loads(bytes(answer.body))
        error = content["error"]
        if any(each.get("reason") == _UNREAD for each in error.get("details", ())):
            content = build_rest_error_payload(unreadable(error["message"]))
        return JSONResponse(content, content["error"]["code"], media_type=A2A_JSON_MEDIA_TYPE)

    return told


def _elsewhere(operations: list[Route]) -> Endpoint:
    """For what is no operation: an error in the form of this binding."""

    async def elsewhere(request: Request) -> Response:
        near = [each for each in operations if each.matches(request.scope)[0] is Match.PARTIAL]
        content = build_rest_error_payload(MethodNotFoundError(message="there is no such operation of A2A"))
        headers = {}
        if near:
            content["error"] |= {"code": 405, "message": "this operation has another HTTP method"}
            headers = {"allow": ", ".join(sorted({method for each in near for method in each.methods or ()}))}
        return JSONResponse(
            content, content["error"]["code"], media_type=A2A_JSON_MEDIA_TYPE, headers=headers
        )

    return elsewhere
