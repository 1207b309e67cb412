"""What a request over HTTP says besides its message: its media type, its version, and the extensions it knows.

The SDK reads them, but does not ask for what the card requires, and overlooks the version in the query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a.compat.v0_3.extension_headers import LEGACY_HTTP_EXTENSION_HEADER
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.server.context import ServerCallContext
from a2a.server.routes.common import DefaultServerCallContextBuilder
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.errors import ContentTypeNotSupportedError, ExtensionSupportRequiredError

from meshwright.inbound.doorman import ARRIVED
from meshwright.inbound.headers import all_of, headers_of

if TYPE_CHECKING:
    from a2a.types import AgentCard
    from starlette.requests import Request

#: As it stands in a context's `state["headers"]`, on every binding.
VERSION = VERSION_HEADER.lower()
_EXTENSIONS = (HTTP_EXTENSION_HEADER.lower(), LEGACY_HTTP_EXTENSION_HEADER.lower())


class HttpContexts(DefaultServerCallContextBuilder):
    """Builds the context of a call, and refuses one that the card does not allow."""

    def __init__(self, card: AgentCard) -> None:
        self._required = required_extensions(card)

    def build(self, request: Request) -> ServerCallContext:
        scope = request.scope
        headers = headers_of(scope)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            require_json(request)
        named = {uri for name in _EXTENSIONS for uri in get_requested_extensions(all_of(scope, name))}
        require_extensions(self._required, named)
        return ServerCallContext(
            user=self.build_user(request),
            state={
                "headers": {**headers, VERSION: version_of(request)},
                "scope": scope,
                "arrived": scope.get(ARRIVED),
            },
            requested_extensions=named,
        )


def version_of(request: Request) -> str:
    """The version of A2A that a request is written in, from its header or else its query; empty means 0.3."""
    return headers_of(request.scope).get(VERSION) or request.query_params.get(VERSION_HEADER, "")


def require_json(request: Request) -> None:
    """Raises ContentTypeNotSupportedError. Without a type a browser sends a body to us for any page that is open in it."""
    kind = headers_of(request.scope).get("content-type", "").partition(";")[0].strip().lower()
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
