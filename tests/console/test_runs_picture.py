"""A run as a picture, from whatever the mesh says of it."""

from __future__ import annotations

from typing import Any

import pytest

from console.picture import PAGE, Asked, Picture, picture
from console.timeline import FOLD, MOST, WIDTH, timeline
from meshwright.explaining.outcome import Action
from meshwright.explaining.steps import DEEPEST, outline

NOW = 1_800_000_100.0
BEGAN = 1_800_000_000.0


def row(name: str, kind: str, at: float = 0.0, ms: int = 10, **more: Any) -> dict[str, Any]:
    """A decision as the orchestrator gives it; `at` in seconds after the beginning."""
    said = {"agent": "orchestrator", "outcome": "answered", **more}
    return {"id": name, "kind": kind, "at": BEGAN + at, "ms": ms, **said}


def document(*rows: Any, **run: Any) -> dict[str, Any]:
    known = {"id": "r1", "task_id": "t1", "request": "paint t2 red", "state": "done", "caller": "shop"}
    times = {"started": BEGAN, "ended": BEGAN + 2, "report": {"outcome": "done", "reply": "It is red."}}
    return {"run": {**known, **times, **run}, "decisions": list(rows), "missing": [], "links": {}}


def seen(*rows: Any, asked: Asked = Asked(), **run: Any) -> Picture:  # noqa: B008
    return picture(document(*rows, **run), asked, NOW)


def painted() -> list[dict[str, Any]]:
    """A whole run: a part that a stand-in looked at, and a change that a person let through the next day."""
    call = {"tool": "paint", "arguments": {"thing_id": "t2"}}
    return [
        row("d1", "plan", outcome="planned", selected="triage", more={"parts": [{"id": "paint", "skill": "order-change"}]}),
        row(
            *("d2", "route", 0.1),
            parent="d1",
            outcome="stand-in",
            selected="standby",
            subtask="paint",
            options=[{"name": "orders", "score": 1, "why_not": "its breaker is open"}, {"name": "standby", "score": 2}],
            passed=[{"key": "request", "bytes": 12}],
            omitted=[{"key": "price", "why": "relevance", "bytes": 8}, {"key": "name", "why": "personal"}],
        ),
        row("d3", "agent_call", 0.2, 900, parent="d2", selected="standby", remote="t9", outcome="stand-in"),
        row("d4", "tool_call", 0.3, 200, agent="standby", task="t9", call={"tool": "look_at", "result": {"price": 7}}),
        row("d5", "gate", 1.2, 5, parent="d3", outcome="review", action="a1", selected="paint", policy="expensive", more={"arguments": {"thing_id": "t2"}}),
        row("d6", "review", 86_401.3, 0, parent="d5", outcome="approve", action="a1", selected="paint", person="ann", reason="fine", more={"waited_s": 86_400}),
        row("d7", "effect", 86_402.0, 50, parent="d6", outcome="applied", action="a1", selected="paint", call=call),
        row("d8", "final", 86_403.0, outcome="done"),
    ]  # fmt: skip


def test_a_run_says_what_it_came_to_who_asked_and_how_long_it_took() -> None:
    head = seen(*painted()).head
    assert (head.outcome, head.tone, head.reply, head.caller, head.ms) == (
        "done",
        "good",
        "It is red.",
        "shop",
        2000,
    )
    assert (head.decisions, head.agents) == (8, 2)


def test_what_is_out_of_the_ordinary_is_said_first_the_worst_before_the_rest() -> None:
    found = seen(
        *painted(), row("d9", "tool_call", 0.4, outcome="failed", call={"tool": "x", "error": "gone"})
    )
    whats = [(notice.tone, notice.what) for notice in found.notices]
    assert whats[0] == ("bad", "orchestrator read x, which failed: gone")
    assert (
        "warn",
        "orchestrator chose standby for “paint”, who stands in for the agents whose work it is",
    ) in whats


def test_what_was_left_out_is_named_with_whom_it_was_kept_from_and_why() -> None:
    found = [(left.agent, left.key, left.why) for left in seen(*painted()).left_out]
    assert found == [
        ("standby", "price", "it was held not to matter there"),
        ("standby", "name", "it is personal, and not needed there"),
    ]
    line = next(line for line in seen(*painted()).lines if line.step.kind == "route")
    assert line.omitted == "2 left out: 1 relevance, 1 personal"


def test_an_action_is_told_with_what_became_of_it() -> None:
    (action,) = seen(*painted()).actions
    assert isinstance(action, Action)
    assert (action.key, action.name, action.outcome, action.arguments) == (
        "a1",
        "paint",
        "applied",
        "thing_id: t2",
    )


def test_a_peers_decisions_stand_below_the_call_that_asked_it() -> None:
    depths = {line.step.said.id: line.step.depth for line in seen(*painted()).lines}
    assert depths["d4"] == depths["d3"] + 1 == 3


def test_the_outline_closes_every_list_that_it_opens() -> None:
    level = 0
    for line in seen(*painted()).lines:
        level += line.opens
        assert level == line.step.depth
        level -= line.closes
    assert level == 0


def test_a_wait_of_a_day_is_a_fold_of_the_axis_and_not_all_of_it() -> None:
    drawn = timeline(outline(painted()))
    call = next(hop for hop in drawn.hops if hop.step.said.id == "d3")
    assert [(fold.width, round(fold.seconds)) for fold in drawn.folds] == [(FOLD, 86_400)]
    assert call.width > WIDTH / 3
    assert all(0 <= hop.x <= hop.x + hop.width <= WIDTH for hop in drawn.hops)


