"""Spans, and W3C trace context from hop to hop. Policies never import this room.

A span's id is not drawn but derived from its place in the work: the trace, the span above, what it is. Who does the work of a dead
process again so tells the same spans again, and what others hung below them is no orphan. While nobody listens nothing is built.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from meshwright.extension import HEADER_RUN
from meshwright.records import correlation, semconv, w3c

if TYPE_CHECKING:
    from meshwright.records.decision import Decision

Attributes: TypeAlias = Mapping[str, AttributeValue]

CLIENT = SpanKind.CLIENT
#: The ids of the span that is being started, for the provider's generator: (trace, span); 0 is "draw one".
given: ContextVar[tuple[int, int]] = ContextVar("mesh.given", default=(0, 0))
#: How many spans of one name have begun below the span in hand.
_siblings: ContextVar[Counter[str] | None] = ContextVar("mesh.siblings", default=None)
_NOTHING = nullcontext(trace.INVALID_SPAN)
_tracer, _has_listener = trace.get_tracer("meshwright"), False
_hears: Callable[[Decision], None] | None = None


def listen(provider: trace.TracerProvider | None, hears: Callable[[Decision], None] | None = None) -> None:
    """From now on spans go to `provider`; with None to whichever is set for the whole process, if one is. `hears` hears of decisions."""
    global _tracer, _has_listener, _hears
    _tracer, _has_listener = trace.get_tracer("meshwright", tracer_provider=provider), provider is not None
    _hears = hears


def listened_to() -> bool:
    """Whether somebody gets the spans; until then one is a call for nothing."""
    return _has_listener or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def span(
    name: str, attributes: Attributes | None = None, *, kind: SpanKind = SpanKind.INTERNAL, key: str = ""
) -> AbstractContextManager[Span]:
    """A span around a piece of work. `key` tells it from others of its name, where their order may be another the next time."""
    if not listened_to():
        return _NOTHING
    what = f"{name}/{key}"
    seen = _siblings.get()
    if seen is not None:
        seen[what] += 1
        what = f"{what}/{seen[what]}"
    above = trace.get_current_span().get_span_context()
    ids = (0, _placed(above, what)) if above.is_valid and seen is not None else (0, 0)
    return _span(name, attributes, kind, ids)


def turn(
    name: str,
    headers: Mapping[str, str],
    task: str,
    number: int,
    session: str,
    attributes: Callable[[], Attributes] = dict,
    user: str = "",
) -> AbstractContextManager[Span]:
    """Around the work on the message `number` of a task: in the trace of its caller, or in the task's own if there is none.

    `user` is who sent it; where it enters the mesh that is the user of all that is done for it.

    All that is needed comes from what is stored of the task, so a second process that takes it up goes on in the same trace.
    The extracted context is made current, not only the parent: else the caller's baggage would stop here.
    """
    heard = listened_to()
    around, ids = _around(headers, task, number) if heard else (_correlated(headers, task), (0, 0))
    known = _known(around, session, headers.get(HEADER_RUN, ""), _entered(around, task, user))
    if not heard:
        return _attached(known)
    theirs = headers.get(correlation.UPSTREAM)
    return _turn(name, known, ids, {**attributes(), **({semconv.UPSTREAM: theirs} if theirs else {})})


@contextmanager
def _turn(name: str, around: Context, ids: tuple[int, int], attributes: Attributes) -> Iterator[Span]:
    with _attached(around), _span(name, attributes, SpanKind.SERVER, ids) as span:
        yield span


@dataclass(slots=True)
class Served:
    """A call that is being served. `replayed`: it was done before, and only its answer is given again. `approved`: people have approved it."""

    replayed: bool = False
    approved: bool = False


@contextmanager
def served(name: str, carrier: Mapping[str, str], attributes: Attributes) -> Iterator[Served]:
    """Around a call that is served at once, in the trace of its caller. Nothing is below it, so its id may be drawn.

    One that goes well has no span: it would say nothing that the caller's own does not. One that fails has; one that was replayed, because
    its caller may have died over the first; and one that people have approved, because they will ask who did it.
    """
    began = time.time_ns()
    call = Served()
    with _attached(w3c.read(carrier)):
        try:
            yield call
        except BaseException as error:
            _tell(name, attributes, began, error)
            raise
        if call.replayed or call.approved:
            outcome = "replayed" if call.replayed else "applied"
            _tell(name, {**attributes, semconv.OUTCOME: outcome}, began)


def _tell(name: str, attributes: Attributes, began: int, error: BaseException | None = None) -> None:
    if listened_to():
        span = _tracer.start_span(name, None, SpanKind.SERVER, dict(attributes), start_time=began)
        if error is not None:
            failed(span, error)
        span.end()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a span is: its trace, its id and the one above, in hex; the last is empty for a root."""

    trace: str
    span: str
    above: str


_NOWHERE = Place("", "", "")


@contextmanager
def again(
    headers: Mapping[str, str], task: str, number: int, session: str, run: str, user: str = ""
) -> Iterator[Place]:
    """Around what is told once more of a turn, after it: where its span is."""
    around, (trace_id, span_id) = _around(headers, task, number)
    above = trace.get_current_span(around).get_span_context()
    with _attached(_known(around, session, run, _entered(around, task, user))):
        yield Place(
            f"{trace_id or above.trace_id:032x}",
            f"{span_id:016x}",
            f"{above.span_id:016x}" if above.is_valid else "",
        )


def tell_again(
    name: str, kind: SpanKind, place: Place, attributes: Attributes, began: float, ended: float
) -> None:
    """A span that somebody else may have told before, under the same id; from and to seconds since the epoch."""
    own = given.set((int(place.trace, 16), int(place.span, 16)))
    around = trace.set_span_in_context(
        _remote(int(place.trace, 16), int(place.above, 16)) if place.above else trace.INVALID_SPAN
    )
    span = _tracer.start_span(name, around, kind, dict(attributes), start_time=int(began * 1e9))
    given.reset(own)
    span.end(int(max(began, ended) * 1e9))


