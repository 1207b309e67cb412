"""W3C trace context and baggage, from headers and to headers. By hand, because each hop pays for it twice.

The SDK's propagators do the same and take longer; a test holds the two against each other. The result is a context of
the SDK, so whatever else is instrumented in a process finds its parent and its baggage there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote_plus, unquote_plus

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

_TRACEPARENT = re.compile(r"\s*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\s*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: A member of a tracestate, as the SDK knows it.
_MEMBER = re.compile(
    r"([a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
#: Of a baggage or a tracestate that is larger, or has more members, nothing is read.
LARGEST, MOST = 8192, 64


def read(headers: Mapping[str, str]) -> Context:
    """A context with the caller's span as parent, and its baggage; what is no trace context is not there."""
    around = Context()
    if "traceparent" not in headers and "baggage" not in headers:
        return around
    parent = _parent(headers)
    if parent is not None:
        around = trace.set_span_in_context(NonRecordingSpan(parent), around)
    for name, value in _members(headers.get("baggage", "")):
        around = baggage.set_baggage(name, value, around)
    return around


def write(around: Context | None = None) -> dict[str, str]:
    """The headers for the next hop, from `around` or else the context in hand."""
    headers: dict[str, str] = {}
    above = trace.get_current_span(around).get_span_context()
    if above.is_valid:
        headers["traceparent"] = f"00-{above.trace_id:032x}-{above.span_id:016x}-{above.trace_flags:02x}"
        if above.trace_state:
            headers["tracestate"] = above.trace_state.to_header()
    if carried := baggage.get_all(around):
        headers["baggage"] = ",".join(
            f"{name}={quote_plus(str(value), errors='replace')}" for name, value in carried.items()
        )
    return headers


def _parent(headers: Mapping[str, str]) -> SpanContext | None:
    found = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    state = _state(headers.get("tracestate", ""))
    parent = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)), state)
    return parent if parent.is_valid else None


def _state(header: str) -> TraceState | None:
    """None for what is none: the SDK would write what it is into the log, and a caller may have written anything."""
    members = [each for each in (member.strip(" \t") for member in header.split(",", MOST)) if each]
    good = len(header) <= LARGEST and members and all(map(_MEMBER.fullmatch, members))
    return TraceState.from_header([header]) if good else None


def _members(header: str) -> list[tuple[str, str]]:
    members = header.split(",") if len(header) <= LARGEST else []
    pairs = (member.partition("=") for member in members[: MOST + 1])
    found = [(name.strip(), unquote_plus(value.strip())) for name, equals, value in pairs if equals]
    return [each for each in found if _TOKEN.fullmatch(each[0])] if len(members) <= MOST else []
