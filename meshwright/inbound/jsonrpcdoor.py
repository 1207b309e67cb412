"""The JSON-RPC endpoint: A2A 1.0, and 0.3 where the card declares it.

The SDK's dispatcher with what it gets wrong: it parses a body of any media type, answers envelopes that are off with the
texts of Python's errors, and tells a caller of 0.3 that there is no such method.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from a2a.compat.v0_3.jsonrpc_adapter import JSONRPC03Adapter
from a2a.server.jsonrpc_models import InternalError as BareInternalError
from a2a.server.jsonrpc_models import JSONParseError as BareParseError
from a2a.server.request_handlers.response_helpers import build_error_response
from a2a.server.routes.jsonrpc_dispatcher import JsonRpcDispatcher
from a2a.types import (
    GetTaskRequest,
    ListTasksRequest,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskArtifactUpdateEvent,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    MethodNotFoundError,
    TaskNotFoundError,
    VersionNotSupportedError,
)
from google.protobuf.json_format import Error as ProtobufError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from meshwright.inbound.admission import PARSED
from meshwright.inbound.busy import KEY as BUSY
from meshwright.inbound.busy import RetryAfter
from meshwright.inbound.context import is_current, is_legacy, require_json, version_of
from meshwright.inbound.eventstream import EventStream, event
from meshwright.inbound.legacy import LegacyDoor
from meshwright.inbound.listed import listed
from meshwright.inbound.seen import noted
from meshwright.inbound.unreadable import ENVELOPE, TEXT, is_ours, unreadable
from meshwright.inbound.wellformed import require_state
from meshwright.protojson import from_dict, to_dict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from a2a.server.context import ServerCallContext
    from a2a.server.jsonrpc_models import JSONRPCError
    from a2a.server.request_handlers import RequestHandler
    from starlette.types import ASGIApp, Receive, Scope, Send

    from meshwright.inbound.context import HttpContexts

Id = str | int | None


class JsonRpcDoor(JsonRpcDispatcher):
    """What stands at the JSON-RPC address. `legacy`: whether 0.3 is served there too."""

    def __init__(self, handler: RequestHandler, contexts: HttpContexts, *, legacy: bool) -> None:
        super().__init__(handler, contexts, enable_v0_3_compat=legacy)
        self._contexts = contexts
        for kind in (JsonRpcDispatcher, JSONRPC03Adapter):
            logging.getLogger(kind.__module__).addFilter(is_ours)
        if legacy:
            self._v03_adapter = LegacyDoor(handler, contexts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: ASGIApp = await self.handle_requests(Request(scope, receive, send))
        if BUSY in scope:
            response = RetryAfter(response)
        await response(scope, receive, send)

    async def handle_requests(self, request: Request) -> Response:
        try:
            require_json(request)
        except ContentTypeNotSupportedError as error:
            return self._generate_error_response(None, error)
        body = request.scope.get(PARSED, {})  # without a body the dispatcher has the words for it
        version = version_of(request)
        if (wrong := self._wrong(body, version)) is not None:
            return self._generate_error_response(_id_of(body), wrong)
        if version == "1.0" and (call := _plain_call(body)) is not None:
            return await self._answer(request, body["id"], *call)
        return await super().handle_requests(request)

    async def _answer(self, request: Request, call_id: Id, method: str, params: Any) -> Response:
        """The dispatcher's way for a plain call, without its detours (a second envelope, version wrappers, a span each)."""
        try:
            context = self._contexts.build(request)
            if params.tenant:
                context.tenant = params.tenant
            context.state["method"], context.state["request_id"] = method, call_id
            if method in _STREAMS:
                happening = getattr(self.request_handler, _STREAMS[method])(params, context)
                return await self._streamed(happening, call_id, context.state)
            if method == "SendMessage":
                answer = await self.request_handler.on_message_send(params, context)
                result = {"task" if isinstance(answer, Task) else "message": to_dict(answer)}
            else:
                found = await self.request_handler.on_get_task(params, context)
                if found is None:
                    raise TaskNotFoundError
                result = to_dict(found)
        except A2AError as error:
            return self._generate_error_response(call_id, error)
        return _Answer(to_json({"jsonrpc": "2.0", "id": call_id, "result": result}))

    async def _streamed(
        self, happening: AsyncGenerator[Any, None], call_id: Id, state: Mapping[str, Any]
    ) -> Response:
        """The stream of what happens. Awaits the first event, because what is refused is an answer, and no stream."""
        first = await anext(happening, None)

        async def chunks() -> AsyncIterator[bytes]:
            async with aclosing(happening):
                try:
                    if first is not None:
                        yield _event(first, call_id, noted(state))
                    async for each in happening:
                        yield _event(each, call_id, noted(state))
                except A2AError as error:
                    yield event(to_json(build_error_response(call_id, error)), "error")

        return EventStream(chunks())

    async def _handle_list_tasks(
        self, request_obj: ListTasksRequest, context: ServerCallContext
    ) -> dict[str, Any]:
        page = await self.request_handler.on_list_tasks(request_obj, context)
        return listed(page, artifacts=request_obj.include_artifacts)

    def _wrong(self, body: Any, version: str) -> A2AError | None:
        if not isinstance(body, dict):
            return InvalidRequestError(message="a request is one JSON object; batches are not served")
        method = body.get("method")
        if body.get("jsonrpc") != "2.0" or not isinstance(method, str):
            return None
        if not isinstance(body.get("params", {}), dict):
            return InvalidParamsError(message="params must be an object, with the names of the specification")
        if method in JSONRPC03Adapter.METHOD_TO_MODEL:
            return self._wrong_of_legacy(method, version)
        if method == "ListTasks":
            return _wrong_state(body.get("params", {}).get("status"))
        return None

    def _wrong_of_legacy(self, method: str, version: str) -> A2AError | None:
        if is_current(version):
            return MethodNotFoundError(message=f"{method} is of A2A 0.3, and the request says {version}")
        if not self.enable_v0_3_compat or not is_legacy(version):
            served = "1.0 and 0.3" if self.enable_v0_3_compat else "1.0"
            return VersionNotSupportedError(
                message=f"{method} is of A2A {version[:20] or '0.3'}; served is {served}"
            )
        return None

    def _generate_error_response(
        self, request_id: Id, error: Exception | JSONRPCError | A2AError
    ) -> JSONResponse:
        if isinstance(
            error, BareInternalError
        ):  # holds the text of whatever was raised, which the SDK has logged
            error = InternalError(message="internal error")
        elif isinstance(error, BareParseError):
            error = BareParseError(message="the body is not JSON")
        elif isinstance(error, A2AError) and (text := (error.data or {}).get(TEXT)) is not None:
            error = ENVELOPE if isinstance(error, InvalidRequestError) else unreadable(str(text))
        return super()._generate_error_response(request_id, error)


