"""Tells the caller which of the extensions it asked for are active: those that the card declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a.compat.v0_3.extension_headers import LEGACY_HTTP_EXTENSION_HEADER
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions

from meshwright.inbound.headers import all_of, headers_of

if TYPE_CHECKING:
    from a2a.types import AgentCard
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Callers that speak 0.3 know only the second one.
_HEADERS = (HTTP_EXTENSION_HEADER.lower(), LEGACY_HTTP_EXTENSION_HEADER.lower())


def activated(card: AgentCard, requested: set[str]) -> list[str]:
    """The extensions of `card` that were asked for, in its order."""
    return [extension.uri for extension in card.capabilities.extensions if extension.uri in requested]


class ExtensionEcho:
    """ASGI middleware: answers the header `A2A-Extensions` with the same header, less what the card does not declare."""

    def __init__(self, app: ASGIApp, *, card: AgentCard) -> None:
        self._app = app
        self._card = card

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        known = [(name, self._active(scope, name)) for name in _HEADERS if name in headers_of(scope)]
        echo = [(name.encode(), uris.encode("latin-1")) for name, uris in known if uris]
        if not echo:
            return await self._app(scope, receive, send)

        async def echoing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *echo]
            await send(message)

        return await self._app(scope, receive, echoing)

    def _active(self, scope: Scope, name: str) -> str:
        return ", ".join(activated(self._card, get_requested_extensions(all_of(scope, name))))
