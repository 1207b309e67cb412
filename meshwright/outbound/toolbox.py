"""The tools an agent may call: MCP over plain POST, one request per call.

The protocol of 2026-07-28 is stateless, so a call is one POST; a long-lived SDK client would lose every call in flight
with one dropped connection. Deadline, trace context and, for a write, the idempotency key ride in `_meta`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from meshwright.deadline import Deadline
from meshwright.errors import (
    Forbidden,
    MeshError,
    NotFound,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerRefused,
    PeerTimedOut,
    PeerUnreachable,
    ToolRefused,
)
from meshwright.extension import (
    META_DEADLINE,
    META_KEY,
    META_TICKET,
    RAN_LATE,
    SCOPE_APPLY,
    effect_hash,
)
from meshwright.inbound.identity import Identity
from meshwright.outbound.breaker import FLOOR, Breaker, tells
from meshwright.outbound.readiness import still_starting
from meshwright.records.tracing import span, trace_headers

PROTOCOL = "2026-07-28"
_SPEC = "io.modelcontextprotocol/"
_SDK_PREFIX = re.compile(r"^Error executing tool \w+: ")
#: What the SDK says, without a reason, of an exception that the tool did not mean to raise.
_BROKE = re.compile(r"^Error executing tool \w+$")
MAX_ANSWER = 4_194_304
#: Seconds that a look at a server may take, for a person who waits to see it.
LOOK_SECONDS = 2.0


@dataclass(slots=True)
class ToolHost:
    """One tool server: where it is, what it is called, what it offers, how it has been lately."""

    url: str
    breaker: Breaker
    name: str = ""
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)


class Toolbox:
    """All tool servers of a process. `session` gives one job its view of them."""

    def __init__(self, urls: Sequence[str], http: httpx.AsyncClient, identity: Identity) -> None:
        self._hosts = [ToolHost(url, Breaker(url)) for url in urls]
        self._http = http
        self._identity = identity
        self._ids = itertools.count(1)
        self._learning = asyncio.Lock()

    def session(self, *, by: Deadline, ticket: str = "") -> Session:
        return Session(self, by, ticket)

    def health(self) -> dict[str, Any]:
        """Each server's name and breaker, for `/readyz`."""
        return {"tools": {host.name or host.url: host.breaker.state for host in self._hosts}}

    async def catalogue(self, by: Deadline) -> list[dict[str, Any]]:
        """Each server with its tools, asked anew; a server that does not answer is listed with the reason."""
        rows: list[dict[str, Any]] = []
        for host in self._hosts:
            row: dict[str, Any] = {"url": host.url, "name": host.name, "status": "ready", "tools": []}
            try:
                await self._learn(host, by.at_most(LOOK_SECONDS))
            except MeshError as error:
                row |= {"status": await self._standing(host, error), "why": str(error)}
            rows.append(
                {**row, "name": host.name, "tools": sorted(host.tools), "breaker": host.breaker.state}
            )
        return rows

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
        await asyncio.gather(*(self._learn(host, by) for host in self._hosts if not host.tools))
        return [tool for host in self._hosts for tool in host.tools.values()]

    async def host_of(self, tool: str, by: Deadline) -> ToolHost:
        """Who offers `tool`. Raises NotFound if nobody does, or what kept us from finding out."""
        async with self._learning:
            found = self._offering(tool)
            trouble: MeshError | None = None
            for host in self._hosts:
                if found or host.tools:
                    continue
                try:
                    await self._learn(host, by)
                except MeshError as error:
                    trouble = error
                found = self._offering(tool)
        if found:
            return found
        raise trouble or NotFound(f"no tool server offers {tool!r}")

    def _offering(self, tool: str) -> ToolHost | None:
        return next((host for host in self._hosts if tool in host.tools), None)

    async def _learn(self, host: ToolHost, by: Deadline) -> None:
        if not host.name:
            with host.breaker.admit() as attempt:
                hello = await self._send(host, attempt, by, "GET", "/livez")
            host.name = host.breaker.peer = str(hello.get("name", "")) or host.url
        answer = await self.rpc(host, "tools/list", {}, by)
        listed = answer.get("tools")
        if not isinstance(listed, list):
            raise PeerAnsweredBadly(host.name, "its list of tools is not a list")
        host.tools = {str(tool["name"]): tool for tool in listed if isinstance(tool, dict) and "name" in tool}

    async def rpc(
        self,
        host: ToolHost,
        method: str,
        params: dict[str, Any],
        by: Deadline,
        meta: dict[str, Any] | None = None,
        **claims: Any,
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
            **trace_headers(),
            **self._identity.authorization(host.name, **claims),
        }
        body = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": {**params, "_meta": envelope},
        }
        given = by.remaining
        with host.breaker.admit() as attempt:
            answer = await self._send(host, attempt, by, "POST", "/mcp", headers=headers, json=body)
            if _broke(answer) or (_ran_late(answer) and given >= FLOOR):
                attempt.unwell()  # that the server was quick to say so does not make it well
        if "error" in answer:
            raise PeerRefused(
                host.name, str(answer["error"].get("message", "an error without a message"))[:300]
            )
        result = answer.get("result")
        if not isinstance(result, dict):
            raise PeerAnsweredBadly(host.name, "an answer without a result")
        return result

    async def _send(
        self, host: ToolHost, attempt: Any, by: Deadline, method: str, path: str, **request: Any
    ) -> dict[str, Any]:
        """One request, as one outcome for the breaker."""
        name = host.name or host.url
        given = by.require()
        try:
            async with asyncio.timeout(given):
                response = await self._http.request(method, host.url + path, **request)
        except TimeoutError:
            if tells(given, by):
                attempt.unwell()
            raise PeerTimedOut(name, f"no answer within {given:.1f} s") from None
        except httpx.TransportError as error:
            attempt.unwell()
            raise PeerUnreachable(name, f"cannot be reached ({type(error).__name__})") from None
        if response.status_code in (429, 503):
            after = response.headers.get("retry-after", "")
            why = _reason(response) or f"answered {response.status_code}"
            raise PeerOverloaded(name, why, float(after) if after.isdigit() else None)
        if response.status_code >= 500:
            attempt.unwell()
            raise PeerUnreachable(name, f"answered {response.status_code}")
        attempt.well()
        if response.status_code in (401, 403):
            raise Forbidden(f"{name} does not let {self._identity.name or 'us'} in: {_reason(response)}")
        if response.status_code >= 400:
            raise PeerRefused(name, f"answered {response.status_code}: {_reason(response)}")
        return _json(name, response)


