"""A tool server: typed functions behind MCP, where every call has a named caller, a deadline, and at most one effect.

    server = ToolServer("orderbook", version="0.1.0")

    @server.read
    async def get_order(order_id: str) -> Order: ...

    @server.write
    async def cancel_order(order_id: str, reason: str, call: Call) -> Receipt: ...

Who may read what, and whose grants are good for what, is data (`policies/access.toml`). A write runs only with a grant that its
caller signed for exactly this tool, these arguments and this idempotency key: that is the apply step of an orchestrator, after its
gate. The tool uses it up together with its effect: `meshwright.grants.used`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import tomllib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from pydantic import BaseModel

from meshwright.deadline import HEADER as DEADLINE_HEADER
from meshwright.deadline import Deadline
from meshwright.errors import DeadlineExceeded, Forbidden, InvalidRequest, MeshError, ToolRefused
from meshwright.extension import (
    META_DEADLINE,
    META_GRANT,
    META_KEY,
    META_PRIORITY,
    META_TICKET,
    RAN_LATE,
    UNDECIDED,
)
from meshwright.grants.grant import Grant, digest, read
from meshwright.inbound.doorman import caller_of
from meshwright.inbound.identity import Caller, Trust
from meshwright.records import semconv
from meshwright.records.correlation import of_trace
from meshwright.records.tracing import served
from meshwright.settings import SettingsError

if TYPE_CHECKING:
    from mcp.server import MCPServer

__all__ = ["Access", "Call", "ToolRefused", "ToolServer"]

log = logging.getLogger(__name__)

#: Seconds a tool may take when the caller set no deadline, and at most.
DEFAULT_SECONDS, MAX_SECONDS = 10.0, 60.0

Tool = TypeVar("Tool", bound=Callable[..., Coroutine[Any, Any, BaseModel]])


@dataclass(frozen=True, slots=True)
class Call:
    """What surrounds one tool call. `key` is the idempotency key, `ticket` the run it serves.

    `grant` is what allows a write: always set on one, verified, and still to be used up. `priority` is the word that came with the
    request at the entrance; empty is normal.
    """

    caller: str
    by: Deadline
    key: str = ""
    ticket: str = ""
    priority: str = ""
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read, and whose grants allow a write, as patterns `server.tool` by name. Nobody else may do anything."""

    read: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grant: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Access:
        """From a TOML file with the tables `[read]` and `[grant]`. Raises SettingsError, naming the file."""
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"MESHWRIGHT_ACCESS: cannot read {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"MESHWRIGHT_ACCESS: {path}: {error}") from None
        if unknown := set(document) - {"read", "grant"}:
            raise SettingsError(f"{path}: there is no [{min(unknown)}], only [read] and [grant]")
        tables = {name: document.get(name, {}) for name in ("read", "grant")}
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise SettingsError(f"{path}: {name} must be a table [{name}], with a list for each caller")
            for caller, patterns in table.items():
                if not (isinstance(patterns, list) and all(isinstance(p, str) for p in patterns)):
                    raise SettingsError(f"{path}: [{name}] {caller} must be a list of 'server.tool' patterns")
        return cls(
            **{name: {who: tuple(what) for who, what in table.items()} for name, table in tables.items()}
        )

    def check(self, caller: Caller, tool: str, *, write: bool) -> None:
        """Raises Forbidden, in words, unless `caller` may use `tool` (as `server.tool`)."""
        table = self.grant if write else self.read
        if not any(fnmatchcase(tool, pattern) for pattern in table.get(caller.name, ())):
            kind = "write with" if write else "read"
            raise Forbidden(f"{caller.name or 'an unnamed caller'} may not {kind} {tool}")


