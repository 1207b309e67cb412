"""The outermost wall: for whom a request is meant, and what a browser may do with the answer.

A page on the open web can make a browser call 127.0.0.1 under a name of its own (DNS rebinding). So on loopback only requests
for loopback's own names are heard, and on a public address only those for the name it is known by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse

from meshwright.inbound.headers import all_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from meshwright.settings import Settings

POLICY = "; ".join(
    (
        "default-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "object-src 'none'",
    )
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: Asked by probes, which know a pod's address and not its name.
PROBES = ("/livez", "/readyz")


class Guard:
    """ASGI middleware around everything. `hosts` are the names that are ours; none means any."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seal(MutableHeaders(scope=message))
            await send(message)

        if self._hosts and scope["path"] not in PROBES and not self._is_ours(scope):
            answer = PlainTextResponse("this console is not known under that name", 421)
            return await answer(scope, receive, sealed)
        return await self._app(scope, receive, sealed)

    def _is_ours(self, scope: Scope) -> bool:
        named = all_of(scope, "host")
        try:
            return len(named) == 1 and urlsplit(f"//{named[0]}").hostname in self._hosts
        except ValueError:
            return False


def seal(headers: MutableHeaders) -> None:
    """Put on an answer what a browser must keep to; pages are not kept anywhere unless they say so themselves."""
    for name, value in _HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")


def hosts_of(settings: Settings) -> frozenset[str]:
    """The names under which the console is to be called; none where nobody has said by which it is known."""
    public = _public(settings)
    return frozenset({public}) | LOOPBACK if is_near(settings) else frozenset({public} - {""})


def is_near(settings: Settings) -> bool:
    """Whether only browsers on this machine reach it: it listens there, or in a container whose port is published there."""
    public = _public(settings)
    return public in LOOPBACK or (settings.is_loopback and not public)


def _public(settings: Settings) -> str:
    return (urlsplit(settings.public_url).hostname or "") if settings.public_url else ""
