"""What answers while a process still starts: who it is, that it lives, and that it is not ready.

The port is open before the app is imported, which takes most of a start. So whoever looks for this process finds its card at
once, and knows from `/readyz` that it has to wait; nobody sees a refused connection. Then each request goes to the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshwright.inbound.cardroute import card_routes
from meshwright.inbound.health import Readiness

if TYPE_CHECKING:
    from a2a.types import AgentCard
    from starlette.types import Receive, Scope, Send

#: Seconds after which a caller that came too early is told to come back.
SOON = 1
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Front:
    """ASGI app that stands before the one that `build` makes in a thread, and hands over when that has started.

    `card` is None for a server without one. `told` is called once, when the app is there or could not be: then `failure` says why.
    `left` is called in a thread when it has ended.
    """

    def __init__(
        self,
        name: str,
        card: AgentCard | None,
        public_url: str | None,
        build: Callable[[], Starlette],
        told: Callable[[], None],
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self.failure: BaseException | None = None
        self.app: Starlette | None = None
        self._build = build
        self._told = told
        self._left = left
        self._leaving = asyncio.Event()
        readiness = Readiness("start")
        readiness.name, readiness.instance = name, ""  # the instance is the app's, once it is there
        cards = card_routes(card, public_url) if card is not None else []
        self._cold = Starlette(
            routes=[*readiness.routes(), *cards, Route("/{path:path}", _too_early, methods=METHODS)]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        return await (self.app or self._cold)(scope, receive, send)

    def drain(self) -> None:
        """Tell the app, if it is there, that the process is asked to stop. Safe in a signal handler."""
        if self.app is not None and (drain := getattr(self.app.state, "drain", None)) is not None:
            drain()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        living = asyncio.create_task(self._live())
        living.add_done_callback(self._ended)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._leaving.set()
        await asyncio.wait({living})
        await asyncio.to_thread(self._left)
        await send({"type": "lifespan.shutdown.complete"})

    async def _live(self) -> None:
        app = await asyncio.to_thread(self._build)
        async with app.router.lifespan_context(app):
            self.app = app
            self._told()
            await self._leaving.wait()

    def _ended(self, living: asyncio.Task[None]) -> None:
        self.failure = None if living.cancelled() else living.exception()
        if self.app is None:
            self._told()


async def _too_early(request: Request) -> JSONResponse:
    why = {"error": {"code": 503, "message": f"still starting; ask again in {SOON} s"}}
    return JSONResponse(why, 503, headers={"retry-after": str(SOON)})
