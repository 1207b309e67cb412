"""The tools an agent may call: MCP over plain POST, one request per call.

The protocol of 2026-07-28 is stateless, so a call is one POST; a long-lived SDK client would lose every call in flight
with one dropped connection. Deadline, trace context and, for a write, the idempotency key ride in `_meta`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from meshwright.deadline import Deadline
from meshwright.errors import (
    Forbidden,
    MeshError,
    NotFound,
    Outcome,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerRefused,
    PeerTimedOut,
    PeerUnreachable,
    ToolRefused,
)
from meshwright.extension import META_DEADLINE, META_PRIORITY
from meshwright.inbound.identity import Identity
from meshwright.inbound.places import HEADER as PRIORITY
from meshwright.outbound.breaker import Attempt, Breaker, tells
from meshwright.outbound.hedge import Hedge
from meshwright.outbound.lost import broken, retry_after
from meshwright.outbound.readiness import still_starting
from meshwright.outbound.retry import Retries
from meshwright.outbound.session import Session
from meshwright.outbound.toolanswer import bounded, json_of, reason_in, result_of
from meshwright.records.metrics import Sample, of_target
from meshwright.records.tracing import trace_headers

if TYPE_CHECKING:
    from meshwright.grants.grant import Grant
    from meshwright.records.minutes import Minutes

PROTOCOL = "2026-07-28"
_SPEC = "io.modelcontextprotocol/"
#: Seconds that a look at a server may take, for a person who waits to see it.
LOOK_SECONDS = 2.0


@dataclass(slots=True)
class ToolHost:
    """One tool server: where it is, what it is called, what it offers, how it has been lately."""

    url: str
    breaker: Breaker
    name: str = ""
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    retries: Retries = field(default_factory=Retries, repr=False)
    hedge: Hedge = field(default_factory=Hedge, repr=False)
    #: Of many who need to know what it offers, one asks.
    learning: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


class Toolbox:
    """All tool servers of a process. `session` gives one job its view of them."""

    def __init__(
        self, urls: Sequence[str], http: httpx.AsyncClient, identity: Identity, *, hedge: bool = False
    ) -> None:
        self._hedges = hedge
        self.hosts = [ToolHost(url, Breaker(url, "tool")) for url in urls]
        self._http = http
        self._identity = identity
        self._ids = itertools.count(1)

    def session(
        self,
        *,
        by: Deadline,
        ticket: str = "",
        priority: str = "",
        minutes: Minutes | None = None,
        quiet: bool = False,
    ) -> Session:
        return Session(self, by, ticket, priority, minutes, quiet)

    @property
    def breakers(self) -> list[Breaker]:
        return [host.breaker for host in self.hosts]

    def grant(self, grant: Grant, host: ToolHost, by: Deadline) -> str:
        """`grant`, signed by this process for `host`. Raises ToolRefused for a process without a key."""
        if self._identity.signer is None:
            raise ToolRefused("a process without a key grants no write: set MESHWRIGHT_KEY")
        return grant.signed(self._identity.signer, host.name, by)

    def health(self) -> dict[str, Any]:
        """Each server's name and breaker, for `/readyz`."""
        return {"tools": {host.name or host.url: host.breaker.shown() for host in self.hosts}}

    def samples(self) -> Iterator[Sample]:
        """What is counted of each server, for `/metrics`."""
        for host in self.hosts:
            yield from of_target(host.breaker, host.retries, host.hedge)

    async def catalogue(self, by: Deadline) -> list[dict[str, Any]]:
        """Each server with its tools, asked anew; a server that does not answer is listed with the reason."""
        return await asyncio.gather(*(self._listed(host, by) for host in self.hosts))

    async def _listed(self, host: ToolHost, by: Deadline) -> dict[str, Any]:
        row: dict[str, Any] = {"url": host.url, "status": "ready"}
        try:
            await self._learn(host, by.at_most(LOOK_SECONDS))
        except MeshError as error:
            row |= {"status": await self._standing(host, error), "why": str(error)}
        breaker = {"breaker": host.breaker.state, "health": host.breaker.shown()}
        return {**row, "name": host.name, "tools": sorted(host.tools), **breaker}

    async def _standing(self, host: ToolHost, error: MeshError) -> str:
        """How a server stands that did not list its tools: cold, busy or unreachable."""
        if not isinstance(error, PeerOverloaded):
            return "unreachable"
        with contextlib.suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                return "cold" if await still_starting(self._http, host.url) else "busy"
        return "busy"

    async def schemas(self, by: Deadline) -> list[dict[str, Any]]:
        """Every tool's name, description, input schema and annotations, as its server lists them."""
        await asyncio.gather(*(self._learn(host, by) for host in self.hosts if not host.tools))
        return [tool for host in self.hosts for tool in host.tools.values()]

    async def host_of(self, tool: str, by: Deadline) -> ToolHost:
        """Who offers `tool`. Raises NotFound if nobody does, or what kept us from finding out."""
        if (found := self._offering(tool)) is not None:
            return found
        trouble: MeshError = NotFound(f"no tool server offers {tool!r}")
        # All at once: one that hangs must not take the time of those that come after it.
        learning = {asyncio.ensure_future(self._known(host, by)) for host in self.hosts if not host.tools}
        try:
            while learning:
                done, learning = await asyncio.wait(learning, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    try:
                        each.result()
                    except MeshError as error:
                        trouble = error
                if (found := self._offering(tool)) is not None:
                    return found
        finally:
            for each in learning:
                each.cancel()
            if learning:
                await asyncio.wait(learning)
        raise trouble

    async def _known(self, host: ToolHost, by: Deadline) -> None:
        """Learn what a server offers, or wait until somebody else has. Raises what kept us from it."""
        given = by.require()
        try:
            async with asyncio.timeout(given):
                await host.learning.acquire()
        except TimeoutError:
            why = f"what it offers was not known within {given:.1f} s"
            raise PeerTimedOut(host.name or host.url, why, tells=False) from None
        try:
            if not host.tools:
                await self._learn(host, by)
        finally:
            host.learning.release()

    def _offering(self, tool: str) -> ToolHost | None:
        return next((host for host in self.hosts if tool in host.tools), None)

    async def _learn(self, host: ToolHost, by: Deadline) -> None:
        if not host.name:
            hello = await host.retries.run(lambda: self._hello(host, by), by)
            host.name = host.breaker.peer = str(hello.get("name", "")) or host.url
        answer = await self.rpc(host, "tools/list", {}, by)
        listed = answer.get("tools")
        if not isinstance(listed, list):
            raise PeerAnsweredBadly(host.name, "its list of tools is not a list")
        host.tools = {str(tool["name"]): tool for tool in listed if isinstance(tool, dict) and "name" in tool}

    async def _hello(self, host: ToolHost, by: Deadline) -> dict[str, Any]:
        async with host.breaker.admit() as attempt:
            return await self._send(host, attempt, by, "GET", "/livez")

    async def rpc(
        self,
        host: ToolHost,
        method: str,
        params: dict[str, Any],
        by: Deadline,
        meta: dict[str, Any] | None = None,
        *,
        judge: Judge | None = None,
        patient: bool = False,
        read: bool = False,
        scope: str = "",
    ) -> dict[str, Any]:
        """The result of one request, as `judge` reads it. Tried again within the host's retry budget: it must do no harm.

        What `judge` raises tells the breaker how the host is. For `patient` see `Retries.run`; a `read` may be hedged.
        """

        async def once() -> dict[str, Any]:
            async with host.breaker.admit() as attempt:
                request = self._request(host, method, params, by, meta, scope)
                given = by.require()
                answer = await self._send(host, attempt, by, "POST", "/mcp", **request)
                result = result_of(host.name, answer, request["json"]["id"])
                return judge(host.name, result, given) if judge is not None else result

        async def hedged() -> dict[str, Any]:
            return await host.hedge.run(once, host.retries.budget)

        call = hedged if read and self._hedges else once
        return await host.retries.run(call, by, patient=patient)

    def _request(
        self,
        host: ToolHost,
        method: str,
        params: dict[str, Any],
        by: Deadline,
        meta: dict[str, Any] | None,
        scope: str,
    ) -> dict[str, Any]:
        left = by.headers()
        envelope = {
            _SPEC + "protocolVersion": PROTOCOL,
            _SPEC + "clientCapabilities": {},
            _SPEC + "clientInfo": {"name": self._identity.name or "meshwright", "version": "1"},
            META_DEADLINE: int(next(iter(left.values()))),
            **trace_headers(),
            **(meta or {}),
        }
        headers = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": PROTOCOL,
            "mcp-method": method,
            **({"mcp-name": params["name"]} if "name" in params else {}),
            **left,
            **({PRIORITY: envelope[META_PRIORITY]} if META_PRIORITY in envelope else {}),
            **trace_headers(),
            **self._identity.authorization(host.name, scope),
        }
        body = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": {**params, "_meta": envelope},
        }
        return {"headers": headers, "json": body}

    async def _send(
        self, host: ToolHost, attempt: Attempt, by: Deadline, method: str, path: str, **request: Any
    ) -> dict[str, Any]:
        """One request and its JSON. Raises what became of it."""
        name = host.name or host.url
        given = by.require()
        try:
            async with asyncio.timeout(given):
                async with self._http.stream(method, host.url + path, **request) as response:
                    body = await bounded(name, response)
        except TimeoutError:
            raise PeerTimedOut(name, f"no answer within {given:.1f} s", tells=tells(given, by)) from None
        except httpx.RequestError as error:
            raise broken(name, error) from None
        if response.status_code in (429, 503):
            why = reason_in(body) or f"answered {response.status_code}"
            raise PeerOverloaded(name, why, retry_after(response.headers))
        if response.status_code >= 500:
            raise PeerUnreachable(name, f"answered {response.status_code}")
        attempt.outcome = Outcome.WELL
        if response.status_code in (401, 403):
            raise Forbidden(f"{name} does not let {self._identity.name or 'us'} in: {reason_in(body)}")
        if response.status_code >= 400:
            raise PeerRefused(name, f"answered {response.status_code}: {reason_in(body)}")
        return json_of(name, response, body)


#: Reads a host's result, which was given so many seconds: (host's name, result, seconds) → content.
Judge = Callable[[str, dict[str, Any], float], dict[str, Any]]
