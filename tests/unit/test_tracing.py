"""A caller's trace goes through us to whom we ask, whether or not anybody here listens."""

from __future__ import annotations

import subprocess
import sys

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

LISTENING = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
seen = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)
from meshwright.records.tracing import span
for carrier in ({}, None):
    with span("work", carrier, agent="echo"):
        pass
print([(s.name, dict(s.attributes)) for s in seen.get_finished_spans()])
"""


def test_without_a_listener_the_callers_trace_and_baggage_are_passed_on() -> None:
    from meshwright.records.tracing import span, trace_headers

    with span("work", {"traceparent": PARENT, "baggage": "mesh.correlation.id=7"}):
        assert trace_headers() == {"traceparent": PARENT, "baggage": "mesh.correlation.id=7"}
    with span("work", {"x-mesh-run": "7"}):
        assert trace_headers() == {}


def test_who_listens_gets_a_span_also_of_a_call_without_a_trace() -> None:
    # in a process of its own: a provider is set once and for ever
    done = subprocess.run(
        [sys.executable, "-c", LISTENING], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str([("work", {"mesh.agent": "echo"})] * 2)
