"""A backend for traces, as Langfuse takes them: a real OTLP/HTTP server that reads protobuf, makes observations of spans, and
takes scores over REST."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshwright.testing.serving import serving

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

PUBLIC, SECRET = "pk-test", "sk-test"
BASIC = "Basic " + base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()


@dataclass(frozen=True)
class Told:
    """A span as it arrived."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    process: str
    failed: bool
    status: str
    events: int
    began: int
    nanos: int
    attributes: dict[str, Any] = field(hash=False)


@dataclass
class TraceBackend:
    """What arrived, and what was wrong with how it came."""

    spans: list[Told] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    metrics: list[bytes] = field(default_factory=list)
    #: By their ids: one that comes again is the same.
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What scores are answered with instead, in this order, as long as there is any.
    moods: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    url: str = ""

    async def traces(self, request: Request) -> Response:
        want = {
            "authorization": BASIC,
            "x-langfuse-ingestion-version": "4",
            "content-type": "application/x-protobuf",
        }
        self.wrong += [
            f"{k}: {request.headers.get(k)}" for k, v in want.items() if request.headers.get(k) != v
        ]
        body = await request.body()
        self.bodies.append(body)
        self.spans += spans_in(body)
        return Response(b"", media_type="application/x-protobuf")

    async def measured(self, request: Request) -> Response:
        self.metrics.append(await request.body())
        return Response(b"", media_type="application/x-protobuf")

    async def scored(self, request: Request) -> Response:
        if self.moods:
            return Response(status_code=self.moods.pop(0))
        if request.headers.get("authorization") != BASIC:
            return JSONResponse({"error": "UnauthorizedError"}, 401)
        score = await request.json()
        if why := unfit(score):
            return JSONResponse({"message": "Invalid request data", "error": why}, 400)
        self.scores[score.setdefault("id", f"score-{len(self.scores)}")] = score
        return JSONResponse({"id": score["id"]})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[TraceBackend]:
        app = Starlette(
            routes=[
                Route("/api/public/otel/v1/traces", self.traces, methods=["POST"]),
                Route("/api/public/otel/v1/metrics", self.measured, methods=["POST"]),
                Route("/api/public/scores", self.scored, methods=["POST"]),
            ]
        )
        async with serving(app, lifespan=False) as address:
            self.url = f"{address}/api/public/otel"
            yield self

    def exporter(self) -> SpanExporter:
        """One that sends here."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        headers = {"authorization": BASIC, "x-langfuse-ingestion-version": "4"}
        return OTLPSpanExporter(f"{self.url}/v1/traces", headers=headers, timeout=3)

    def orphans(self) -> list[Told]:
        """Spans whose parent never arrived."""
        known = {span.id for span in self.spans}
        return [span for span in self.spans if span.parent and span.parent not in known]

    def environment(self, every: int | None = None) -> dict[str, str]:
        """What a process is told to send here; with `every`, as often as in so many milliseconds."""
        return {
            **({"OTEL_BSP_SCHEDULE_DELAY": str(every)} if every else {}),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={BASIC.replace(' ', '%20')},x-langfuse-ingestion-version=4",
        }


def spans_in(body: bytes) -> Iterator[Told]:
    """The spans of one request."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        process = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Told(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.kind,
                    process,
                    span.status.code == 2,
                    span.status.message,
                    len(span.events),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano - span.start_time_unix_nano,
                    {a.key: value_of(a.value) for a in span.attributes},
                )


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def unfit(score: Any) -> str:
    """Why a body is no score for Langfuse 4; empty if it is one. It takes one at a time, not a list."""
    if not isinstance(score, dict):
        return "not an object"
    for name in ("traceId", "name"):
        if not isinstance(score.get(name), str) or not score[name]:
            return f"{name}: Required"
    if any(not isinstance(score.get(name, ""), str) for name in ("id", "observationId", "comment")):
        return "id, observationId and comment are texts"
    kind, value = score.get("dataType", "NUMERIC"), score.get("value")
    fits = {
        "CATEGORICAL": isinstance(value, str) and value != "",
        "NUMERIC": isinstance(value, int | float) and not isinstance(value, bool),
        "BOOLEAN": value in (0, 1) and not isinstance(value, bool),
    }
    return "" if fits.get(kind) else f"value: not {kind}"


#: As Langfuse 4 maps them (docs/observability.md): the first that is there decides.
OPENINFERENCE = {
    "CHAIN": "CHAIN",
    "GUARDRAIL": "GUARDRAIL",
    "EVALUATOR": "EVALUATOR",
    "AGENT": "AGENT",
    "TOOL": "TOOL",
    "LLM": "GENERATION",
}
OPERATIONS = {
    "chat": "GENERATION",
    "invoke_agent": "AGENT",
    "create_agent": "AGENT",
    "execute_tool": "TOOL",
    "embeddings": "EMBEDDING",
}


def observation(span: Told) -> dict[str, Any]:
    """What Langfuse makes of a span."""
    a = span.attributes
    kind = OPENINFERENCE.get(a.get("openinference.span.kind", "")) or OPERATIONS.get(
        a.get("gen_ai.operation.name", "")
    )
    if kind is None and ("gen_ai.tool.name" in a or "gen_ai.tool.call.id" in a):
        kind = "TOOL"
    if kind is None and ("gen_ai.request.model" in a or "gen_ai.response.model" in a):
        kind = "GENERATION"
    return {
        "type": kind or "SPAN",
        "name": a.get("gen_ai.tool.name") or span.name,
        "session": a.get("session.id") or a.get("gen_ai.conversation.id"),
        "user": a.get("user.id"),
        "model": a.get("gen_ai.response.model") or a.get("gen_ai.request.model"),
        "usage": {
            k.removeprefix("gen_ai.usage."): v
            for k, v in a.items()
            if k.startswith("gen_ai.usage.") and k != "gen_ai.usage.cost"
        },
        "cost": a.get("gen_ai.usage.cost"),
        "level": "ERROR" if span.failed else "DEFAULT",
    }
