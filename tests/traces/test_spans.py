"""What a span is called, hangs below, and says; and that a caller's trace goes through us whether or not anybody here listens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from meshwright.errors import PeerUnreachable
from meshwright.records.telemetry import Telemetry
from meshwright.records.tracing import after, listen, served, span, trace_headers, turn

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TASK = "01a217f8efb178a3979d8127aa30a60a"
BAGGAGE = "mesh.correlation.id=12345678,session.id=session-1"

SOMEBODY = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
seen = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)
from meshwright.records.tracing import span
with span("work", {"gen_ai.agent.name": "echo"}):
    pass
print([(s.name, dict(s.attributes)) for s in seen.get_finished_spans()])
"""


class Seen(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: object) -> SpanExportResult:
        self.spans += list(spans)  # type: ignore[call-overload]
        return SpanExportResult.SUCCESS


class Ear:
    """Hears the spans of this process."""

    def __init__(self) -> None:
        self._seen = Seen()
        self.telemetry = Telemetry("here", self._seen)
        self.telemetry.start()

    def heard(self) -> list[ReadableSpan]:
        self.telemetry.provider.force_flush()
        return self._seen.spans


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    yield ear
    ear.telemetry.stop()


def ids(heard: ReadableSpan) -> tuple[str, str, str]:
    context, above = heard.get_span_context(), heard.parent
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{above.span_id:016x}" if above else ""


def test_without_a_listener_the_callers_trace_and_baggage_are_passed_on() -> None:
    with turn("work", {"traceparent": PARENT, "baggage": BAGGAGE}, TASK, 1, "s2"):
        assert trace_headers() == {"traceparent": PARENT, "baggage": BAGGAGE}
    assert trace_headers() == {}


def test_where_a_request_enters_its_id_is_that_of_its_task_and_travels_with_session_and_run() -> None:
    with turn("work", {"x-mesh-run": "a75975fbdc51"}, TASK, 1, "session-1"):
        with span("below"):
            assert trace_headers() == {
                "baggage": f"mesh.correlation.id={TASK},session.id=session-1,mesh.run=a75975fbdc51"
            }


OTHER = "01a217f8efb178a3979d8127aa30a60b"


@pytest.mark.parametrize("who", ["ann", ""])
def test_who_asked_where_it_entered_is_the_user_of_all_that_is_done_for_it(ear: Ear, who: str) -> None:
    with turn("work", {}, TASK, 1, "s", user=who), span("call"):
        sent = trace_headers()
    with turn("work", sent, OTHER, 1, "s", user="orchestrator"), span("call"):
        pass
    found = [dict(each.attributes or {}).get("user.id") for each in ear.heard()]
    assert found == [who or None] * 4


@pytest.mark.parametrize("bad", ["short", "a" * 65, "ada@example.org", "a%20b%0Ainjected", ""])
def test_an_id_that_is_none_is_replaced(bad: str) -> None:
    with turn("work", {"traceparent": PARENT, "baggage": f"mesh.correlation.id={bad}"}, TASK, 1, "s"):
        assert f"mesh.correlation.id={TASK}," in trace_headers()["baggage"]


def test_who_has_set_a_provider_of_their_own_gets_our_spans() -> None:
    # in a process of its own: a provider is set once and for ever
    done = subprocess.run(
        [sys.executable, "-c", SOMEBODY], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str([("work", {"gen_ai.agent.name": "echo"})])


def test_the_same_work_done_again_tells_the_same_spans(ear: Ear) -> None:
    def work() -> None:
        with turn("work", {}, TASK, 1, "s"):
            for key in ("a", "b", "a"):
                with span("call", key=key):
                    pass

    work()
    first = [ids(each) for each in ear.heard()]
    assert len(set(first)) == 4, "two calls of one name are two spans"
    work()
    assert [ids(each) for each in ear.heard()[4:]] == first


def test_a_later_message_and_a_letter_hang_below_the_first(ear: Ear) -> None:
    with turn("work", {}, TASK, 1, "s"):
        pass
    with turn("work", {}, TASK, 2, "s"):
        pass
    with after({}, TASK):
        sent = trace_headers()["traceparent"]
    (trace, first, root), (trace2, _, above) = (ids(each) for each in ear.heard())
    assert (root, trace2, above) == ("", trace, first)
    assert sent.split("-")[1:3] == [trace, first]


def test_a_failure_tells_its_kind_and_none_of_its_words(ear: Ear) -> None:
    with pytest.raises(PeerUnreachable):
        with turn("work", {}, TASK, 1, "s"), span("call"):
            raise PeerUnreachable("Orders", "ada@example.org lives at 5 Main Street")
    for heard in ear.heard():
        assert (heard.status.is_ok, heard.status.description, heard.events) == (False, None, ())
        assert heard.attributes is not None
        assert heard.attributes["error.type"] == "PeerUnreachable"


def test_a_call_that_was_served_has_a_span_when_it_failed_was_answered_again_or_was_approved(
    ear: Ear,
) -> None:
    carrier = {"traceparent": PARENT}
    with served("read", carrier, {}):
        pass
    with pytest.raises(ValueError, match="x"), served("read", carrier, {}):
        raise ValueError("x")
    with served("write", carrier, {}) as call:
        call.replayed = True
    with served("write", carrier, {}) as call:
        call.approved = True
    told = [
        (each.name, each.status.is_ok, dict(each.attributes or {}).get("mesh.outcome"))
        for each in ear.heard()
    ]
    assert told == [("read", False, None), ("write", True, "replayed"), ("write", True, "applied")]
    assert {ids(each)[2] for each in ear.heard()} == {PARENT.split("-")[2]}


def test_who_stops_listening_hears_nothing_more(ear: Ear) -> None:
    listen(None)
    with span("unheard"):
        pass
    assert ear.heard() == []
