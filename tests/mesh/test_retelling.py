"""What a killed process had ended and not sent is told again from its rows, by who takes up and by who starts after it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from meshwright.database import open_database
from meshwright.errors import StoreUnavailable
from meshwright.records.complete import flaws
from meshwright.records.retelling import retell
from meshwright.records.telemetry import Telemetry
from meshwright.testing.backend import Told, TraceBackend


class Lost(SpanExporter):
    """What was ended in a process that was killed before it sent anything."""

    def __init__(self) -> None:
        self.spans: dict[str, tuple[str, str, str]] = {}

    def export(self, spans: Any) -> SpanExportResult:
        for span in spans:
            self.spans[f"{span.context.span_id:016x}"] = shape(span)
        return SpanExportResult.SUCCESS


def shape(span: ReadableSpan) -> tuple[str, str, str]:
    return span.name, f"{span.parent.span_id:016x}" if span.parent else "", span.kind.name


@asynccontextmanager
async def listening(exporter: SpanExporter) -> AsyncIterator[None]:
    telemetry = Telemetry("mesh", exporter)
    telemetry.start()
    try:
        yield
    finally:
        await asyncio.to_thread(telemetry.stop)


def rows(home: Path) -> list[dict[str, Any]]:
    found = []
    for file in sorted(home.glob("*.db")):
        with closing(sqlite3.connect(file)) as database:
            found += [json.loads(body) for (body,) in database.execute("SELECT body FROM decisions")]
    return found


def once(spans: list[Told]) -> dict[str, tuple[str, str, str]]:
    kinds = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT"}
    return {span.id: (span.name, span.parent, kinds[span.kind]) for span in spans}


async def ask(team: Any, text: str) -> None:
    headers = {
        "authorization": f"Bearer {team.ring.signer('operator').token('orchestrator')}",
        "a2a-version": "1.0",
    }
    message = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}]}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with team.mesh.client() as client:
        assert "result" in (await client.post("http://orchestrator/", json=call, headers=headers)).json()


@pytest.fixture
async def backend() -> AsyncIterator[TraceBackend]:
    async with TraceBackend().serving() as running:
        yield running


async def test_all_that_was_lost_is_told_again_after_a_restart_under_the_same_ids(
    start_team: Any, tmp_path: Path, backend: TraceBackend
) -> None:
    lost = Lost()
    async with listening(lost):
        async with start_team() as team:
            await ask(team, "paint t1 red")
    async with listening(backend.exporter()):
        async with start_team():
            async with asyncio.timeout(20):
                while len(once(backend.spans)) < len(lost.spans):
                    await asyncio.sleep(0)
    assert once(backend.spans) == lost.spans
    assert flaws(backend.spans, rows(tmp_path)) == []


async def test_who_takes_a_turn_up_tells_the_steps_that_were_done_and_leaves_the_turn_to_itself(
    start_team: Any, tmp_path: Path, backend: TraceBackend
) -> None:
    lost = Lost()
    async with listening(lost):
        async with start_team() as team:
            await ask(team, "paint t1 red")
    task = next(row["task"] for row in rows(tmp_path) if row["agent"] == "orchestrator")
    database = await open_database(f"sqlite:///{tmp_path}/orchestrator.db")
    assert await retell(database, "orchestrator", task, 1) == 0, "nobody listens"
    async with listening(backend.exporter()):
        assert await retell(database, "orchestrator", "of another", 1) == 0
        assert await retell(database, "orchestrator", task, 2) == 0
        told = await retell(database, "orchestrator", task, 1)
    await database.close()
    again = once(backend.spans)
    assert len(again) == told
    assert again.items() <= lost.spans.items()
    steps = [name for name, _, kind in lost.spans.values() if kind in ("CLIENT", "INTERNAL")]
    own = Counter(steps) - Counter(["execute_tool look_at"])  # which is an agent's own
    assert Counter(name for name, _, _ in again.values()) == own
    assert {span.attributes["mesh.retold"] for span in backend.spans} == {True}


async def test_a_database_that_is_away_keeps_nobody_from_working(
    tmp_path: Path, backend: TraceBackend
) -> None:
    class Away:
        async def read(self, op: Any) -> Any:
            raise StoreUnavailable("away")

    away: Any = Away()
    async with listening(backend.exporter()):
        assert await retell(away, "orchestrator", operation="invoke_workflow") == 0
