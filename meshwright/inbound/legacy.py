"""A2A 0.3, where the card declares it: the SDK's adapters with what they get wrong.

They show the texts of the exceptions that their conversions raise, break a stream off where an error should be, and give no
`result` for a deletion, and no deletion over HTTP. A configuration that was set without an id is the one that is got without one.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

from a2a.compat.v0_3.a2a_v0_3_pb2 import SendMessageRequest
from a2a.compat.v0_3.conversions import to_core_get_task_request, to_core_send_message_request
from a2a.compat.v0_3.jsonrpc_adapter import JSONRPC03Adapter
from a2a.compat.v0_3.request_handler import RequestHandler03
from a2a.compat.v0_3.rest_adapter import REST03Adapter
from a2a.compat.v0_3.rest_handler import REST03Handler
from a2a.compat.v0_3.types import (
    DeleteTaskPushNotificationConfigParams,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigParams,
)
from a2a.server.jsonrpc_models import InternalError as BareInternalError
from a2a.server.jsonrpc_models import InvalidRequestError as BareInvalidRequestError
from a2a.utils.error_handlers import build_rest_error_payload
from a2a.utils.errors import JSON_RPC_ERROR_CODE_MAP, A2AError, InternalError, InvalidParamsError
from a2a.utils.version_validator import validate_version
from google.protobuf.json_format import Error as ProtobufError
from google.protobuf.json_format import MessageToJson, ParseDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from meshwright.card import LEGACY_VERSION
from meshwright.inbound.admission import PARSED
from meshwright.inbound.eventstream import EventStream, event
from meshwright.inbound.sanitised import Discretion

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.server.jsonrpc_models import JSONRPCError
    from a2a.server.request_handlers import RequestHandler
    from starlette.types import Message

    from meshwright.inbound.context import HttpContexts

DELETE = "tasks/pushNotificationConfig/delete"
PUSH_CONFIG = "/v1/tasks/{id}/pushNotificationConfigs/{push_id}"
#: What a conversion raises for what it cannot read.
_CONFUSED = (ValueError, TypeError, LookupError, AttributeError, ProtobufError)


class LegacyDoor(JSONRPC03Adapter):
    """The methods of 0.3 over JSON-RPC."""

    def __init__(self, handler: RequestHandler, contexts: HttpContexts) -> None:
        super().__init__(handler, contexts)
        self.handler = Legacy(handler)

    async def _process_non_streaming_request(
        self, request_id: str | int | None, request_obj: Any, context: ServerCallContext
    ) -> JSONResponse:
        answer: JSONResponse = await super()._process_non_streaming_request(request_id, request_obj, context)
        if request_obj.method == DELETE:
            return JSONResponse({"jsonrpc": "2.0", "id": request_id, "result": None})
        return answer

    def _generate_error_response(self, request_id: Any, error: Exception | JSONRPCError) -> JSONResponse:
        if isinstance(error, BareInternalError):
            error = InternalError(message="internal error")
        elif isinstance(error, BareInvalidRequestError):  # the envelope was right, so it is about the params
            error = InvalidParamsError(message="the params are not those of this method in A2A 0.3")
        return super()._generate_error_response(request_id, error)


class LegacyRest(REST03Adapter):
    """The operations of 0.3 over HTTP+JSON."""

    handler: LegacyOperations

    def __init__(self, handler: RequestHandler, contexts: HttpContexts) -> None:
        super().__init__(handler, contexts)
        self.handler = LegacyOperations(handler)

    def routes(self) -> dict[tuple[str, str], Any]:
        delete = partial(self._handle_request, self.handler.delete_push_notification)
        return {**super().routes(), (PUSH_CONFIG, "DELETE"): delete}

    async def _handle_request(self, method: Any, request: Request) -> Response:
        try:
            return JSONResponse(await method(request, self._context_builder.build(request)))
        except _CONFUSED:
            return refused(InvalidParamsError(message="the request cannot be read as one of A2A 0.3"))
        except A2AError as error:
            return refused(error)

    async def _handle_streaming_request(self, method: Any, request: Request) -> Response:
        try:
            stream = aiter(method(request, self._context_builder.build(request)))
            first = await anext(stream)
        except _CONFUSED:
            return refused(InvalidParamsError(message="the request cannot be read as one of A2A 0.3"))
        except A2AError as error:
            return refused(error)
        return EventStream(_chunks(first, stream))


class LegacyOperations(REST03Handler):
    """Reads what the specification of 0.3 says, too: the SDK's handler reads only what its own clients, in Python, write."""

    def __init__(self, handler: RequestHandler) -> None:
        super().__init__(handler)
        self.handler03 = Legacy(handler)

    async def on_message_send(self, request: Request, context: ServerCallContext) -> dict[str, Any]:
        return await super().on_message_send(_with_files_encoded_twice(request), context)

    async def on_message_send_stream(
        self, request: Request, context: ServerCallContext
    ) -> AsyncIterator[dict[str, Any]]:
        async for each in super().on_message_send_stream(_with_files_encoded_twice(request), context):
            yield each

    async def set_push_notification(self, request: Request, context: ServerCallContext) -> dict[str, Any]:
        """The configuration is the body; theirs have it below `config`, and the task's name beside it."""
        body = request.scope.get(PARSED)
        if isinstance(body, dict) and "config" not in body:
            below = {"parent": f"tasks/{request.path_params['id']}", "config": body}
            request = _with_body(request, json.dumps(below))
        return await super().set_push_notification(request, context)

    @validate_version(LEGACY_VERSION)
    async def delete_push_notification(self, request: Request, context: ServerCallContext) -> dict[str, Any]:
        params = DeleteTaskPushNotificationConfigParams(
            id=request.path_params["id"], push_notification_config_id=request.path_params["push_id"]
        )
        asked = DeleteTaskPushNotificationConfigRequest(id="", params=params)
        await self.handler03.on_delete_task_push_notification_config(asked, context)
        return {}


