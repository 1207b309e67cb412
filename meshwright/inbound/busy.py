"""A refusal that asks to come back later: the status and the `Retry-After` that clients, proxies and meshes understand.

A2A has no error of its own for it, and the SDK's bindings no header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a2a.utils.errors import InternalError

from meshwright.errors import MeshError, wire_of

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Where the scope of a request says that its answer is such a refusal.
KEY = "mesh.busy"
#: Seconds to wait where nobody knows better.
SOON = 1.0


class Busy(InternalError):
    """What could not be taken now. `status` is HTTP's, `retry_after` in whole seconds."""

    def __init__(self, error: MeshError) -> None:
        super().__init__(message=str(error))
        self.status = wire_of(error).status
        self.retry_after = max(1, round(getattr(error, "retry_after", None) or SOON))

    def note(self, context: ServerCallContext) -> None:
        """Leave word for the binding, where that is one over HTTP."""
        scope: dict[str, Any] | None = context.state.get("scope")
        if scope is not None:
            scope[KEY] = self


class RetryAfter:
    """ASGI middleware: gives an answer that `Busy` left word for its status and its header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start" and KEY in scope:
                busy: Busy = scope.pop(KEY)
                message["status"] = busy.status
                after = (b"retry-after", str(busy.retry_after).encode())
                message["headers"] = [*message.get("headers", ()), after]
            await send(message)

        return await self._app(scope, receive, telling)