def test_two_long_labels_do_not_stand_on_one_another_at_the_end_of_the_axis() -> None:
    rows = painted()
    for later in rows[5:]:  # the person took a minute and a half
        later["at"] -= 86_400 - 87.5
    ticks = timeline(outline(rows)).ticks
    assert (ticks[0], ticks[-2], ticks[-1]) == ("+0 ms", "", "+1 min 29 s")
    assert "" not in timeline(outline(painted()[:4])).ticks


def test_what_a_peer_with_another_clock_did_is_drawn_within_the_call_and_says_so() -> None:
    rows = painted()[:4]
    rows[3]["at"] -= 3600
    call, tool = timeline(outline(rows)).hops
    assert call.begins <= tool.begins <= tool.ends <= call.ends
    assert round(tool.shifted) == 3600


def test_a_peer_that_ended_late_was_late_and_has_no_other_clock() -> None:
    rows = painted()[:4]
    rows[3]["ms"] = 5_000
    _, tool = timeline(outline(rows)).hops
    assert (tool.shifted, tool.ends > rows[2]["at"] + 1) == (0.0, True)


def test_of_hundreds_of_hops_the_calls_and_the_longest_are_drawn_and_the_rest_is_counted() -> None:
    reads = [row(f"d{n}", "tool_call", n / 10, n) for n in range(300)]
    drawn = timeline(outline([*reads, row("call", "agent_call", 0.5, 1)]))
    names = {hop.step.said.id for hop in drawn.hops}
    assert (len(names), drawn.left_out) == (MOST, 301 - MOST)
    assert {"call", "d299"} <= names


def test_a_filter_shows_decisions_of_one_kind_and_counts_those_of_the_others() -> None:
    found = seen(*painted(), asked=Asked(kind="gate"))
    assert [line.step.said.id for line in found.lines] == ["d5"]
    assert [(c.value, c.count, c.is_chosen) for c in found.kinds if c.value in ("gate", "plan")] == [
        ("plan", 1, False),
        ("gate", 1, True),
    ]


def test_a_huge_run_comes_in_pages_and_a_link_to_a_decision_leads_to_its_page() -> None:
    rows = [row(f"d{n:04}", "tool_call", n) for n in range(500)]
    first = seen(*rows)
    assert (len(first.lines), first.found, first.after) == (PAGE, 500, PAGE)
    linked = seen(*rows, asked=Asked(unfolded="d0499"))
    assert [line.step.said.id for line in linked.lines if line.is_open] == ["d0499"]


def test_a_run_that_works_or_waits_is_open_and_its_time_runs() -> None:
    head = seen(state="waiting", ended=None, report=None).head
    assert (head.is_open, head.outcome, head.ms) == (True, "waiting", 100_000)


def test_an_agent_that_could_not_be_asked_is_said_plainly() -> None:
    told = document(*painted()) | {"missing": [{"agent": "orders", "ids": ["d1", "d2"], "why": "it is down"}]}
    found = picture(told, Asked(), NOW)
    assert [(m.agent, m.count, m.why) for m in found.missing] == [("orders", 2, "it is down")]


NONSENSE: list[Any] = [
    None, [], "text", 7, {}, {"id": 5}, {"id": "x"},
    {"id": "y", "kind": ["a"], "at": "yesterday", "agent": {"deep": 1}, "outcome": None, "ms": -5},
    {"id": "z", "kind": "gate", "at": float("nan"), "ms": 10**400, "agent": "\ud800", "outcome": "x" * 5000},
    {"id": "v", "kind": "telepathy", "at": BEGAN, "agent": "a", "outcome": "felt", "aura": "blue"},
    {"id": "w", "kind": "tool_call", "at": 1e300, "agent": "a", "outcome": "ok", "call": "no"},
    {"id": "u", "kind": "effect", "at": -1, "agent": "a", "outcome": "ok", "action": "\ud800/../", "sides": [1]},
    {"id": "p", "parent": "q", "kind": "route", "at": 1, "agent": "", "outcome": "", "options": [{"score": float("inf"), "name": ""}]},
    {"id": "q", "parent": "p", "kind": "route", "at": 2, "agent": "", "outcome": "", "omitted": [{"key": "k", "why": "budget"}] * 100},
]  # fmt: skip


@pytest.mark.parametrize(
    "run", [{}, {"state": 7, "started": "x", "report": [], "request": None}, {"request": "\ud800\u202e"}]
)
def test_nonsense_from_a_peer_is_shown_as_far_as_it_goes(run: dict[str, Any]) -> None:
    found = picture(
        {"run": run, "decisions": NONSENSE, "missing": [3, {}], "links": {"trace": "javascript:alert(1)"}},
        Asked(),
        NOW,
    )
    assert found.head.trace_link == ""
    names = {line.step.said.id for line in found.lines}
    assert names == {"x", "y", "z", "v", "w", "u", "p", "q"}
    unknown = next(line for line in found.lines if line.step.said.id == "v")
    assert unknown.step.odd == ("aura", "kind")
    assert "telepathy" in unknown.sentence


def test_decisions_that_follow_from_one_another_without_end_are_indented_only_so_far() -> None:
    rows = [row(f"d{n}", "route", n, parent=f"d{n - 1}") for n in range(400)]
    assert max(line.step.depth for line in seen(*rows).lines) == DEEPEST


def test_text_that_hides_something_is_shown_with_what_it_hides() -> None:
    found = seen(row("d1", "gate", reason="pay\u202eeno", outcome="al\u200blow"))
    assert found.lines[0].outcome == "al\\u200blow"
    assert found.head.title == "paint t2 red"
