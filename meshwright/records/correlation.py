"""The one id of everything that is done for a request, on every hop and in every log line; and whose word on it is taken.

Where a request enters the mesh its id is that of the task it becomes, so it need not be stored: whoever takes the task up later
has it too. From there on it travels in W3C baggage. This room imports nothing, because logging begins before anything else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextvars import ContextVar

#: Keys of the baggage that the mesh reads. No other stands on a span or in a log.
CORRELATION, SESSION, RUN = "mesh.correlation.id", "session.id", "mesh.run"
#: Who asked where the request entered, as the trust file names them; nobody for a stranger.
USER = "user.id"
#: What carries a trace, as headers, in gRPC's metadata and in MCP's `_meta`.
TRACE = ("traceparent", "tracestate", "baggage")
#: Where the trace of a caller is kept that is not continued: it is no part of ours, and may be looked for.
UPSTREAM = "x-mesh-upstream-trace"

#: The id of the work in hand; empty outside of any.
in_hand: ContextVar[str] = ContextVar("mesh.correlation", default="")

_ID, _NAME = re.compile(r"[A-Za-z0-9._-]{8,64}"), re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def is_valid(correlation: object) -> bool:
    """Whether it can be an id of the mesh: anything else may be a text, and texts have no place in logs."""
    return isinstance(correlation, str) and _ID.fullmatch(correlation) is not None


def as_id(text: str) -> str:
    """`text` where it looks like an id, else a name for it: clients choose some ids, and may put a person's name or address there."""
    return text if _NAME.fullmatch(text) else hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def admitted(headers: Mapping[str, str], *, believed: bool) -> dict[str, str]:
    """The headers of a message as they are kept with it.

    Who is not `believed` begins a trace of ours: nothing of its baggage is taken, and its own trace is only noted.
    """
    kept = {name: value for name, value in headers.items() if name != UPSTREAM}
    if not believed:
        theirs = kept.get("traceparent", "")
        kept = {name: value for name, value in kept.items() if name not in TRACE}
        if _TRACEPARENT.fullmatch(theirs):
            kept[UPSTREAM] = theirs
    return kept


def followed(first: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a later message of a task: its id is that of the first; its parent may be a call of its own."""
    return {**of_trace(first), **{name: value for name, value in headers.items() if name != "baggage"}}


def of_trace(headers: Mapping[str, object]) -> dict[str, str]:
    """Those that carry a trace. In MCP's `_meta` a caller can write anything under their names."""
    found = ((name, headers.get(name)) for name in TRACE)
    return {name: value for name, value in found if isinstance(value, str)}