def after(
    headers: Mapping[str, str], task: str, session: str = "", run: str = ""
) -> AbstractContextManager[Span]:
    """Around what is done or sent for a task when no work on it is under way: a child of the work on its first message."""
    around, (trace_id, span_id) = _around(headers, task, 1)
    if listened_to():
        above = trace.get_current_span(around).get_span_context()
        around = trace.set_span_in_context(_remote(trace_id or above.trace_id, span_id), around)
    return _attached(_known(around, session, run))


def in_run(run: str) -> AbstractContextManager[Span]:
    """Around what is done for `run`."""
    trace.get_current_span().set_attribute(correlation.RUN, run)
    return _attached(baggage.set_baggage(correlation.RUN, run))


def here() -> tuple[str, str]:
    """The ids, in hex, of the trace and the span in hand, as far as somebody listens; else empty."""
    found = place()
    return found.trace, found.span


def place() -> Place:
    """Where the span in hand is; nowhere where nobody listens."""
    if not listened_to():
        return _NOWHERE
    span = trace.get_current_span()
    now, above = span.get_span_context(), getattr(span, "parent", None)
    return Place(
        *((f"{now.trace_id:032x}", f"{now.span_id:016x}") if now.is_valid else ("", "")),
        f"{above.span_id:016x}" if above is not None else "",
    )


def decided(decision: Decision) -> None:
    """Note on the span in hand that a decision was made in it, and tell whoever hears of decisions."""
    span = trace.get_current_span()
    if span.is_recording():
        known = (getattr(span, "attributes", None) or {}).get(semconv.DECISIONS, ())
        span.set_attributes({semconv.DECISIONS: (*known, decision.id), **decision.attributes()})
    if _hears is not None:
        _hears(decision)


def failed(span: Span, error: BaseException) -> None:
    """Mark a span as failed: with the kind of the error, never with its words."""
    span.set_attribute(semconv.ERROR_TYPE, type(error).__name__)
    span.set_status(StatusCode.ERROR)


def trace_headers() -> dict[str, str]:
    """`traceparent`, `tracestate` and `baggage` for the next hop; empty where there is nothing to carry."""
    return w3c.write()


def _around(headers: Mapping[str, str], task: str, number: int) -> tuple[Context, tuple[int, int]]:
    """The context of a turn, and the ids of its span: (trace, which is 0 where it is the caller's; span)."""
    around = _correlated(headers, task)
    above = trace.get_current_span(around).get_span_context()
    if above.is_valid:
        return around, (0, _placed(above, f"turn/{task}/{number}"))
    own = int.from_bytes(hashlib.sha256(task.encode()).digest()[:16]) or 1
    root = _placed(SpanContext(own, 0, is_remote=False), f"turn/{task}/1")
    if number == 1:
        return around, (own, root)
    around = trace.set_span_in_context(_remote(own, root), around)
    return around, (0, _placed(_remote(own, root).get_span_context(), f"turn/{task}/{number}"))


def _correlated(headers: Mapping[str, str], task: str) -> Context:
    """What the headers carry; a request that enters the mesh here is called after its task."""
    around = w3c.read(headers)
    if not correlation.is_valid(baggage.get_baggage(correlation.CORRELATION, around)):
        around = baggage.set_baggage(correlation.CORRELATION, task, around)
    return around


def _entered(around: Context, task: str, user: str) -> str:
    """The user, where the request entered the mesh with this task; elsewhere it is whoever the baggage says."""
    return user if baggage.get_baggage(correlation.CORRELATION, around) == task else ""


def _known(around: Context, session: str, run: str, user: str = "") -> Context:
    """With the session, the run and the user in the baggage, where the caller's has none, as names."""
    carried = baggage.get_all(around)
    for key, own in ((correlation.SESSION, session), (correlation.RUN, run), (correlation.USER, user)):
        found = str(carried.get(key) or "")
        if (found or own) and found != (known := correlation.as_id(found or own)):
            around = baggage.set_baggage(key, known, around)
    return around


def _placed(above: SpanContext, what: str) -> int:
    name = f"{above.trace_id:x}/{above.span_id:x}/{what}"
    return int.from_bytes(hashlib.sha256(name.encode(errors="replace")).digest()[:8]) or 1


def _remote(trace_id: int, span_id: int) -> NonRecordingSpan:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))


class _attached(AbstractContextManager[Span]):
    """`around` in hand, and its correlation; without a span of its own."""

    __slots__ = ("_around", "_hand", "_token")

    def __init__(self, around: Context) -> None:
        self._around = around

    def __enter__(self) -> Span:
        found = baggage.get_baggage(correlation.CORRELATION, self._around)
        self._hand = correlation.in_hand.set(str(found) if correlation.is_valid(found) else "")
        self._token = context.attach(self._around)
        return trace.INVALID_SPAN

    def __exit__(self, *error: object) -> None:
        context.detach(self._token)
        correlation.in_hand.reset(self._hand)


@contextmanager
def _span(name: str, attributes: Attributes | None, kind: SpanKind, ids: tuple[int, int]) -> Iterator[Span]:
    own = given.set(ids)
    span = _tracer.start_span(name, kind=kind, attributes=dict(attributes or {}))
    given.reset(own)
    token = context.attach(trace.set_span_in_context(span))
    below = _siblings.set(Counter())
    try:
        yield span
    except BaseException as error:
        failed(span, error)
        raise
    finally:
        _siblings.reset(below)
        context.detach(token)
        span.end()