class _Answer(Response):
    """JSON that is ready to be sent."""

    def __init__(self, body: bytes) -> None:
        self.status_code, self.background, self.body = 200, None, body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]


#: What nearly all calls are.
_PLAIN: dict[str, type[SendMessageRequest] | type[GetTaskRequest] | type[SubscribeToTaskRequest]] = {
    "SendMessage": SendMessageRequest,
    "SendStreamingMessage": SendMessageRequest,
    "SubscribeToTask": SubscribeToTaskRequest,
    "GetTask": GetTaskRequest,
}
#: Those that are answered with a stream, and the operation behind each.
_STREAMS = {"SendStreamingMessage": "on_message_send_stream", "SubscribeToTask": "on_subscribe_to_task"}
#: What an event is called in A2A's StreamResponse.
_NAMES: dict[type[Any], str] = {
    Task: "task",
    Message: "message",
    TaskStatusUpdateEvent: "statusUpdate",
    TaskArtifactUpdateEvent: "artifactUpdate",
}


def _wrong_state(name: Any) -> A2AError | None:
    """protobuf takes a state that it does not know for none at all."""
    try:
        require_state(name)
    except InvalidParamsError as error:
        return error
    return None


def _event(happened: Any, call_id: Id, number: str) -> bytes:
    """One event of a stream: a JSON-RPC response that holds a StreamResponse."""
    result = {_NAMES[type(happened)]: to_dict(happened)}
    return event(to_json({"jsonrpc": "2.0", "id": call_id, "result": result}), number=number)


def _plain_call(body: Any) -> tuple[str, Any] | None:
    """Method and parameters of a call that has nothing unusual; the dispatcher has the words for all others."""
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0" or _id_of(body) is None:
        return None
    method = body.get("method")
    model = _PLAIN.get(method) if isinstance(method, str) else None
    if model is None or method is None:
        return None
    try:
        return method, from_dict(body.get("params", {}), model())
    except ProtobufError:
        return None


def _id_of(body: Any) -> Id:
    """The id to answer under: null if there is none that JSON-RPC allows."""
    given = body.get("id") if isinstance(body, dict) else None
    return given if isinstance(given, str | int) and not isinstance(given, bool) else None