class Legacy(RequestHandler03):
    """Looks at what the caller sent before an answer begins: the SDK shows what is raised in the middle of a stream."""

    async def on_message_send(self, request: Any, context: ServerCallContext) -> Any:
        _require_convertible(request)
        return await super().on_message_send(request, context)

    async def on_message_send_stream(self, request: Any, context: ServerCallContext) -> AsyncIterator[Any]:
        _require_convertible(request)
        with Discretion():
            async for each in super().on_message_send_stream(request, context):
                yield each

    async def on_get_task(self, request: Any, context: ServerCallContext) -> Any:
        _require_length(request)
        return await super().on_get_task(request, context)

    async def on_create_task_push_notification_config(self, request: Any, context: ServerCallContext) -> Any:
        config = request.params.push_notification_config
        config.id = config.id or request.params.task_id
        return await super().on_create_task_push_notification_config(request, context)

    async def on_get_task_push_notification_config(self, request: Any, context: ServerCallContext) -> Any:
        params = request.params
        if not getattr(params, "push_notification_config_id", None):
            request = request.model_copy(update={"params": _named(params.id)})
        return await super().on_get_task_push_notification_config(request, context)


def refused(error: A2AError) -> JSONResponse:
    """An error of 0.3's HTTP+JSON: by the name of its type and by its number, as clients of that version look for it, and as 1.0 has it."""
    content = build_rest_error_payload(error)
    number = JSON_RPC_ERROR_CODE_MAP.get(type(error), JSON_RPC_ERROR_CODE_MAP[InternalError])
    told = {"code": number, "type": type(error).__name__, "message": error.message, **content}
    return JSONResponse(told, content["error"]["code"])


async def _chunks(first: Any, stream: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    try:
        yield event(json.dumps(first).encode())
        async for each in stream:
            yield event(json.dumps(each).encode())
    except A2AError as error:
        yield event(json.dumps(build_rest_error_payload(error)).encode(), "error")


def _with_files_encoded_twice(request: Request) -> Request:
    """The specification, and clients in JavaScript, encode the bytes of a file once; theirs, and so the SDK's handler, twice."""
    asked = SendMessageRequest()
    ParseDict(request.scope.get(PARSED, {}), asked, ignore_unknown_fields=True)
    once = [part.file for part in asked.request.content if not _is_base64(part.file.file_with_bytes)]
    for file in once:
        file.file_with_bytes = b64encode(file.file_with_bytes)
    return _with_body(request, MessageToJson(asked)) if once else request


def _is_base64(content: bytes) -> bool:
    try:
        b64decode(content, validate=True)
    except ValueError:
        return False
    return True


def _with_body(request: Request, body: str) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    return Request(request.scope, receive)


def _named(task_id: str) -> GetTaskPushNotificationConfigParams:
    return GetTaskPushNotificationConfigParams(id=task_id, push_notification_config_id=task_id)


def _require_convertible(request: Any) -> None:
    try:
        to_core_send_message_request(request)
    except _CONFUSED:
        raise InvalidParamsError(message="the message cannot be read as one of A2A 0.3") from None


def _require_length(request: Any) -> None:
    try:
        to_core_get_task_request(request)
    except _CONFUSED:
        raise InvalidParamsError(message="historyLength is not what A2A has there") from None