class ToolServer:
    """Collects typed functions and serves them over MCP (streamable HTTP, stateless)."""

    def __init__(self, name: str, *, version: str, instructions: str = "") -> None:
        self.name = name
        self.version = version
        self._instructions = instructions
        self._tools: list[tuple[Callable[..., Any], bool]] = []
        self._writing: set[asyncio.Task[BaseModel]] = set()

    def read(self, tool: Tool) -> Tool:
        """Register a tool that changes nothing. Raises ValueError where there is one of that name."""
        self._register(tool, writes=False)
        return tool

    def write(self, tool: Tool) -> Tool:
        """Register a tool with an effect. It gets its idempotency key through a parameter annotated `Call`. Raises ValueError like `read`."""
        self._register(tool, writes=True)
        return tool

    def _register(self, tool: Callable[..., Any], *, writes: bool) -> None:
        if any(known.__name__ == tool.__name__ for known, _ in self._tools):
            # the first would be served in its place, and a read needs no grant
            raise ValueError(f"{self.name} has a tool {tool.__name__} already")
        self._tools.append((tool, writes))

    def mcp(self, access: Access, trust: Trust) -> MCPServer[Any]:
        """The MCP server with all tools registered, each behind `access`; `trust` has the keys that grants are verified with."""
        from mcp.server import MCPServer
        from mcp_types import ToolAnnotations

        server: MCPServer[Any] = MCPServer(
            self.name, version=self.version, instructions=self._instructions or None, log_level="WARNING"
        )
        # The SDK's own spans say less than ours, put the words of an error on a span, and do not carry the baggage on.
        server.middleware[:] = [m for m in server.middleware if type(m).__name__ != "OpenTelemetryMiddleware"]
        for tool, writes in self._tools:
            hints = ToolAnnotations(
                read_only_hint=not writes,
                destructive_hint=writes,
                idempotent_hint=True,
                open_world_hint=False,
            )
            server.add_tool(self._guarded(tool, writes, access, trust), annotations=hints)
        return server

    async def settle(self) -> None:
        """Wait for the writes that have begun, also those whose callers have gone."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def _to_its_end(self, write: Coroutine[Any, Any, BaseModel]) -> BaseModel:
        """A write that has begun is not cut when its caller goes away: half a write helps nobody, and the caller will ask again."""
        work = asyncio.create_task(write)
        self._writing.add(work)
        work.add_done_callback(self._written)
        return await asyncio.shield(work)

    def _written(self, work: asyncio.Task[BaseModel]) -> None:
        self._writing.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            # its caller, where there is one, hears more
            log.info("a write ended with %s", type(error).__name__)

    def _guarded(
        self, tool: Callable[..., Any], writes: bool, access: Access, trust: Trust
    ) -> Callable[..., Any]:
        """The tool behind its checks, with `Call` swapped for MCP's `Context` in the signature."""
        from mcp.server.mcpserver import Context
        from mcp.server.mcpserver.exceptions import ToolError

        types = get_type_hints(tool, include_extras=True)
        wants = next((name for name, kind in types.items() if kind is Call), None)
        name = tool.__name__

        @functools.wraps(tool)
        async def guarded(**arguments: Any) -> Any:
            context = arguments.pop("mcp_context")
            try:
                with served(f"execute_tool {name}", *self._told(name, context)) as told:
                    call = self._admit(name, writes, context, access, trust)
                    if wants:
                        arguments[wants] = call
                    if writes:
                        done = await self._to_its_end(tool(**arguments))
                        told.replayed = bool(getattr(done, "replayed", False))
                        told.approved = call.grant is not None and bool(call.grant.approvers)
                        return done
                    async with asyncio.timeout(call.by.require()):
                        return await tool(**arguments)
            except TimeoutError:
                raise ToolError(f"{name}: {RAN_LATE}") from None
            except ToolRefused as refusal:
                raise ToolError(str(refusal)) from None
            except MeshError as error:
                raise ToolError(f"{error}{UNDECIDED if writes else ''}") from None

        plain = {key: kind for key, kind in types.items() if kind is not Call}
        guarded.__annotations__ = {**plain, "mcp_context": Context}
        parameters = [
            p.replace(annotation=types[p.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for p in inspect.signature(tool).parameters.values()
            if p.name != wants
        ]
        parameters.append(
            inspect.Parameter("mcp_context", inspect.Parameter.KEYWORD_ONLY, annotation=Context)
        )
        guarded.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            parameters, return_annotation=types["return"]
        )
        return guarded

    def _told(self, tool: str, context: Any) -> tuple[dict[str, str], dict[str, str]]:
        """The trace that a call belongs to, from its headers or its `_meta`; and what a trace tells of it."""
        request = context.request_context
        around = {**of_trace(request.meta or {}), **of_trace(request.request.headers)}
        told = {semconv.OPERATION: semconv.EXECUTE_TOOL, semconv.TOOL: tool, semconv.TOOL_SERVER: self.name}
        return around, {**told, semconv.CALLER: caller_of(request.request.scope).name}

    def _admit(self, tool: str, writes: bool, context: Any, access: Access, trust: Trust) -> Call:
        request = context.request_context.request
        meta: Mapping[str, Any] = context.request_context.meta or {}
        caller = caller_of(request.scope)
        access.check(caller, f"{self.name}.{tool}", write=writes)
        by = _deadline(request.headers, meta)
        if by.expired:
            raise DeadlineExceeded(f"{tool}: the deadline passed before it began")
        key, ticket, priority = (str(meta.get(name, "")) for name in (META_KEY, META_TICKET, META_PRIORITY))
        if not writes:
            return Call(caller.name, by, key, ticket, priority)
        if not key:
            raise InvalidRequest(f"{tool}: a write needs an idempotency key in _meta '{META_KEY}'")
        grant = read(meta.get(META_GRANT), trust)
        # what was sent, not what validation made of it: the gate saw the sender's bytes
        sent = dict((context.request_context.params or {}).get("arguments") or {})
        if grant.iss != caller.name:
            raise Forbidden(f"{tool}: the grant is in other hands than those that signed it")
        if (grant.tool, grant.args, grant.key, grant.ticket) != (tool, digest(sent), key, ticket):
            raise Forbidden(f"{tool}: the grant was not made for exactly this call")
        return Call(caller.name, by, key, ticket, priority, grant)


def _deadline(headers: Mapping[str, str], meta: Mapping[str, Any]) -> Deadline:
    """The earlier of the header and the `_meta` key: a gateway may pass on only one of them."""
    by = Deadline.from_headers(headers, default=DEFAULT_SECONDS, ceiling=MAX_SECONDS)
    left = meta.get(META_DEADLINE)
    if left is None:
        return by
    if not isinstance(left, int | float) or left < 0:
        raise InvalidRequest(f"_meta '{META_DEADLINE}' must be the milliseconds that remain")
    return min(by, Deadline.from_headers({DEADLINE_HEADER: str(int(left))}, default=1, ceiling=MAX_SECONDS))
