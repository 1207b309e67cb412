"""Export over OTLP/HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT says: off the request path, bounded, and never missed by it.

Spans wait in a queue of fixed size for a thread of their own; when nobody takes them the oldest are dropped, and counted. What
sends them is imported by that thread when it has something to send, so that it costs no start.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from meshwright.records import correlation
from meshwright.records.metrics import FAMILIES, Sample, Source
from meshwright.records.scores import Scores
from meshwright.records.tracing import given, listen
from meshwright.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics import MeterProvider

#: Ours in place of the SDK's own: a burst of runs fits into the queue, and a dead endpoint holds a batch for seconds.
DEFAULTS = {
    "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
}
#: Characters of one attribute; ours are far shorter, those of other libraries may not be.
LONGEST = 8192
#: Seconds for which the numbers that were gathered for one instrument do for the others, too.
FRESH = 5.0
#: Seconds that the last spans of a process have.
LAST = 2.0
#: Whose warnings repeat with each span or batch; what they are about is counted.
NOISY = ("opentelemetry.attributes", "opentelemetry.sdk._shared_internal", "opentelemetry.exporter.otlp")

log = logging.getLogger(__name__)


class PlacedIds(RandomIdGenerator):
    """Ids of our spans as `tracing` derives them; drawn for those of others."""

    def generate_trace_id(self) -> int:
        return given.get()[0] or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return given.get()[1] or super().generate_span_id()


class Stamp(SpanProcessor):
    """Puts what the baggage says of the work on every span, also on those of other libraries: correlation, session, run."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for key in (correlation.CORRELATION, correlation.SESSION, correlation.RUN, correlation.USER):
            if value := baggage.get_baggage(key, parent_context):
                span.set_attribute(key, str(value))


class Counted(BatchSpanProcessor):
    """The batching processor, which knows how many spans it dropped because its queue was full."""

    def __init__(self, exporter: LateExporter, size: int) -> None:
        super().__init__(exporter, max_queue_size=size)
        self._exporter, self._size = exporter, size
        self.ended = self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        if self.ended - self.dropped - self._exporter.taken >= self._size:
            self.dropped += 1  # not this one: the oldest
        self.ended += 1
        super().on_end(span)


class LateExporter(SpanExporter):
    """An exporter that is made by the thread that uses it first. `counts` is of spans, by what became of them."""

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        self._make = make
        self._made: SpanExporter | None = None
        self.taken = 0
        self.counts: Counter[str] = Counter()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        if self._made is None:
            self._made = self._make()
        result = self._made.export(spans)
        self.counts["exported" if result is SpanExportResult.SUCCESS else "failed"] += len(spans)
        return result

    def shutdown(self) -> None:
        if self._made is not None:
            self._made.shutdown()


class Telemetry:
    """What one process exports, from `start` to `stop`."""

    def __init__(
        self,
        process: str,
        exporter: SpanExporter | None = None,
        *,
        size: int = 16_384,
        metrics: bool = True,
        scores: Scores | None = None,
    ) -> None:
        self._resource = Resource.create({"service.name": process, "service.namespace": "meshwright"})
        self._exporter = LateExporter(_otlp if exporter is None else lambda: exporter)
        self._queue = Counted(self._exporter, size)
        self._metrics, self._scores = metrics, scores
        self._meters: MeterProvider | None = None
        self.provider = TracerProvider(
            resource=self._resource,
            id_generator=PlacedIds(),
            span_limits=SpanLimits(max_span_attribute_length=LONGEST),
            shutdown_on_exit=False,
        )
        for processor in (Stamp(), self._queue):
            self.provider.add_span_processor(processor)

    @classmethod
    def from_env(cls, process: str, environ: MutableMapping[str, str]) -> Telemetry:
        """As OTEL_* say. Raises SettingsError where the exporter is not installed, or a number is none."""
        if not _installed():
            raise SettingsError(
                "OTEL_EXPORTER_OTLP_* is set, but the exporter is not installed: pip install 'meshwright[otlp]'"
            )
        for name, value in DEFAULTS.items():
            environ.setdefault(name, value)
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        size = environ["OTEL_BSP_MAX_QUEUE_SIZE"]
        if not size.isdigit() or int(size) < 512:
            raise SettingsError(
                f"OTEL_BSP_MAX_QUEUE_SIZE: must be a number from 512 on (it is {size[:80]!r})"
            )
        to = any(environ.get(f"OTEL_EXPORTER_OTLP_{which}ENDPOINT") for which in ("", "METRICS_"))
        metrics = to and environ.get("OTEL_METRICS_EXPORTER") != "none"
        return cls(process, size=int(size), metrics=metrics, scores=Scores.from_env(environ))

    def start(self) -> None:
        listen(self.provider, self._scores.hear if self._scores is not None else None)

    def samples(self) -> Iterator[Sample]:
        """What became of this process's spans and scores, for `/metrics`."""
        for what, count in sorted({**self._exporter.counts, "dropped": self._queue.dropped}.items()):
            yield Sample("meshwright_spans_total", count, (("what", what),))
        if self._scores is not None:
            yield from self._scores.samples()

    def measure(self, sources: Callable[[], Iterable[Source]]) -> None:
        """Send what `/metrics` says, too, as often as OTEL_METRIC_EXPORT_INTERVAL says."""

        def begin() -> None:
            self._meters = _meters(self._resource, sources)

        if self._metrics:
            threading.Thread(target=begin, daemon=True).start()

    def stop(self) -> None:
        """Send what is left, for a short while. What hangs is left to the end of the process."""
        listen(None)
        last = threading.Thread(target=self._shut_down, daemon=True)
        last.start()
        last.join(LAST)
        if last.is_alive():
            log.warning(
                "the last spans were not taken within %.0f s; the process does not wait for them", LAST
            )

    def _shut_down(self) -> None:
        if self._scores is not None:
            self._scores.stop(LAST / 2)
        self.provider.shutdown()
        if self._meters is not None:
            self._meters.shutdown()


def _installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _otlp() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _meters(resource: Resource, sources: Callable[[], Iterable[Source]]) -> MeterProvider:
    """A provider whose instruments read the samples of /metrics when they are asked."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.metrics import Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    meter = provider.get_meter("meshwright")

    gathered: dict[str, list[Observation]] = {}
    first, at = next(iter(FAMILIES)), 0.0

    def gather() -> None:
        """All samples, once for all instruments: each of them is asked by itself."""
        nonlocal at
        gathered.clear()
        for sample in (sample for source in sources() for sample in source()):
            seen = Observation(float(sample.value), dict(sample.labels))
            gathered.setdefault(sample.name, []).append(seen)
        at = time.monotonic()

    def observed(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            if name == first or time.monotonic() - at > FRESH:
                gather()
            return gathered.get(name, [])

        return observe

    for name, (kind, says) in FAMILIES.items():
        make = meter.create_observable_counter if kind == "counter" else meter.create_observable_gauge
        make(name.removesuffix("_total"), [observed(name)], description=says)
    return provider
