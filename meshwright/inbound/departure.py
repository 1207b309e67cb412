"""A caller that goes away before its answer: its task goes on, unless it said beforehand that its going is a cancel.

Tasks are durable, and a caller that lost its connection comes back to its own (or makes it again under the same messageId). Who
will never come back says so with the header, and nobody works for it any more. That holds for the connection on which the message
came, while it waits for the answer there; a server that dies is no disconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext

HEADER = "x-mesh-on-disconnect"
#: The one word that it may hold; whatever else it holds asks for nothing.
CANCEL = "cancel"
#: Where a context over HTTP has the ASGI `receive` of its request.
RECEIVE = "receive"


#: For a caller that asks for nothing: its task goes on.
_GOING_ON = nullcontext()


class Departures:
    """Cancels the tasks of callers that have gone. `cancel` ends a task by its id for the caller of a context."""

    def __init__(self, cancel: Callable[[str, ServerCallContext], Awaitable[object]]) -> None:
        self._cancel = cancel
        self._cancelling: set[asyncio.Future[object]] = set()

    def minded(
        self, task_id: str, context: ServerCallContext, *, streams: bool = False
    ) -> AbstractAsyncContextManager[None]:
        """Around the wait for a task's end. A stream is ended by its server when nobody listens; a plain wait has to look."""
        if context.state.get("headers", {}).get(HEADER, "").strip().lower() != CANCEL:
            return _GOING_ON
        return self._minded(task_id, context, streams)

    @asynccontextmanager
    async def _minded(self, task_id: str, context: ServerCallContext, streams: bool) -> AsyncIterator[None]:
        receive = None if streams else context.state.get(RECEIVE)
        looking = asyncio.ensure_future(self._look(receive, task_id, context)) if receive else None
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self._spawn(task_id, context)
            raise
        finally:
            if looking is not None:
                looking.cancel()

    async def _look(self, receive: Any, task_id: str, context: ServerCallContext) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._spawn(task_id, context)

    def _spawn(self, task_id: str, context: ServerCallContext) -> None:
        cancelling = asyncio.ensure_future(self._cancel(task_id, context))
        self._cancelling.add(cancelling)
        cancelling.add_done_callback(self._cancelling.discard)
