"""Names the caller of every request before anything else reads it. See `identity` for what a token is."""

from __future__ import annotations

import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from meshwright.errors import Unauthenticated
from meshwright.inbound.headers import headers_of
from meshwright.inbound.identity import Caller, Trust

#: Open to everyone: who we are, and whether we live. Neither says anything about a customer.
OPEN_PATHS = ("/livez", "/readyz", "/.well-known/")
KEY = "mesh.caller"
#: When the request came: a deadline counts from here, not from when a busy server comes to read it.
ARRIVED = "mesh.arrived"


class CallerUser:
    """The caller in the shape that Starlette and a2a-sdk look for in `scope["user"]`."""

    def __init__(self, caller: Caller) -> None:
        self.is_authenticated = bool(caller.name)
        self.display_name = caller.name
        self.identity = caller.name


class Doorman:
    """ASGI middleware: puts a Caller into the scope, or answers 401."""

    def __init__(self, app: ASGIApp, *, trust: Trust) -> None:
        self._app = app
        self._trust = trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                caller = self._trust.caller(headers_of(scope).get("authorization"))
            except Unauthenticated as error:
                if not scope["path"].startswith(OPEN_PATHS):
                    refusal = JSONResponse(
                        {"error": {"code": 401, "message": str(error)}}, 401, {"www-authenticate": "Bearer"}
                    )
                    return await refusal(scope, receive, send)
                caller = Caller()
            scope[KEY] = caller
            scope[ARRIVED] = time.monotonic()
            scope["user"] = CallerUser(caller)
        return await self._app(scope, receive, send)


def caller_of(scope: Scope) -> Caller:
    """The Caller that the doorman put there."""
    caller = scope.get(KEY)
    return caller if isinstance(caller, Caller) else Caller()
