"""Where a client is in a stream: each event goes out under the version of the task that it made, and who was cut off says which came last.

These are the ids of server-sent events (WHATWG HTML, 9.2): `id:` with each event, and `Last-Event-ID` when the client comes back. A task's
versions are the same on every replica, so it may come back to any. gRPC has no place for them.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from a2a.server.context import ServerCallContext
    from starlette.types import Scope

HEADER = "last-event-id"
#: Where a context, and the scope of its request, have the version of the event that was told last.
_KEY = "mesh.seen"
#: Digits of a version, at most: what is longer is not ours.
_DIGITS = 12


def seen_by(context: ServerCallContext) -> int:
    """The version that the client has seen, as it says; 0 if it does not, or says what is no version."""
    said: str = context.state.get("headers", {}).get(HEADER, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _DIGITS else 0


def note(context: ServerCallContext, version: int) -> None:
    """The next event that goes out made the task this version."""
    context.state[_KEY] = version
    if (scope := context.state.get("scope")) is not None:
        scope[_KEY] = version


def noted(place: Mapping[str, Any]) -> str:
    """The id of the event that goes out now, from the state of its context or the scope of its request; empty for none."""
    return str(place.get(_KEY, ""))


async def numbered(chunks: AsyncGenerator[Any, None], scope: Scope) -> AsyncGenerator[Any, None]:
    """The SDK's events, with their ids."""
    async with aclosing(chunks):
        async for chunk in chunks:
            chunk.id = noted(scope) or None
            yield chunk
