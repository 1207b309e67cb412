"""What makes two decisions the same one, what the minutes give to a transaction, and how large a row can be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshwright.outbound.answers import decisions_in
from meshwright.records.decision import ROW, Decision
from meshwright.records.minutes import Minutes
from meshwright.tasks.ids import new_id


def taken(minutes: Minutes) -> list[str]:
    keys = [minutes.nth("tool_call", what) for what in ("look t1", "look t2", "look t1")]
    return [
        minutes.take("plan", outcome="answered"),
        minutes.take("plan", outcome="answered"),
        *(minutes.take("tool_call", key=key, outcome="answered") for key in keys),
    ]


def test_the_same_work_in_the_same_turn_has_the_same_ids_and_in_another_others() -> None:
    first = taken(Minutes("orders", "t1", 1))
    assert len(set(first)) == 5
    assert taken(Minutes("orders", "t1", 1)) == first
    for other in (Minutes("orders", "t1", 2), Minutes("orders", "t2", 1), Minutes("returns", "t1", 1)):
        assert not set(taken(other)) & set(first)


def test_ids_are_ids_whatever_the_task_is_called_and_of_two_tasks_of_one_moment_they_differ() -> None:
    moment = new_id()[:10]
    tasks = [moment + "a" * 22, moment + "b" * 22, "t1", "", "\ud800" * 40, "z" * 32]
    ids = [name for task in tasks for name in taken(Minutes("orders", task))]
    assert len(set(ids)) == len(ids)
    assert decisions_in({"decisions": ids}) == tuple(ids)
    assert all(name[1:11] == moment for name in ids[:10])


def test_an_id_can_be_named_before_its_decision_is_taken() -> None:
    minutes = Minutes("orders", "t1")
    assert minutes.id_of("route", "part") == minutes.take("route", key="part", outcome="answered")


def test_the_later_word_on_a_decision_counts_until_one_is_kept() -> None:
    minutes = Minutes("orders", "t1")
    minutes.take("route", key="part", outcome="asked")
    before = minutes.open
    minutes.take("route", key="part", outcome="answered")
    assert [row.outcome for row in minutes.open] == ["answered"]
    minutes.kept(before)
    assert [row.outcome for row in minutes.open] == ["answered"], "it was not that one which was kept"
    minutes.kept(minutes.open)
    assert minutes.open == []
    assert len(minutes.ids) == 1


def test_a_clock_that_goes_back_makes_no_negative_time() -> None:
    minutes = Minutes("orders", "t1")
    minutes.take("route", began=4e9, outcome="answered")
    assert [row.ms for row in minutes.open] == [0]


WIDE: dict[str, dict[str, Any]] = {
    "a large result": {"call": {"tool": "look", "result": "x" * 70_000}},
    "many sides": {"sides": [{"agent": "a", "says": "s" * 400, "evidence": ["e" * 400] * 99}] * 99},
    "all lists": {
        "options": [{"name": "n" * 400, "why_not": "w" * 400}] * 99,
        "passed": [{"key": "\x01" * 400, "source": "\x01" * 400}] * 99,
        "omitted": [{"key": "\x01" * 400, "why": "stale"}] * 99,
        "evidence": ["\x01" * 400] * 99,
    },
    "no JSON": {"more": {"odd": object()}},
}


@pytest.mark.parametrize("said", WIDE.values(), ids=WIDE.keys())
def test_a_row_is_never_too_large_and_says_what_it_lost(said: dict[str, Any]) -> None:
    decision = Decision(
        id="d", kind="gate", at=1.0, agent="orders", outcome="block", reason="why " * 900, **said
    )
    row = decision.row()
    assert len(row) <= ROW
    kept = json.loads(row)
    assert kept["outcome"] == "block"
    assert kept["reason"].startswith("why ")
    assert "cut" in kept["more"]
