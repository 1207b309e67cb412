"""The gRPC binding: the SDK's service with what it leaves out. Imported only where grpc is installed.

It does not look at the version, knows no caller, drops the metadata and the deadline of the call, and tells whoever calls
what was raised inside.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from a2a.auth.user import User
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.server.request_handlers.grpc_handler import DefaultGrpcServerCallContextBuilder, GrpcHandler
from a2a.types import SendMessageRequest
from a2a.utils.errors import (
    A2A_ERROR_REASONS,
    A2AError,
    InternalError,
    InvalidParamsError,
    VersionNotSupportedError,
)
from google.protobuf.json_format import Error as NotJson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from meshwright import deadline
from meshwright.errors import Unauthenticated
from meshwright.extension import TRAILING_CODE
from meshwright.inbound.admission import MAX_DEPTH
from meshwright.inbound.busy import Busy
from meshwright.inbound.context import VERSION, is_current, require_extensions, required_extensions
from meshwright.inbound.extensions import activated

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.server.request_handlers import RequestHandler
    from a2a.types import AgentCard
    from google.protobuf.message import Message

    from meshwright.inbound.identity import Caller, Trust

T = TypeVar("T")

#: The most milliseconds that fit into the deadline's header.
_LONGEST = 999_999_999_999
_EXTENSIONS = HTTP_EXTENSION_HEADER.lower()


class Stranger(A2AError):
    """The caller did not say who it is, or is not believed. A2A has no error of its own for that; gRPC has a status."""


class Unread:
    """In the place of a request that protobuf cannot read: gRPC would answer with what was raised, and fill our log with it."""

    tenant = ""


class Reading(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets a request that cannot be read get as far as the service, which has an answer to it."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return handler._replace(request_deserializer=partial(_read, handler.request_deserializer))


def _read(parse: Callable[[bytes], Message], body: bytes) -> Message | Unread:
    try:
        return parse(body)
    except DecodeError:
        return Unread()


class Known(User):
    """The caller, for the SDK."""

    def __init__(self, caller: Caller) -> None:
        self._name = caller.name

    @property
    def is_authenticated(self) -> bool:
        return bool(self._name)

    @property
    def user_name(self) -> str:
        return self._name


class GrpcContexts(DefaultGrpcServerCallContextBuilder):
    """Builds the context of a call as over HTTP, `state["headers"]` included, and refuses what the card does not allow."""

    def __init__(self, card: AgentCard, trust: Trust) -> None:
        self._required = required_extensions(card)
        self._trust = trust

    def build(self, context: grpc.aio.ServicerContext) -> ServerCallContext:
        built = super().build(context)
        headers = metadata_of(context)
        version = headers.get(VERSION, "").partition(",")[0].strip() or "0.3"
        if not is_current(version):
            raise VersionNotSupportedError(message=f"A2A version {version[:20]!r} is not served here; 1.0 is")
        require_extensions(self._required, built.requested_extensions)
        built.state["headers"] = headers
        return built

    def build_user(self, context: grpc.aio.ServicerContext) -> User:
        try:
            return Known(self._trust.caller(metadata_of(context).get("authorization")))
        except Unauthenticated as error:
            raise Stranger(str(error)) from None


class GrpcService(GrpcHandler):
    """All operations over gRPC. Raises nothing that `abort_context` has no status for; `handler` is a sanitised one."""

    def __init__(self, handler: RequestHandler, contexts: GrpcContexts, card: AgentCard) -> None:
        super().__init__(handler, contexts)
        self._card = card

    async def _handle_unary(
        self,
        request: Message,
        context: grpc.aio.ServicerContext,
        handler_func: Callable[[ServerCallContext], Awaitable[T]],
        default_response: T,
    ) -> T:
        await self._echo(context)
        return await super()._handle_unary(request, context, handler_func, default_response)

    async def _handle_stream(
        self,
        request: Message,
        context: grpc.aio.ServicerContext,
        handler_func: Callable[[ServerCallContext], AsyncIterable[T]],
    ) -> AsyncIterable[T]:
        await self._echo(context)
        async for item in super()._handle_stream(request, context, handler_func):
            yield item

    async def _echo(self, context: grpc.aio.ServicerContext) -> None:
        requested = get_requested_extensions([metadata_of(context).get(_EXTENSIONS, "")])
        if active := activated(self._card, requested):
            await context.send_initial_metadata(((_EXTENSIONS, ", ".join(active)),))

    def _build_call_context(self, context: grpc.aio.ServicerContext, request: Message) -> ServerCallContext:
        built = super()._build_call_context(context, request)
        if isinstance(request, Unread):
            raise InvalidParamsError(
                message="the request is not what this operation takes, or nested too deep"
            )
        if isinstance(request, SendMessageRequest):
            require_json_values(request)
            if not request.configuration.return_immediately:  # else the call ends, and the work goes on
                shorten(built.state["headers"], context.time_remaining())
        return built

    async def abort_context(self, error: A2AError, context: grpc.aio.ServicerContext) -> None:
        if isinstance(error, Stranger):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        if isinstance(error, Busy):
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if error.status == 429 else grpc.StatusCode.UNAVAILABLE
            await context.abort(code, str(error), (("retry-after", str(error.retry_after)),))
        if code := (error.data or {}).get(
            "code"
        ):  # the SDK gives it back over HTTP, as the ErrorInfo's metadata
            context.set_trailing_metadata(((TRAILING_CODE, str(code)),))
        known = type(error) in A2A_ERROR_REASONS
        await super().abort_context(error if known else InternalError(message="internal error"), context)


def metadata_of(context: grpc.aio.ServicerContext) -> dict[str, str]:
    """The texts among a call's metadata, as HTTP has them: lower-case names, repeated values joined by commas."""
    headers: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def shorten(headers: dict[str, str], left: float | None) -> None:
    """Let the call's own deadline, in seconds from now, stand in the header of ours. It may only shorten what is there."""
    if left is None:
        return
    ours, theirs = headers.get(deadline.HEADER), min(int(left * 1000), _LONGEST)
    # What is no number is left for whoever reads the header: they refuse it.
    if ours is None or (ours.isascii() and ours.isdigit() and len(ours) <= 12 and int(ours) > theirs):
        headers[deadline.HEADER] = str(theirs)


def require_json_values(request: SendMessageRequest) -> None:
    """Raises InvalidParamsError for NaN and infinities, which protobuf carries and the JSON bindings cannot give back, and for
    what is nested deeper than they take: with a list of tasks around it, it could not be read."""
    try:
        content = MessageToDict(request)
    except (NotJson, ValueError):
        raise InvalidParamsError(message="the message holds a number that JSON does not know") from None
    if _levels(content) > MAX_DEPTH:
        raise InvalidParamsError(message=f"the message is nested deeper than {MAX_DEPTH} levels")


def _levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_levels, inner), default=0)
