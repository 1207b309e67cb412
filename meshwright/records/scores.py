"""Scores for Langfuse: the verdicts of gates, what people decided, what a run came to, beside the spans that they are about.

Off the request path, as spans are: a queue of fixed size, and a thread of its own that is there once there is something to send. When
nobody takes them the oldest are dropped, and counted. A score's id is that of its decision, so one that is sent again is the same score.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from meshwright.records.correlation import as_id
from meshwright.records.metrics import Sample

if TYPE_CHECKING:
    from meshwright.records.decision import Decision

#: What Langfuse calls its OTLP endpoint; scores are taken beside it.
OTEL, SCORES = "/api/public/otel", "/api/public/scores"
#: Kinds of decisions that are scores, and what they are called as such.
NAMES: Mapping[str, str] = {"gate": "gate", "review": "review", "final": "outcome"}
#: Scores that may wait; seconds that one request may take, and between two tries, at first and at most.
SIZE, SECONDS, PAUSE, LONGEST = 2048, 3.0, 1.0, 30.0

log = logging.getLogger(__name__)


class Scores:
    """Sends scores to `url`, with `headers`, from the first one to `stop`."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, size: int = SIZE, pause: float = PAUSE
    ) -> None:
        parts = urlsplit(url)
        self._secure, self.host, self.path = parts.scheme == "https", parts.netloc, parts.path or "/"
        self._headers = {**headers, "content-type": "application/json"}
        self._size, self._pause = size, pause
        self._waiting: deque[bytes] = deque()
        self._bell = threading.Condition()
        self._thread: threading.Thread | None = None
        self._leaving = False
        self._connection: http.client.HTTPConnection | None = None
        self.counts: Counter[str] = Counter(sent=0, refused=0, dropped=0)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Scores | None:
        """Beside the OTLP endpoint of a Langfuse, with the headers that the export has; None where the export goes elsewhere."""
        for which in ("TRACES_", ""):
            endpoint = environ.get(f"OTEL_EXPORTER_OTLP_{which}ENDPOINT", "")
            if endpoint:
                break
        parts = urlsplit(endpoint)
        path = parts.path.removesuffix("/").removesuffix("/v1/traces")
        if parts.scheme not in ("http", "https") or not parts.hostname or not path.endswith(OTEL):
            return None
        said = environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or environ.get(
            "OTEL_EXPORTER_OTLP_HEADERS", ""
        )
        headers = _headers(said)
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers.setdefault("authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        host = parts.netloc.rpartition("@")[2]
        return cls(f"{parts.scheme}://{host}{path.removesuffix(OTEL)}{SCORES}", headers)

    def hear(self, decision: Decision) -> None:
        """A decision was made. Costs what it takes to see that it is no score, or to write one down."""
        name = NAMES.get(decision.kind)
        if name is None or not decision.trace:
            return
        body: dict[str, Any] = {
            "id": decision.id,
            "traceId": decision.trace,
            "name": name,
            "value": as_id(decision.outcome),
            "dataType": "CATEGORICAL",
            # names, as on spans: never what somebody said
            "comment": " ".join(as_id(said) for said in (decision.selected, decision.policy) if said),
        }
        if decision.kind != "final" and decision.span:
            body["observationId"] = decision.span
        with self._bell:
            if len(self._waiting) >= self._size:
                self._waiting.popleft()
                self.counts["dropped"] += 1
            self._waiting.append(json.dumps(body).encode())
            self._bell.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="scores", daemon=True)
                self._thread.start()

    def samples(self) -> Iterator[Sample]:
        """What became of this process's scores, for `/metrics`."""
        for what, count in sorted(self.counts.items()):
            yield Sample("meshwright_scores_total", count, (("what", what),))

    def stop(self, seconds: float) -> None:
        """Send what waits, within `seconds`; what hangs is left to the end of the process."""
        with self._bell:
            self._leaving = True
            self._bell.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def _send_all(self) -> None:
        pause = self._pause
        while True:
            with self._bell:
                self._bell.wait_for(lambda: self._waiting or self._leaving)
                if not self._waiting:
                    break
                body = self._waiting[0]
            what = self._sent(body)
            with self._bell:
                if what:
                    self.counts[what] += 1
                    if (
                        self._waiting and self._waiting[0] is body
                    ):  # else it was dropped meanwhile, and arrived
                        self._waiting.popleft()
                    else:
                        self.counts["dropped"] -= 1
                    pause = self._pause
                elif self._leaving:
                    self.counts["dropped"] += len(self._waiting)
                    break
                else:
                    self._bell.wait_for(lambda: self._leaving, pause)
                    pause = min(pause * 2, LONGEST)
        if self._connection is not None:
            self._connection.close()

    def _sent(self, body: bytes) -> str:
        """What became of one score: sent or refused; empty where it may go better later."""
        try:
            connection = self._connection or self._connected()
            connection.request("POST", self.path, body, self._headers)
            answer = connection.getresponse()
            said = answer.read(1024)
            if answer.will_close:
                connection.close()
        except (OSError, http.client.HTTPException):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return ""
        if answer.status < 300:
            return "sent"
        if answer.status == 429 or answer.status >= 500:
            return ""
        if not self.counts["refused"]:
            log.warning("scores are not taken: %d %s", answer.status, said[:200].decode(errors="replace"))
        return "refused"

    def _connected(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        self._connection = kind(self.host, timeout=SECONDS)
        return self._connection


def _headers(said: str) -> dict[str, str]:
    """As OTEL_EXPORTER_OTLP_HEADERS writes them: `name=value,name=value`, percent-encoded."""
    pairs = (pair.partition("=") for pair in said.split(",") if "=" in pair)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs if name.strip()}