@dataclass(slots=True)
class Session:
    """The tools as one job sees them: its deadline goes along, and what it used is written down."""

    box: Toolbox
    by: Deadline
    ticket: str = ""
    used: list[str] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a read tool. Raises ToolRefused (it said no, in words), or a PeerError."""
        return await self._call(tool, arguments, {META_TICKET: self.ticket})

    async def apply(self, tool: str, arguments: dict[str, Any], key: str) -> dict[str, Any]:
        """Call a write tool, once for `key` however often this is repeated. Only an orchestrator's token is taken."""
        meta = {META_TICKET: self.ticket, META_KEY: key}
        bound = {"scope": SCOPE_APPLY, "effect": effect_hash(tool, arguments, key)}
        return await self._call(tool, arguments, meta, **bound)

    async def _call(
        self, tool: str, arguments: dict[str, Any], meta: dict[str, Any], **claims: Any
    ) -> dict[str, Any]:
        host = await self.box.host_of(tool, self.by)
        self.used.append(f"{host.name}.{tool}")
        with span(f"execute_tool {tool}", server=host.name):
            params = {"name": tool, "arguments": arguments}
            result = await self.box.rpc(host, "tools/call", params, self.by, meta, **claims)
        if result.get("isError"):
            if _broke({"result": result}):
                raise PeerUnreachable(host.name, f"{tool} broke; its log says why")
            if _ran_late({"result": result}):
                raise PeerTimedOut(host.name, f"{tool}: {RAN_LATE}")
            raise ToolRefused(_SDK_PREFIX.sub("", _text(result))[:600] or f"{tool} refused")
        content = result.get("structuredContent")
        if not isinstance(content, dict):
            raise PeerAnsweredBadly(host.name, f"{tool} gave no structured result")
        return content


def _broke(answer: dict[str, Any]) -> bool:
    """Whether the tool raised something that it did not mean to raise."""
    result = answer.get("result")
    return isinstance(result, dict) and bool(result.get("isError") and _BROKE.match(_text(result)))


def _ran_late(answer: dict[str, Any]) -> bool:
    """Whether the tool was stopped by its server when the time was up."""
    result = answer.get("result")
    return isinstance(result, dict) and bool(result.get("isError") and _text(result).endswith(RAN_LATE))


def _text(result: dict[str, Any]) -> str:
    blocks = result.get("content") or []
    return " ".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict)).strip()


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return response.text[:200]


def _json(name: str, response: httpx.Response) -> dict[str, Any]:
    """The answer, from a JSON body or from the last event of a stream (a tool that took longer than 15 s)."""
    if len(response.content) > MAX_ANSWER:
        raise PeerAnsweredBadly(name, "its answer is too large")
    text = response.text
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        data = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
        text = data[-1] if data else ""
    try:
        answer = json.loads(text)
    except ValueError:
        raise PeerAnsweredBadly(name, "its answer is not JSON") from None
    if not isinstance(answer, dict):
        raise PeerAnsweredBadly(name, "its answer is not a JSON object")
    return answer
