"""Whose word on a trace is taken, and where the id of a request stands."""

from __future__ import annotations

import json
import logging

import pytest

from meshwright.records.correlation import UPSTREAM, admitted, followed, of_trace
from meshwright.records.logs import Json, Text
from meshwright.records.tracing import turn

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = {
    "traceparent": PARENT,
    "tracestate": "a=b",
    "baggage": "mesh.correlation.id=12345678,x=y",
    "x-mesh-run": "r",
}
TASK = "01a217f8efb178a3979d8127aa30a60a"


def test_of_who_is_known_everything_is_kept_but_what_only_we_say() -> None:
    assert admitted({**HEADERS, UPSTREAM: "forged"}, believed=True) == HEADERS


def test_a_stranger_begins_a_trace_of_ours_and_theirs_is_noted() -> None:
    assert admitted(HEADERS, believed=False) == {"x-mesh-run": "r", UPSTREAM: PARENT}
    assert admitted({"traceparent": "ada@example.org"}, believed=False) == {}


def test_a_later_message_keeps_the_id_of_the_first_and_may_have_a_parent_of_its_own() -> None:
    own = "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01"
    found = followed(HEADERS, {"traceparent": own, "baggage": "mesh.correlation.id=another-one"})
    assert (found["traceparent"], found["baggage"]) == (own, HEADERS["baggage"])
    assert followed(HEADERS, {})["traceparent"] == PARENT


def test_what_is_no_text_carries_no_trace() -> None:
    assert of_trace({"traceparent": 5, "tracestate": None, "baggage": ["a=b"]}) == {}


def record(message: str, **more: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "meshwright.x", **more})


def test_every_line_of_the_work_has_its_id_and_no_other_line_has_one() -> None:
    text, lines = Text("orders"), Json("orders")
    with turn("work", {}, TASK, 1, "s"):
        assert text.format(record("hello")).endswith(f"orders INFO [{TASK}] hello")
        assert json.loads(lines.format(record("hello")))["correlation"] == TASK
    assert text.format(record("hello")).endswith("orders INFO hello")
    assert "correlation" not in json.loads(lines.format(record("hello")))


@pytest.mark.parametrize("nasty", ['a\nb {"level": "ERROR"}', "\ud800", 'quote " and \\'])
def test_what_is_logged_stays_one_line_of_json(nasty: str) -> None:
    line = Json("orders").format(record("%s", args=(nasty,)))
    assert "\n" not in line
    line.encode()
    assert json.loads(line)["message"] == nasty


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        line = Json("orders").format(record("broke", exc_info=(ValueError, error, error.__traceback__)))
    assert json.loads(line)["exception"].endswith("ValueError: why")
