"""The tools as one job sees them: reads, and writes that carry a key; what a tool said becomes content or an error."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshwright.deadline import Deadline
from meshwright.errors import PeerAnsweredBadly, PeerTimedOut, PeerUnreachable, ToolRefused
from meshwright.extension import META_KEY, META_PRIORITY, META_TICKET, RAN_LATE, SCOPE_APPLY, effect_hash
from meshwright.outbound.breaker import FLOOR
from meshwright.records import semconv
from meshwright.records.tracing import CLIENT, Attributes, listened_to, span

if TYPE_CHECKING:
    from meshwright.outbound.toolbox import Toolbox

_SDK_PREFIX = re.compile(r"^Error executing tool \w+: ")
#: What the SDK says, without a reason, of an exception that the tool did not mean to raise.
_BROKE = re.compile(r"^Error executing tool \w+$")


@dataclass(slots=True)
class Session:
    """The tools as one job sees them: its deadline goes along, and what it used is written down."""

    box: Toolbox
    by: Deadline
    ticket: str = ""
    priority: str = ""
    used: list[str] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a read tool. Raises ToolRefused (it said no, in words), or a PeerError."""
        return await self._call(tool, arguments, self._meta(), read=True)

    async def apply(self, tool: str, arguments: dict[str, Any], key: str) -> dict[str, Any]:
        """Call a write tool, once for `key` however often this is repeated. Only an orchestrator's token is taken.

        Tried again, as long as the deadline allows, where the answer was lost or the server could not be reached: with the
        same key that is the same effect. The PeerError that comes in the end leaves open whether it was applied.
        """
        meta = {**self._meta(), META_KEY: key}
        bound = {"scope": SCOPE_APPLY, "effect": effect_hash(tool, arguments, key)}
        return await self._call(tool, arguments, meta, patient=True, **bound)

    def _meta(self) -> dict[str, Any]:
        return {META_TICKET: self.ticket, **({META_PRIORITY: self.priority} if self.priority else {})}

    async def _call(
        self, tool: str, arguments: dict[str, Any], meta: dict[str, Any], **more: Any
    ) -> dict[str, Any]:
        host = await self.box.host_of(tool, self.by)
        self.used.append(f"{host.name}.{tool}")
        told: Attributes = {
            semconv.OPERATION: semconv.EXECUTE_TOOL,
            semconv.TOOL: tool,
            semconv.TOOL_TYPE: "extension",
            semconv.TOOL_SERVER: host.name,
            semconv.DEADLINE: int(self.by.remaining * 1000),
        }
        key = str(meta.get(META_KEY) or (repr(arguments) if listened_to() else ""))
        with span(f"{semconv.EXECUTE_TOOL} {tool}", told, kind=CLIENT, key=key):
            params = {"name": tool, "arguments": arguments}
            judge = functools.partial(_content, tool)
            return await self.box.rpc(host, "tools/call", params, self.by, meta, judge=judge, **more)


def _content(tool: str, host: str, result: dict[str, Any], given: float) -> dict[str, Any]:
    """What a tool said. Raises ToolRefused, or a PeerError: that its server was quick to say so does not make it well."""
    if result.get("isError"):
        said = _text(result)
        if _BROKE.match(said):
            raise PeerUnreachable(host, f"{tool} broke; its log says why")
        if said.endswith(RAN_LATE):
            raise PeerTimedOut(host, f"{tool}: {RAN_LATE}", tells=given >= FLOOR)
        raise ToolRefused(_SDK_PREFIX.sub("", said)[:600] or f"{tool} refused")
    content = result.get("structuredContent")
    if not isinstance(content, dict):
        raise PeerAnsweredBadly(host, f"{tool} gave no structured result")
    return content


def _text(result: dict[str, Any]) -> str:
    blocks = result.get("content") or []
    return " ".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict)).strip()
