"""The tools as one job sees them: reads, and writes that carry a key; what a tool said becomes content or an error."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshwright.deadline import Deadline
from meshwright.errors import PeerAnsweredBadly, PeerRefused, PeerTimedOut, PeerUnreachable, ToolRefused
from meshwright.extension import (
    META_GRANT,
    META_KEY,
    META_PRIORITY,
    META_TICKET,
    RAN_LATE,
    SCOPE_APPLY,
    UNDECIDED,
)
from meshwright.inbound.identity import LIFETIME
from meshwright.outbound.breaker import FLOOR
from meshwright.outbound.called import tool_called
from meshwright.records import semconv
from meshwright.records.tracing import CLIENT, Attributes, listened_to, span

if TYPE_CHECKING:
    from meshwright.grants.grant import Grant
    from meshwright.outbound.toolbox import Toolbox, ToolHost
    from meshwright.records.minutes import Minutes

#: Hears in the span of a call what became of it: the server (empty where none was found), and what it gave, or what was raised.
Note = Callable[[str, dict[str, Any] | BaseException], object]

_SDK_PREFIX = re.compile(r"^Error executing tool \w+: ")
#: What the SDK says, without a reason, of an exception that the tool did not mean to raise.
_BROKE = re.compile(r"^Error executing tool \w+$")


@dataclass(slots=True)
class Session:
    """The tools as one job sees them: its deadline goes along, and what it used is written down.

    With `minutes` each read is a decision in them. One that is `quiet` leaves neither that nor a span: its caller says what it was told.
    """

    box: Toolbox
    by: Deadline
    ticket: str = ""
    priority: str = ""
    minutes: Minutes | None = None
    quiet: bool = False
    used: list[str] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a read tool. Raises ToolRefused (it said no, in words), or a PeerError."""
        meta = {META_TICKET: self.ticket}
        if self.quiet:
            host = await self.box.host_of(tool, self.by)
            return await self._asked(host, tool, arguments, meta, self.by, read=True)
        what = repr(arguments) if self.minutes is not None or listened_to() else ""
        note = self._read(tool, what, arguments) if self.minutes is not None else None
        return await self._spanned(tool, arguments, lambda host: meta, self.by, what, note, read=True)

    async def apply(
        self, grant: Grant, arguments: dict[str, Any], *, note: Note | None = None
    ) -> dict[str, Any]:
        """Call the write tool of a grant with exactly the arguments that it was made for; once, however often this is repeated.

        Tried again, as long as the deadline and the grant allow, where the answer was lost or the server could not be reached: with
        the same key that is the same effect. A ToolRefused says that it was not applied; any other error leaves that open.
        `note` is called once, in the span of the write: what is taken there hangs on it.
        """
        by = self.by.at_most(LIFETIME)

        def meta(host: ToolHost) -> dict[str, Any]:
            signed = self.box.grant(grant, host, by)
            return {META_TICKET: grant.ticket, META_KEY: grant.key, META_GRANT: signed}

        more = {"patient": True, "scope": SCOPE_APPLY}
        return await self._spanned(grant.tool, arguments, meta, by, grant.key, note, **more)

    def _read(self, tool: str, what: str, arguments: dict[str, Any]) -> Note:
        """Takes the row of one read."""
        minutes, began, left = self.minutes, time.time(), int(self.by.remaining * 1000)
        assert minutes is not None

        def note(server: str, came: dict[str, Any] | BaseException) -> None:
            key = minutes.nth("tool_call", f"{tool}{what}")
            tool_called(minutes, server, tool, arguments, came, key=key, began=began, deadline_ms=left)

        return note

    async def _spanned(
        self,
        tool: str,
        arguments: dict[str, Any],
        meta: Callable[[ToolHost], dict[str, Any]],
        by: Deadline,
        key: str,
        note: Note | None,
        **more: Any,
    ) -> dict[str, Any]:
        """One call in its span, from the search for its server on: that nobody offers it belongs to the story, too."""
        server = ""
        told: Attributes = {
            semconv.OPERATION: semconv.EXECUTE_TOOL,
            semconv.TOOL: tool,
            semconv.TOOL_TYPE: "extension",
            semconv.DEADLINE: int(by.remaining * 1000),
        }
        with span(f"{semconv.EXECUTE_TOOL} {tool}", told, kind=CLIENT, key=key) as around:
            try:
                host = await self.box.host_of(tool, by)
                server = host.name
                around.set_attribute(semconv.TOOL_SERVER, server)
                came = await self._asked(host, tool, arguments, meta(host), by, **more)
            except BaseException as error:
                if note is not None:
                    note(server, error)
                raise
            if note is not None:
                note(server, came)
            return came

    async def _asked(
        self,
        host: ToolHost,
        tool: str,
        arguments: dict[str, Any],
        meta: dict[str, Any],
        by: Deadline,
        **more: Any,
    ) -> dict[str, Any]:
        self.used.append(f"{host.name}.{tool}")
        if self.priority:
            meta[META_PRIORITY] = self.priority
        params = {"name": tool, "arguments": arguments}
        judge = functools.partial(_content, tool)
        return await self.box.rpc(host, "tools/call", params, by, meta, judge=judge, **more)


def _content(tool: str, host: str, result: dict[str, Any], given: float) -> dict[str, Any]:
    """What a tool said. Raises ToolRefused, or a PeerError: that its server was quick to say so does not make it well."""
    if result.get("isError"):
        said = _text(result)
        if _BROKE.match(said):
            raise PeerUnreachable(host, f"{tool} broke; its log says why")
        if said.endswith(RAN_LATE):
            raise PeerTimedOut(host, f"{tool}: {RAN_LATE}", tells=given >= FLOOR)
        if said.endswith(UNDECIDED):
            raise PeerRefused(host, _SDK_PREFIX.sub("", said.removesuffix(UNDECIDED))[:600])
        raise ToolRefused(_SDK_PREFIX.sub("", said)[:600] or f"{tool} refused")
    content = result.get("structuredContent")
    if not isinstance(content, dict):
        raise PeerAnsweredBadly(host, f"{tool} gave no structured result")
    return content


def _text(result: dict[str, Any]) -> str:
    blocks = result.get("content") or []
    return " ".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict)).strip()
