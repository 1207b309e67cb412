"""What a request over HTTP says besides its message: its media type, its version, and the extensions it knows.

The SDK reads them, but does not ask for what the card requires, and overlooks the version in the query.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from a2a.compat.v0_3.extension_headers import LEGACY_HTTP_EXTENSION_HEADER
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.server.context import ServerCallContext
from a2a.server.routes.common import DefaultServerCallContextBuilder
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    ExtensionSupportRequiredError,
    VersionNotSupportedError,
)

from meshwright.inbound.departure import RECEIVE
from meshwright.inbound.doorman import ARRIVED
from meshwright.inbound.headers import all_of, headers_of
from meshwright.mediatypes import essence

if TYPE_CHECKING:
    from a2a.types import AgentCard
    from starlette.requests import Request
    from starlette.types import Scope

#: As it stands in a context's `state["headers"]`, on every binding.
VERSION = VERSION_HEADER.lower()
_CURRENT, _LEGACY = re.compile(r"1\.0(\.\d+)?"), re.compile(r"0\.3(\.\d+)?")
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
        said = [name for name in _EXTENSIONS if name in headers]
        named = {uri for name in said for uri in get_requested_extensions(all_of(scope, name))}
        version = version_of(request)
        require_known(version)
        require_extensions(self._required, named)
        return ServerCallContext(
            user=self.build_user(request),
            state={
                "headers": {**headers, **repeated(scope), VERSION: version},
                "scope": scope,
                RECEIVE: request.receive,
                "arrived": scope.get(ARRIVED),
            },
            requested_extensions=named,
        )


def version_of(request: Request) -> str:
    """The version of A2A that a request is written in, from its header or else its query; empty means 0.3."""
    return headers_of(request.scope).get(VERSION) or request.query_params.get(VERSION_HEADER, "")


def is_current(version: str) -> bool:
    """Whether it is the 1.0 that is served here; the number of a patch says nothing (A2A, 3.6)."""
    return _CURRENT.fullmatch(version) is not None


def is_legacy(version: str) -> bool:
    """Whether it is 0.3, as a caller of that version says it, or says nothing."""
    return not version or _LEGACY.fullmatch(version) is not None


def require_known(version: str) -> None:
    """Raises VersionNotSupportedError for one that is served nowhere here: a 1.7 has a meaning that we do not know."""
    if not is_current(version) and not is_legacy(version):
        raise VersionNotSupportedError(message=f"A2A version {version[:20]!r} is not served here; 1.0 is")


def repeated(scope: Scope) -> dict[str, str]:
    """Those of the mesh's headers that came more than once, joined as gRPC's metadata are: taking one of them is taking sides."""
    names = [name for name, _ in scope["headers"] if name.startswith(b"x-mesh-")]
    if len(names) == len(set(names)):
        return {}
    twice = {name.decode("latin-1") for name in names if names.count(name) > 1}
    return {name: ", ".join(all_of(scope, name)) for name in twice}


def require_json(request: Request) -> None:
    """Raises ContentTypeNotSupportedError. Without a type a browser sends a body to us for any page that is open in it."""
    kind = essence(headers_of(request.scope).get("content-type", ""))
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
