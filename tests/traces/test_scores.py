"""Verdicts, what people decided and what a run came to are scores at Langfuse: once each, off the request path, counted when lost."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from meshwright.records.decision import Decision
from meshwright.records.minutes import Minutes
from meshwright.records.scores import Scores
from meshwright.records.telemetry import LAST, Telemetry
from meshwright.records.tracing import span, turn
from meshwright.testing.backend import BASIC, TraceBackend

TASK = "01a217f8efb178a3979d8127aa30a60a"
LANGFUSE = "https://langfuse.example.org/api/public/otel"


def decision(number: int, kind: str = "gate", **more: Any) -> Decision:
    said = {"trace": "ab" * 16, "span": "cd" * 8, "outcome": "allow", **more}
    return Decision.model_validate({"id": f"d{number}", "kind": kind, "at": 0.0, "agent": "a", **said})


def counted(scores: Scores) -> dict[str, float]:
    return {dict(sample.labels)["what"]: sample.value for sample in scores.samples()}


@pytest.fixture
def hanging() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/public/scores"


Sending = Callable[..., Any]


@pytest.fixture
def sending(backend: TraceBackend) -> Sending:
    """Scores on their way to the backend; they have arrived, or were given up, when the body ends."""

    @asynccontextmanager
    async def sending(**more: Any) -> AsyncIterator[Scores]:
        found = Scores.from_env(backend.environment())
        assert found is not None
        scores = Scores(backend.url.replace("/otel", "/scores"), {"authorization": BASIC}, pause=0.01, **more)
        yield scores
        await asyncio.to_thread(scores.stop, 10)

    return sending


async def test_what_was_decided_in_a_span_is_a_score_on_it(backend: TraceBackend) -> None:
    scores = Scores.from_env(backend.environment())
    telemetry = Telemetry("here", backend.exporter(), scores=scores)
    telemetry.start()
    minutes = Minutes("orchestrator", TASK)
    with turn("work", {}, TASK, 1, "s"):
        with span("gate"):
            verdict = minutes.take("gate", key="a", outcome="review", selected="refund", policy="expensive")
            minutes.take("tool_call", key="b", outcome="answered")
        person = minutes.take("review", key="a", outcome="approve", person="ann", reason="he lives there")
        end = minutes.take("final", outcome="answered")
    await asyncio.to_thread(telemetry.stop)
    spans = {each.name: each for each in backend.spans}
    trace = spans["work"].trace
    assert backend.scores == {
        verdict: {
            "id": verdict, "traceId": trace, "observationId": spans["gate"].id, "name": "gate",
            "value": "review", "dataType": "CATEGORICAL", "comment": "refund expensive",
        },
        person: {
            "id": person, "traceId": trace, "observationId": spans["work"].id, "name": "review",
            "value": "approve", "dataType": "CATEGORICAL", "comment": "",
        },
        end: {
            "id": end, "traceId": trace, "name": "outcome", "value": "answered",
            "dataType": "CATEGORICAL", "comment": "",
        },
    }  # fmt: skip


async def test_what_was_made_in_no_trace_or_is_no_score_is_not_sent(
    backend: TraceBackend, sending: Sending
) -> None:
    async with sending() as scores:
        scores.hear(decision(1, trace="", span=""))
        scores.hear(decision(2, kind="model_call"))
    assert backend.scores == {}


async def test_one_that_fails_for_now_is_sent_again_and_is_one(
    backend: TraceBackend, sending: Sending
) -> None:
    backend.moods = [503, 429, 500]
    async with sending() as scores:
        scores.hear(decision(1))
        await arrived(lambda: len(backend.scores) == 1)
        scores.hear(decision(1))  # done again by who took the work over
    assert list(backend.scores) == ["d1"]
    assert counted(scores) == {"sent": 2, "refused": 0, "dropped": 0}


async def test_one_that_is_refused_is_not_sent_again(backend: TraceBackend, sending: Sending) -> None:
    backend.moods = [400]
    async with sending() as scores:
        for number in range(3):
            scores.hear(decision(number))
    assert list(backend.scores) == ["d1", "d2"]
    assert counted(scores) == {"sent": 2, "refused": 1, "dropped": 0}


async def test_a_wrong_key_is_no_loop(backend: TraceBackend) -> None:
    scores = Scores(backend.url.replace("/otel", "/scores"), {"authorization": "Basic d3Jvbmc="})
    scores.hear(decision(1))
    await asyncio.to_thread(scores.stop, 10)
    assert counted(scores) == {"sent": 0, "refused": 1, "dropped": 0}


def test_who_decides_does_not_wait_for_a_backend_that_hangs_and_the_oldest_are_dropped(hanging: str) -> None:
    scores = Scores(hanging, {}, size=100)
    used = time.thread_time_ns()
    for number in range(1_000):
        scores.hear(decision(number))
    used = time.thread_time_ns() - used
    assert counted(scores)["dropped"] == 900
    assert used / 1_000 < 1_000_000, "ns of CPU for each: a request to a backend costs more"
    began = time.monotonic()
    scores.stop(0.2)
    assert time.monotonic() - began < LAST


def test_nothing_is_started_before_there_is_a_score() -> None:
    before = threading.active_count()
    scores = Scores("http://127.0.0.1:1/api/public/scores", {})
    scores.hear(decision(1, kind="route"))
    assert threading.active_count() == before
    scores.stop(1)


@pytest.mark.parametrize(
    ("environ", "host", "sent"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": LANGFUSE}, "langfuse.example.org", "/api/public/scores"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": LANGFUSE + "/"}, "langfuse.example.org", "/api/public/scores"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://here:3000/lf/api/public/otel/v1/traces"},
            "here:3000",
            "/lf/api/public/scores",
        ),
    ],
)
def test_scores_go_beside_the_traces_of_a_langfuse(environ: dict[str, str], host: str, sent: str) -> None:
    scores = Scores.from_env(environ)
    assert scores is not None
    assert (scores.host, scores.path) == (host, sent)


@pytest.mark.parametrize(
    "endpoint", ["", "http://127.0.0.1:6006", "http://traces:4318", "nonsense", "ftp://x/api/public/otel"]
)
def test_nobody_else_gets_scores(endpoint: str) -> None:
    assert Scores.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) is None


async def arrived(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0)
