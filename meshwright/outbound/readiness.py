"""How a server of this mesh stands, by what its `/readyz` tells: starting, ready or leaving, how busy, and which instance it is.

Nothing in it is trusted to be short or well formed: what is not understood is as if it had not been said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import httpx
from pydantic_core import from_json

from meshwright.clipping import clipped
from meshwright.outbound.breaker import State

#: Bytes of an answer that are read.
MOST = 262_144
#: Seconds for which an instance counts after it was seen: behind one address each look meets one of them.
LATELY = 180.0
#: Instances of one address that are remembered, and tool servers of one.
INSTANCES, TOOLS = 100, 50


class NotUnderstood(httpx.HTTPError):
    """The answer is too long, or no JSON."""


@dataclass(frozen=True, slots=True)
class Load:
    """Places that are taken, places there are, and who waits for one."""

    taken: int
    limit: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Look:
    """One look at `/readyz`. `starting` says what it still waits for; empty if it is ready, leaves, or does not know the question."""

    starting: str = ""
    draining: bool = False
    instance: str = ""
    load: Load | None = None
    #: Each tool server that it uses, and how its breaker stands there.
    tools: tuple[tuple[str, str], ...] = ()


async def document_of(
    http: httpx.AsyncClient, url: str, headers: Mapping[str, str] | None = None, most: int = MOST
) -> tuple[int, Any]:
    """The status and the JSON at `url`, as `fetched`. Raises httpx.HTTPError."""
    response, body = await fetched(http, url, headers or {}, most)
    try:
        return response.status_code, from_json(body)
    except ValueError:
        return response.status_code, None


async def fetched(
    http: httpx.AsyncClient, url: str, headers: Mapping[str, str], most: int
) -> tuple[httpx.Response, bytes]:
    """The answer at `url`, and its body, which is read no further than `most` bytes. Raises httpx.HTTPError."""
    body = bytearray()
    async with http.stream("GET", url, headers=dict(headers)) as response:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most:
                raise NotUnderstood("the answer is too long")
    return response, bytes(body)


async def name_of(http: httpx.AsyncClient, url: str) -> str:
    """The name one of our own servers gives at `/livez`; empty for others. Raises httpx.HTTPError."""
    status, document = await document_of(http, url + "/livez")
    return str(document.get("name", ""))[:120] if status == 200 and isinstance(document, dict) else ""


async def look_at(http: httpx.AsyncClient, url: str) -> Look:
    """What the server at `url` says of itself. Raises httpx.HTTPError when it cannot be reached."""
    status, document = await document_of(http, url + "/readyz")
    return read(status, document)


def read(status: int, document: Any) -> Look:
    """An answer of `/readyz`, as far as it is one."""
    if status not in (200, 503) or not isinstance(document, dict):
        return Look()
    waiting = document.get("waiting_for") if status == 503 else None
    starting = ", ".join(sorted(map(str, waiting))) if isinstance(waiting, dict) and waiting else ""
    instance = document.get("instance")
    return Look(
        f"still starting: {starting}"[:200] if starting else "",
        status == 503 and document.get("draining") is True,
        instance if isinstance(instance, str) and instance.isalnum() and len(instance) <= 64 else "",
        _load(document.get("places")),
        tuple(_tools(document.get("tools"))),
    )


def _load(places: Any) -> Load | None:
    if not isinstance(places, dict):
        return None
    found = [places.get(name) for name in ("taken", "limit", "waiting")]
    numbers = [each for each in found if isinstance(each, int) and 0 <= each < 2**31]
    return Load(*numbers) if len(numbers) == len(found) else None


def _tools(told: Any) -> Iterator[tuple[str, str]]:
    if isinstance(told, dict):
        for name, breaker in list(told.items())[:TOOLS]:
            state = breaker.get("state") if isinstance(breaker, dict) else None
            if isinstance(state, str) and state in get_args(State):
                yield clipped(name), state


async def still_starting(http: httpx.AsyncClient, url: str) -> str:
    """What the server at `url` still waits for; empty if it is ready, leaves, or does not know the question.

    Raises httpx.HTTPError when it cannot be reached.
    """
    return (await look_at(http, url)).starting


class Sightings:
    """Who was met at one address lately. Behind a load balancer that is one instance at a time, so the number comes with the looks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._met: dict[str, tuple[float, Look]] = {}
        #: The last look at any of them, and when that was, by the clock.
        self.last, self.at = Look(), float("-inf")

    def note(self, look: Look) -> None:
        self.last, self.at = look, self._clock()
        if look.instance:
            self._met.pop(look.instance, None)
            self._met[look.instance] = (self.at, look)
            while len(self._met) > INSTANCES:
                del self._met[next(iter(self._met))]

    def lately(self) -> list[Look]:
        """The last look at each instance that was seen lately and is not leaving."""
        since = self._clock() - LATELY
        return [look for at, look in self._met.values() if at >= since and not look.draining]

    @property
    def load(self) -> Load | None:
        """Of all instances that were seen lately."""
        loads = [look.load for look in self.lately() or [self.last] if look.load is not None]
        if not loads:
            return None
        return Load(
            sum(each.taken for each in loads),
            sum(each.limit for each in loads),
            sum(each.waiting for each in loads),
        )
