"""Nobody takes the spans: the work pays nothing for that, what is lost is counted, and the process ends in time."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from meshwright.process import exports
from meshwright.records.metrics import exposition
from meshwright.records.telemetry import LAST, Telemetry
from meshwright.records.tracing import span, turn
from meshwright.settings import SettingsError
from meshwright.testing.backend import TraceBackend

TASK = "01a217f8efb178a3979d8127aa30a60a"
SIZE = 1024


@pytest.fixture
def hanging() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def refusing() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def failing() -> Iterator[str]:
    """An address that answers 503."""

    class Unavailable(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(503)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            return None

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unavailable) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def work(spans: int) -> int:
    """Make spans; the CPU of this thread in nanoseconds."""
    before = time.thread_time_ns()
    with turn("work", {}, TASK, 1, "session-1"):
        for _ in range(spans):
            with span("call", {"gen_ai.operation.name": "invoke_agent"}):
                pass
    return time.thread_time_ns() - before


@pytest.mark.parametrize("endpoint", ["refusing", "hanging", "failing"])
def test_the_work_does_not_pay_for_a_backend_that_is_gone(
    endpoint: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(endpoint)
    telemetry = Telemetry("here", OTLPSpanExporter(f"{url}/v1/traces", timeout=1), size=SIZE)
    telemetry.start()
    try:
        cost = work(6 * SIZE)
        counted = {dict(s.labels)["what"]: s.value for s in telemetry.samples()}
    finally:
        began = time.monotonic()
        telemetry.stop()
    assert time.monotonic() - began < LAST + 1.5, "what hangs is left behind"
    taken = counted["dropped"] + SIZE + 512  # the queue is full, and one batch is with the exporter
    assert taken + counted.get("failed", 0) + 512 >= 6 * SIZE
    assert counted.get("exported", 0) == 0
    assert cost / (6 * SIZE) < 1_000_000, "CPU of one span, in ns: a request to a backend costs more"


def test_only_a_thread_of_its_own_speaks_to_the_backend() -> None:
    callers: list[int] = []

    class Takes(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            callers.append(threading.get_ident())
            return SpanExportResult.SUCCESS

    telemetry = Telemetry("here", Takes())
    telemetry.start()
    work(2000)
    telemetry.stop()
    assert len(callers) >= 4
    assert threading.get_ident() not in callers
    assert {dict(s.labels)["what"]: s.value for s in telemetry.samples()} == {"dropped": 0, "exported": 2001}


def test_what_was_dropped_is_told_on_metrics() -> None:
    text = exposition([Telemetry("here", OTLPSpanExporter("http://127.0.0.1:1/v1/traces")).samples])
    assert 'meshwright_spans_total{what="dropped"} 0' in text


@pytest.mark.parametrize(
    ("environ", "does"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_say_whether_there_is_an_export(environ: dict[str, str], does: bool) -> None:
    assert exports(environ) is does


def test_a_queue_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="OTEL_BSP_MAX_QUEUE_SIZE"):
        Telemetry.from_env("here", {"OTEL_BSP_MAX_QUEUE_SIZE": "many"})


# A process


@contextlib.contextmanager
def advisor(home: Path, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MESHWRIGHT_", "OTEL_"))}
    env = {**plain, "MESHWRIGHT_PORT": str(port), "MESHWRIGHT_HOME": str(home), **more}
    env |= {"MESHWRIGHT_DATABASE": "memory:", "MESHWRIGHT_LOG_FORMAT": "json"}
    with subprocess.Popen([sys.executable, "-m", "advisor"], env=env, stderr=subprocess.PIPE) as running:
        try:
            yield running, f"http://127.0.0.1:{port}"
        finally:
            running.kill()


def ask(url: str) -> bytes:
    """One message to an agent, once it is there."""
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m1","role":"ROLE_USER",'
        b'"parts":[{"text":"How long does a refund take?"}]}}}'
    )
    headers = {"content-type": "application/json", "a2a-version": "1.0"}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
                said: bytes = answer.read()
                return said
        except urllib.error.URLError:
            pass  # not there yet, or still starting


def test_a_process_whose_backend_hangs_answers_and_ends_in_time(tmp_path: Path, hanging: str) -> None:
    with advisor(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=hanging) as (running, url):
        assert b"TASK_STATE" in ask(url)
        running.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, said = running.communicate(timeout=20)
        assert time.monotonic() - began < LAST + 4
    assert b"the last spans were not taken" in said


async def test_a_process_sends_its_last_spans_and_its_numbers_before_it_ends(
    tmp_path: Path, backend: TraceBackend
) -> None:
    def live_and_die() -> Any:
        with advisor(tmp_path, **backend.environment(500)) as (running, url):
            ask(url)
            running.send_signal(signal.SIGTERM)
            return running.communicate(timeout=20)

    await asyncio.to_thread(live_and_die)
    assert backend.wrong == []
    (work,) = [each for each in backend.spans if each.name == "invoke_agent advisor"]
    assert (work.process, work.parent) == ("advisor", "")
    assert b"meshwright_places_limit" in b"".join(backend.metrics)
    assert b"meshwright_spans" in b"".join(backend.metrics)
