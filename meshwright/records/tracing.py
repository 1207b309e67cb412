"""W3C trace context from hop to hop, and one span per agent call and tool call. Policies never import this room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import context, propagate, trace

_tracer = trace.get_tracer("meshwright")
#: What a caller sends of its trace.
_CARRIED = frozenset({"traceparent", "tracestate", "baggage"})
_NOTHING = nullcontext()


def span(
    name: str, carrier: Mapping[str, str] | None = None, **attributes: str
) -> AbstractContextManager[None]:
    """A span around a piece of work; with `carrier` (the caller's headers) it continues the caller's trace.

    The extracted context is made current, not only the parent: else the caller's baggage would stop here.
    """
    if carrier is not None and _CARRIED.isdisjoint(carrier) and not _listened_to():
        return _NOTHING
    return _span(name, carrier, attributes)


@contextmanager
def _span(name: str, carrier: Mapping[str, str] | None, attributes: Mapping[str, str]) -> Iterator[None]:
    token = context.attach(propagate.extract(dict(carrier))) if carrier is not None else None
    try:
        with _tracer.start_as_current_span(name, attributes={f"mesh.{k}": v for k, v in attributes.items()}):
            yield
    finally:
        if token is not None:
            context.detach(token)


def _listened_to() -> bool:
    """Whether somebody has set a provider, who gets the spans; until then one is a call for nothing."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def trace_headers() -> dict[str, str]:
    """`traceparent`, `tracestate` and `baggage` for the next hop; empty while nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier
