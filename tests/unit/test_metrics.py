"""What is counted is told in a form that Prometheus reads, and says what happened."""

from __future__ import annotations

import re

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from meshwright.errors import BreakerOpen, PeerOverloaded, PeerUnreachable
from meshwright.inbound.places import Places
from meshwright.outbound.breaker import FAIL_MAX, Breaker
from meshwright.outbound.hedge import Hedge
from meshwright.outbound.retry import Retries
from meshwright.records.decision import Decision
from meshwright.records.metrics import (
    FAMILIES,
    Decided,
    Sample,
    Worked,
    exposition,
    of_log,
    of_places,
    of_target,
)
from meshwright.records.scores import Scores
from meshwright.records.telemetry import Telemetry

#: Told by a server that has tasks: see tests/traces/test_told.py.
OF_TASKS = {
    *("meshwright_tasks_held", "meshwright_queue_waiting", "meshwright_queue_oldest_seconds"),
    *(
        "meshwright_leases",
        "meshwright_outbox_waiting",
        "meshwright_budget_day_limit",
        "meshwright_budget_day_used",
    ),
}
#: A line of the format, as its description gives it.
LINE = re.compile(
    r'[a-z_]+(\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\})? -?[0-9.e+-]+'
)


def told(text: str) -> dict[str, float]:
    """Samples by what they say, once the text is known to be in the format."""
    seen: list[str] = []
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split()
            assert (kind == "counter") == name.endswith("_total")
            assert name not in seen
            seen.append(name)
        elif not line.startswith("# HELP "):
            assert LINE.fullmatch(line), line
            assert line.startswith(seen[-1])
            what, value = line.rsplit(" ", 1)
            found[what] = float(value)
    assert text == "" or text.endswith("\n")
    return found


async def test_calls_refusals_and_changes_are_counted_by_what_they_were() -> None:
    breaker = Breaker("http://orders")
    breaker.peer = "Orders"
    with pytest.raises(PeerOverloaded):
        async with breaker.admit():
            raise PeerOverloaded("Orders", "429")
    for _ in range(FAIL_MAX):
        with pytest.raises(PeerUnreachable):
            async with breaker.admit():
                raise PeerUnreachable("Orders", "reset")
    with pytest.raises(BreakerOpen):
        async with breaker.admit():
            pass
    found = told(exposition([lambda: of_target(breaker, Retries())]))
    who = 'kind="peer",peer="Orders",address="http://orders"'
    assert found[f'meshwright_calls_total{{{who},outcome="transport"}}'] == FAIL_MAX
    assert found[f'meshwright_calls_total{{{who},outcome="overload"}}'] == 1
    assert found[f'meshwright_calls_refused_total{{{who},why="open"}}'] == 1
    assert found[f'meshwright_breaker_changes_total{{{who},to="open"}}'] == 1
    states = {
        state: found[f'meshwright_breaker_state{{{who},state="{state}"}}'] for state in ("open", "closed")
    }
    assert states == {"open": 1, "closed": 0}


def test_a_name_from_outside_cannot_break_the_format() -> None:
    nasty = 'Or"ders\\\n# TYPE x counter'
    text = exposition([lambda: [Sample("meshwright_retries_total", 1, (("peer", nasty),))]])
    assert list(told(text).values()) == [1]


def test_a_count_of_millions_is_told_to_the_last_one() -> None:
    counts = (1_234_567, 987_654_321_012, 0.25)
    told = exposition([lambda: [Sample("meshwright_model_micros_total", count) for count in counts]])
    values = [line.rsplit(" ", 1)[1] for line in told.splitlines() if not line.startswith("#")]
    assert [float(value) for value in values] == list(counts)


def test_two_sources_of_one_family_are_told_together() -> None:
    breakers = [Breaker("http://a"), Breaker("http://b")]
    text = exposition([lambda b=b: of_target(b, Retries()) for b in breakers])  # type: ignore[misc]
    assert sum("breaker_state" in line for line in told(text)) == 6


def test_every_family_is_told_by_somebody() -> None:
    breaker, retries, places = Breaker("http://a"), Retries(), Places(1, 1)
    hedge = Hedge()
    for counter in (
        hedge.sent,
        breaker.calls,
        breaker.refusals,
        breaker.changes,
        retries.refused,
        places.shed,
    ):
        counter["x"] += 1
    log = of_log(1, 1, 0.0, 0.0, broken=False)
    spans = Telemetry("a", InMemorySpanExporter()).samples()
    worked = Worked()
    worked.note("x", 0.5)
    scores, decided = Scores("http://127.0.0.1:1/", {}), Decided()
    for kind in ("budget", "model_call"):
        decided.note(decision(kind))
    own = (*spans, *scores.samples(), *worked.samples(), *decided.samples(), *log)
    named = {sample.name for sample in (*of_target(breaker, retries, hedge), *of_places(places), *own)}
    assert named == set(FAMILIES) - OF_TASKS


def decision(kind: str) -> Decision:
    said = {
        "id": "d",
        "at": 0.0,
        "agent": "a",
        "outcome": "cut",
        "tokens_in": 5,
        "tokens_out": 7,
        "micros": 3,
    }
    return Decision.model_validate({"kind": kind, **said})


def test_what_a_model_cost_is_counted_once_and_not_again_for_who_asked() -> None:
    decided = Decided()
    for kind in ("model_call", "agent_call", "route"):
        decided.note(decision(kind))
    found = told(exposition([decided.samples]))
    assert found['meshwright_model_tokens_total{way="in"}'] == 5
    assert found['meshwright_model_tokens_total{way="out"}'] == 7
    assert found["meshwright_model_micros_total"] == 3
    assert found['meshwright_decisions_total{kind="route"}'] == 1
