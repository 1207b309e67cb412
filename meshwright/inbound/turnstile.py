"""A call to a tool server takes a place, waits for one, or is told at once when to come back: before anything is done for it.

What a place is, and who waits, stands in `places`. A write goes first: the run it belongs to has been through its gate, and ends
with it. A call that has its place is never cut here: a write that has begun runs to its end.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from meshwright.deadline import Deadline
from meshwright.errors import WIRE, InvalidRequest, Overloaded
from meshwright.extension import SCOPE_APPLY
from meshwright.inbound.doorman import caller_of
from meshwright.inbound.places import rank_of
from meshwright.toolserver import DEFAULT_SECONDS, MAX_SECONDS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from meshwright.inbound.places import Places


class Turnstile:
    """ASGI middleware around the calls (POST), behind the doorman: who has no place is answered 429 with `Retry-After`."""

    def __init__(self, app: ASGIApp, *, places: Places) -> None:
        self._app = app
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            by = Deadline.from_headers(headers, default=DEFAULT_SECONDS, ceiling=MAX_SECONDS)
        except InvalidRequest:
            return await self._app(scope, receive, send)  # refused there, in the words of its protocol
        rank = 0 if SCOPE_APPLY in caller_of(scope).scopes else rank_of(headers)
        try:
            await self._places.enter(by, rank)
        except Overloaded as error:
            return await _refusal(error)(scope, receive, send)
        began = time.monotonic()
        try:
            return await self._app(scope, receive, send)
        finally:
            self._places.leave(time.monotonic() - began)


def _refusal(error: Overloaded) -> JSONResponse:
    status = WIRE[Overloaded].status
    content = {"error": {"code": status, "message": str(error)}}
    return JSONResponse(content, status, headers={"retry-after": str(round(error.retry_after))})
