"""One request is one trace, told to a backend over OTLP: who called whom, what each span is, and nothing that anybody said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from meshwright.records.telemetry import Telemetry
from meshwright.testing.backend import TraceBackend

Listening = Callable[[], Any]
MOST = 25


@pytest.fixture
def listening() -> Listening:
    """A backend that hears this process while the body lasts; what was sent is there when it ends."""

    @asynccontextmanager
    async def listen() -> AsyncIterator[TraceBackend]:
        async with TraceBackend().serving() as backend:
            telemetry = Telemetry("mesh", backend.exporter())
            telemetry.start()
            try:
                yield backend
            finally:
                await asyncio.to_thread(telemetry.stop)

    return listen


def tree(backend: TraceBackend) -> list[str]:
    """The spans as an indented tree."""
    lines: list[str] = []

    def below(parent: str, depth: int) -> None:
        for span in sorted((s for s in backend.spans if s.parent == parent), key=lambda s: s.began):
            lines.append("  " * depth + span.name)
            below(span.id, depth + 1)

    below("", 0)
    return lines


async def test_a_workflow_is_one_trace_with_one_root_and_no_orphan(
    start_team: Any, listening: Listening
) -> None:
    async with listening() as backend:
        async with start_team() as team:
            report = await team.report("paint t1 red")
    assert report["outcome"] == "done"
    print("\n".join(tree(backend)))
    assert backend.wrong == []
    assert len({span.trace for span in backend.spans}) == 1
    assert [span.name for span in backend.spans if not span.parent] == ["invoke_workflow orchestrator"]
    assert backend.orphans() == []
    assert len(backend.spans) == len({span.id for span in backend.spans})
    ids = {span.attributes.get("mesh.correlation.id") for span in backend.spans}
    assert len(ids) == 1
    assert None not in ids
