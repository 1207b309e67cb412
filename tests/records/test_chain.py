"""Decisions as a tree, and all that led to one action: whatever the rows say."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from meshwright.records.chain import DEEP, Node, tree, why

_at = itertools.count(1)


def row(name: str, kind: str = "plan", **said: Any) -> dict[str, Any]:
    return {"id": name, "kind": kind, "at": float(next(_at)), "agent": "orchestrator", "task": "t", **said}


def shape(nodes: list[Node]) -> list[Any]:
    return [[node.decision["id"], *shape(node.below)] for node in nodes]


def a_run() -> list[dict[str, Any]]:
    """Two parts; the second was given the first's facts, and proposed `act`, which a person made `new` of."""
    peer = {"agent": "returns", "task": "t2"}
    return [
        row("plan"),
        row("route1", "route", parent="plan", subtask="who"),
        row(
            "call1",
            "agent_call",
            parent="route1",
            subtask="who",
            remote="t1",
            outcome="answered",
            below=["read1"],
        ),
        row("read1", "tool_call", agent="accounts", task="t1"),
        row("route3", "route", parent="plan", subtask="other"),
        row("call3", "agent_call", parent="route3", subtask="other", remote="t3", outcome="answered"),
        row("read3", "tool_call", agent="advisor", task="t3"),
        row(
            "route2",
            "route",
            parent="plan",
            subtask="refund",
            passed=[{"key": "who", "source": "finding:who"}],
        ),
        row("call2", "agent_call", parent="route2", subtask="refund", remote="t2", outcome="answered"),
        row("read2", "tool_call", **peer),
        row("model2", "model_call", **peer),
        row("mine", "gate", action="elsewhere", **peer),
        row("conflict", "resolve_conflict", more={"actions": ["act", "rival"]}),
        row("gate1", "gate", parent="call2", action="act"),
        row("gate0", "gate", parent="call3", action="rival"),
        row("said", "review", parent="gate1", action="act", more={"became": "new"}),
        row("gate2", "gate", parent="said", action="new"),
        row("effect", "effect", parent="gate2", action="new"),
    ]


def test_what_an_agent_decided_stands_below_the_call_that_asked_it() -> None:
    assert shape(tree(a_run())) == [
        [
            "plan",
            ["route1", ["call1", ["read1"]]],
            ["route3", ["call3", ["read3"], ["gate0"]]],
            [
                "route2",
                ["call2", ["read2"], ["model2"], ["mine"], ["gate1", ["said", ["gate2", ["effect"]]]]],
            ],
        ],
        ["conflict"],
    ]


def test_a_decision_of_a_second_turn_stands_below_the_second_call_of_that_task() -> None:
    rows = [
        row("first", "agent_call", remote="t1"),
        row("second", "agent_call", remote="t1"),
        row("early", "tool_call", task="t1", turn=1),
        row("late", "tool_call", task="t1", turn=2),
        row("later", "tool_call", task="t1", turn=9),
    ]
    assert shape(tree(rows)) == [["first", ["early"]], ["second", ["late"], ["later"]]]


def test_a_parent_that_is_not_there_a_circle_and_nonsense_lose_nothing() -> None:
    rows: list[Any] = [
        *(row("a", parent="c"), row("b", parent="a"), row("c", parent="b"), row("tail", parent="b")),
        *(row("orphan", parent="gone"), row("self", parent="self"), row("self", kind="gate")),
        *({"id": "odd", "at": "noon", "parent": 7, "below": 1, "more": []}, {"id": 3}, {}, "text", None),
        row("call", "agent_call", below=[1, None, "orphan"], remote=["x"]),
    ]
    found = tree(rows)
    assert sorted(node.decision["id"] for root in found for _, node in root.walk()) == [
        *("a", "b", "c", "call", "odd", "orphan", "self", "tail")
    ]
    assert ["a", ["b", ["c"], ["tail"]]] in shape(found)
    assert ["call", ["orphan"]] in shape(found)
    assert [each["id"] for each in why([*rows, row("z", "gate", action="k", parent="c")], "k")] == [
        "a",
        "b",
        "c",
        "z",
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        pytest.param(10**400, id="10^400"),
        pytest.param(-(10**400), id="-10^400"),
        float("nan"),
        True,
        [],
        [[]],
        {},
        {"a": []},
    ],
)
def test_whatever_a_field_holds_no_decision_is_lost_and_the_reader_does_not_fail(value: Any) -> None:
    rows = a_run()
    for name in {name for each in rows for name in each} - {"id"}:
        odd = [{**each, name: value} for each in rows]
        assert sum(1 for root in tree(odd) for _ in root.walk()) == len(rows)
        assert {each["id"] for each in why(odd, "new")} <= {each["id"] for each in rows}


def test_no_tree_is_deeper_than_one_can_walk() -> None:
    rows = [row(f"d{number}", parent=f"d{number - 1}") for number in range(2_000)]
    walked = [depth for root in tree(rows) for depth, _ in root.walk()]
    assert len(walked) == 2_000
    assert max(walked) == DEEP - 1


def test_a_tree_is_read_from_above_and_the_oldest_first() -> None:
    root = tree([row("a"), row("b", parent="a"), row("c", parent="b"), row("d", parent="a")])[0]
    assert [(depth, node.decision["id"]) for depth, node in root.walk()] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
        (1, "d"),
    ]


def test_why_tells_all_that_led_to_an_action_and_nothing_of_another() -> None:
    assert [each["id"] for each in why(a_run(), "new")] == [
        *("plan", "route1", "call1", "read1", "route2", "call2", "read2", "model2", "conflict"),
        *("gate1", "said", "gate2", "effect"),
    ]


def test_why_an_action_lost_names_the_disagreement() -> None:
    told = [each["id"] for each in why(a_run(), "rival")]
    assert told == ["plan", "route3", "call3", "read3", "conflict", "gate0"]


def test_of_an_action_that_is_not_known_nothing_is_told() -> None:
    assert why(a_run(), "none") == why(a_run(), "") == why([], "act") == []


def test_what_a_run_came_to_is_as_old_as_its_work_and_read_last() -> None:
    rows = [row("end", "final"), row("plan"), row("route", "route", parent="plan")]
    assert [root.decision["id"] for root in tree(rows)] == ["plan", "end"]
