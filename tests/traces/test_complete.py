"""Every call and verdict has its span and its row: what the check finds, and that over real tickets it finds nothing."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evals.complete import MOST, rows_in
from evals.siege.tickets import ADDRESS, CANCEL, POLICY, RETURN, STATUS, STRANGER
from evals.siege.town import Town, besieged
from evals.tickets import load
from meshwright.records.complete import flaws
from meshwright.records.telemetry import Telemetry
from meshwright.testing.backend import Told, TraceBackend

INTERNAL, SERVER, CLIENT = 1, 2, 3
TRACE = "a" * 32


@dataclass(frozen=True)
class Span:
    """A span, as far as it matters here."""

    id: str
    parent: str = "root"
    name: str = "x"
    kind: int = CLIENT
    attributes: Mapping[str, Any] = field(default_factory=dict)
    trace: str = TRACE


def called(key: str, operation: str, *decisions: str, **more: Any) -> Span:
    attributes = {"gen_ai.operation.name": operation, "mesh.decisions": decisions}
    return Span(key, name=f"{operation} it", attributes=attributes, **more)


def row(key: str, kind: str, span: str, **more: Any) -> dict[str, Any]:
    return {
        "id": key,
        "kind": kind,
        "span": span,
        "trace": TRACE,
        "agent": "a",
        "outcome": "answered",
        **more,
    }


ROOT = Span("root", "", "invoke_workflow a", SERVER)
GATE = Span(
    "g", name="gate", kind=INTERNAL, attributes={"mesh.verdicts": ["x: open"], "mesh.decisions": ["d3"]}
)
WHOLE = [
    ROOT,
    called("s1", "invoke_agent", "d1"),
    called("s2", "execute_tool", "d2"),
    GATE,
    called("s4", "chat", "d4"),
    called("s5", "execute_tool", "d5"),
    Span("s6", "s1", "invoke_agent it", SERVER, {"gen_ai.operation.name": "invoke_agent"}),
]
ROWS = [
    row("d1", "agent_call", "s1"),
    row("d2", "tool_call", "s2"),
    row("d3", "gate", "g"),
    row("d4", "model_call", "s4"),
    row("d5", "effect", "s5"),
]


def found(spans: Sequence[Span], rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(flaw.what, flaw.where) for flaw in flaws(spans, rows)}


def test_where_each_has_its_partner_nothing_is_found() -> None:
    assert found(WHOLE, ROWS) == set()
    assert found([*WHOLE, *WHOLE], [*ROWS, *ROWS]) == set(), "told twice is told"
    assert found([], []) == set()


@pytest.mark.parametrize("lost", range(5))
def test_a_row_that_is_not_there_is_named_by_its_span(lost: int) -> None:
    span, decision = ROWS[lost]["span"], ROWS[lost]["id"]
    what = "verdict without row" if span == "g" else "span without row"
    rest = [each for each in ROWS if each["id"] != decision]
    assert found(WHOLE, rest) == {(what, span), ("named without row", decision)}


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
def test_a_span_that_is_not_there_is_named_by_its_row(lost: int) -> None:
    rest = [each for each in WHOLE if each.id not in (WHOLE[lost].id, "s6")]
    (decision,) = WHOLE[lost].attributes["mesh.decisions"]
    assert found(rest, ROWS) == {("row without span", decision)}


def test_a_tree_that_is_none_is_said_to_be_none() -> None:
    assert found([each for each in WHOLE if each.id != "s1"], ROWS[1:]) == {("orphan", "s6")}
    assert found([*WHOLE, Span("r2", "")], ROWS) == {("second root", "r2")}
    assert found([Span("s1", "s2"), Span("s2", "s1")], []) == {("no root", "s1")}
    assert found([*WHOLE, Span("s9", trace="b" * 32)], ROWS) == {("another trace", "s9")}
    other = Span("s9", attributes={"mesh.correlation.id": "another"})
    assert found([*WHOLE, other], ROWS) == {("another mesh.correlation.id", "s9")}


def test_a_partner_that_is_none_is_no_partner() -> None:
    assert found(WHOLE, [*ROWS, row("d9", "agent_call", "s1")]) == {
        ("span with several rows", "s1"),
        ("row not named", "d9"),
    }
    swapped = [{**ROWS[0], "span": "s2"}, {**ROWS[1], "span": "s1"}, *ROWS[2:]]
    assert ("span without row", "s1") in found(WHOLE, swapped)
    assert ("row on another span", "d1") in found(WHOLE, swapped)
    assert ("row of another trace", "d1") in found(WHOLE, [{**ROWS[0], "trace": "c" * 32}, *ROWS[1:]])
    assert ("row without span", "d1") in found(WHOLE, [{**ROWS[0], "span": ""}, *ROWS[1:]])


# Real tickets, in one process

STOCKED = [each.text for each in (CANCEL, STATUS, RETURN, POLICY, ADDRESS, STRANGER)]


async def ask(town: Town, text: str, seconds: float = 30) -> None:
    """A ticket from somebody who tells no spans, and has so much time."""
    message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": text}]}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    token = town.ring.signer("customer").token("orchestrator")
    headers = {"authorization": f"Bearer {token}", "a2a-version": "1.0"}
    headers["x-mesh-deadline-ms"] = str(int(seconds * 1000))
    async with town.mesh.client() as client:
        assert "result" in (await client.post("http://orchestrator/", json=call, headers=headers)).json()


@asynccontextmanager
async def listened(town: Any, backend: TraceBackend) -> AsyncIterator[Town]:
    """The town, and all that it tells at the backend when the body is over."""
    telemetry = Telemetry("mesh", backend.exporter())
    telemetry.start()
    try:
        async with town as running:
            yield running
    finally:
        await asyncio.to_thread(telemetry.stop)


def require_complete(backend: TraceBackend, home: Path, tickets: int, *, larger: int = 0) -> None:
    """Each of the requests is told completely, and all but `larger` in few spans."""
    spans: dict[str, list[Told]] = defaultdict(list)
    for span in backend.spans:
        spans[span.trace].append(span)
    assert len(spans) == tickets
    rows = rows_in(home)
    keys = {trace: str(some[0].attributes["mesh.correlation.id"]) for trace, some in spans.items()}
    assert set(keys.values()) == set(rows)
    assert [str(flaw) for trace, some in spans.items() for flaw in flaws(some, rows[keys[trace]])] == []
    assert sum(len({span.id for span in some}) > MOST for some in spans.values()) <= larger


async def test_tickets_of_every_kind_are_told_completely(tmp_path: Path, backend: TraceBackend) -> None:
    async with listened(besieged(tmp_path), backend) as town:
        for text in STOCKED:
            await ask(town, text)
        town.mesh.hangs.add("http://orderbook")
        await ask(town, f"{STOCKED[0]} Thanks!", 2.5)
        town.mesh.hangs.clear()
        town.mesh.down.add("http://orders")
        await ask(town, f"{STOCKED[1]} Thanks!")
        town.mesh.down.clear()
    require_complete(backend, tmp_path, len(STOCKED) + 2)


async def test_real_tickets_are_told_completely(tmp_path: Path, backend: TraceBackend) -> None:
    files = {name: Path(os.environ.get(name, "-")) for name in ("TICKETS", "SHOP", "HANDBOOK")}
    if not all(file.is_file() for file in files.values()):
        pytest.skip("no real tickets: name three files with TICKETS, SHOP and HANDBOOK")
    cases = load(files["TICKETS"])[::10]
    stock, handbook = json.loads(files["SHOP"].read_text()), files["HANDBOOK"].read_text()
    async with listened(besieged(tmp_path, stock=stock, handbook=handbook), backend) as town:
        for case in cases:
            await ask(town, case.message)
            await town.effects()
    require_complete(backend, tmp_path, len(cases), larger=1)
