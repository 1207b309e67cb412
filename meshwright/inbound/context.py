"""What a request over HTTP says besides its message: its media type, its version, and the extensions it knows.

The SDK reads them, but does not ask for what the card requires, and overlooks the version in the query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a.compat.v0_3.extension_headers import LEGACY_HTTP_EXTENSION_HEADER
from a2a.extensions.common import get_requested_extensions
from a2a.server.routes.common import DefaultServerCallContextBuilder
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.errors import ContentTypeNotSupportedError, ExtensionSupportRequiredError

from meshwright.inbound.departure import RECEIVE
from meshwright.inbound.doorman import ARRIVED

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.types import AgentCard
    from starlette.requests import Request

#: As it stands in a context's `state["headers"]`, on every binding.
VERSION = VERSION_HEADER.lower()


class HttpContexts(DefaultServerCallContextBuilder):
    """Builds the context of a call, and refuses one that the card does not allow."""

    def __init__(self, card: AgentCard) -> None:
        self._required = required_extensions(card)

    def build(self, request: Request) -> ServerCallContext:
        if _has_body(request):
            require_json(request)
        context = super().build(request)
        context.state[RECEIVE] = request.receive
        context.state["scope"], context.state["arrived"] = request.scope, request.scope.get(ARRIVED)
        context.state["headers"][VERSION] = version_of(request)
        context.state["headers"] |= repeated(request)
        legacy = request.headers.getlist(LEGACY_HTTP_EXTENSION_HEADER)
        context.requested_extensions |= get_requested_extensions(legacy)
        require_extensions(self._required, context.requested_extensions)
        return context


def version_of(request: Request) -> str:
    """The version of A2A that a request is written in, from its header or else its query; empty means 0.3."""
    return request.headers.get(VERSION) or request.query_params.get(VERSION_HEADER, "")


def repeated(request: Request) -> dict[str, str]:
    """Those of the mesh's headers that came more than once, joined as gRPC's metadata are: taking one of them is taking sides."""
    names = [name for name in request.headers.keys() if name.startswith("x-mesh-")]  # noqa: SIM118 (repeats itself)
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    return {name: ", ".join(request.headers.getlist(name)) for name in twice}


def require_json(request: Request) -> None:
    """Raises ContentTypeNotSupportedError. Without a type a browser sends a body to us for any page that is open in it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ContentTypeNotSupportedError(
            message="Incompatible content types: send application/json or application/a2a+json"
        )


def required_extensions(card: AgentCard) -> frozenset[str]:
    """Those that a caller of `card` has to know."""
    return frozenset(extension.uri for extension in card.capabilities.extensions if extension.required)


def require_extensions(required: frozenset[str], requested: set[str]) -> None:
    """Raises ExtensionSupportRequiredError, naming what the caller has to know."""
    if missing := sorted(required - requested):
        raise ExtensionSupportRequiredError(
            message=f"this agent asks for the extension {', '.join(missing)}: name it in A2A-Extensions"
        )


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
