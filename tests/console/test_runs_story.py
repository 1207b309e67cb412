"""Why something happened, in sentences, and the words that a decision is put into."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from meshwright.explaining import plain, sentences
from meshwright.explaining.points import points
from meshwright.explaining.steps import Step
from meshwright.explaining.steps import step as read
from meshwright.explaining.story import Story, story
from meshwright.records.decision import Kind


def row(name: str, kind: str, at: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": kind,
        "at": 1_800_000_000 + at,
        "agent": "orchestrator",
        "outcome": "answered",
        **more,
    }


def step(kind: str, **more: Any) -> Step:
    return read(row("d1", kind, **more))


RUN = [
    row("d1", "plan", outcome="planned", selected="triage", reason="triage split it into 2 parts",
        more={"parts": [{"id": "look", "skill": "order-status"}, {"id": "paint", "skill": "order-change"}]}),
    row("d2", "route", 1, parent="d1", subtask="paint", selected="Painter", reason="offers order-change",
        options=[{"name": "Painter", "score": 1}, {"name": "Standby", "score": 2, "why_not": "it only stands in"}],
        omitted=[{"key": "finding.look", "why": "relevance"}]),
    row("d3", "agent_call", 2, parent="d2", subtask="paint", selected="Painter", remote="t1"),
    row("d4", "tool_call", 3, agent="painter", task="t1", selected="look_at",
        call={"tool": "look_at", "arguments": {"thing_id": "t1"}, "result": {"price": 5, "tags": []}}),
    row("d5", "gate", 4, parent="d3", action="a1", selected="paint", outcome="allow", policy="painting", reason="it is cheap",
        more={"arguments": {"thing_id": "t1"}, "facts": {"thing": {"tool": "look_at", "told": {"price": 5}}, "owner": {"tool": "who", "not_told": "the tool is down"}, "names": {"tool": "who"}}}),
    row("d6", "effect", 5, parent="d5", action="a1", selected="paint", outcome="applied", reason="t1 is red"),
    row("d7", "gate", 6, parent="d3", action="a2", selected="sell", outcome="block", reason="nobody sells here"),
]  # fmt: skip


def told(action: str, rows: list[dict[str, Any]] = RUN) -> Story:
    found = story({"run": {"id": "r1"}, "decisions": rows}, action, 1_800_000_100.0)
    assert found is not None
    return found


def test_why_an_action_happened_is_told_from_the_plan_to_its_effect_and_nothing_else() -> None:
    found = told("a1")
    assert found.title == "Why was paint carried out?"
    assert [each.sentence for each in found.tellings] == [
        "triage split the request into 2 parts",
        "orchestrator chose Painter for “paint”",
        "painter read look_at",
        "The policy allowed paint",
        "paint was carried out",
    ]
    assert found.left_out == 1  # that Painter answered, which the choice of it says


def test_each_step_says_what_it_rested_on() -> None:
    points = {each.step.said.id: {(p.label, p.words) for p in each.points} for each in told("a1").tellings}
    assert (
        "It was not given",
        "finding.look (what was found out for “look”): it was held not to matter there",
    ) in points["d2"]
    assert ("Not Standby", "it only stands in") in points["d2"]
    assert ("It returned", "price: 5, tags: –") in points["d4"]
    assert ("Fact: thing", "price: 5, from look_at") in points["d5"]
    assert ("Fact: owner", "not known: the tool is down, from who") in points["d5"]
    assert "Fact: names" not in dict(points["d5"]), "it was looked up for the sake of the others"


def test_an_action_that_was_forbidden_is_asked_about_as_such() -> None:
    assert told("a2").title == "Why was sell not carried out?"


def test_an_action_that_nobody_knows_has_no_story() -> None:
    assert story({"run": {}, "decisions": RUN}, "a9", 0.0) is None
    assert story({"run": {}, "decisions": RUN}, "d1", 0.0) is None


def test_a_proposal_that_was_dropped_before_anybody_judged_it_has_its_story_too() -> None:
    side = {"agent": "Painter", "says": "gild"}
    found = told(
        "a3",
        [*RUN, row("d8", "resolve_conflict", 7, parent="d3", action="a3", outcome="dropped", sides=[side])],
    )
    assert found.title == "What became of gild, and why?"
    assert found.tellings[-1].sentence == "What Painter proposed was dropped: it goes no further"


def test_an_action_that_was_let_pass_and_not_carried_out_is_not_said_to_be() -> None:
    assert told("a1", RUN[:5]).title == "What became of paint, and why?"


def test_the_answer_has_a_story_without_the_actions() -> None:
    kinds = [each.step.kind for each in told("").tellings]
    assert kinds == ["plan", "route", "tool_call"]


def test_a_story_of_hundreds_of_steps_says_how_many_it_leaves_to_the_run() -> None:
    found = told("", [row(f"d{n}", "tool_call", n, selected="look_at") for n in range(300)])
    assert len(found.tellings) + found.left_out == 300
    assert found.left_out > 0


@pytest.mark.parametrize(
    ("kind", "more", "sentence"),
    [
        ("plan", {"outcome": "unread"}, "orchestrator could not split the request into parts that anybody can do"),
        ("plan", {"outcome": "planned", "selected": "t", "more": {"unread": {"pieces": 2}}}, "t split the request into 0 parts, and 2 pieces of it were not understood"),
        ("route", {"outcome": "gap", "subtask": "p"}, "orchestrator got no answer from anybody for “p”"),
        ("route", {"selected": "B", "more": {"degraded": ["alternate"]}}, "orchestrator chose B, because those before it could not be had"),
        ("agent_call", {"outcome": "timed-out", "selected": "B"}, "orchestrator asked B and got no answer in time"),
        ("agent_call", {"outcome": "failed", "selected": "B"}, "orchestrator asked B and got no answer (failed)"),
        ("resolve_conflict", {"outcome": "open", "sides": [{"agent": "a", "says": "1"}, {"agent": "b", "says": "2"}], "more": {"about": "order:1"}},
         "a and b disagreed on order:1; nobody was believed, a person has to say"),
        ("resolve_conflict", {"outcome": "chosen", "sides": [{"agent": "a", "says": "1", "chosen": True}, {"agent": "b", "says": "2"}]}, "a and b disagreed; a was believed"),
        ("resolve_conflict", {"outcome": "dropped", "sides": [{"agent": "a", "says": "x"}]}, "What a proposed was dropped: it goes no further"),
        ("gate", {"outcome": "review", "selected": "paint"}, "The policy lets a person decide on paint"),
        ("review", {"outcome": "edit", "selected": "paint", "person": "ann"}, "ann changed paint"),
        ("review", {"outcome": "expired", "selected": "paint"}, "Nobody decided on paint until it expired"),
        ("review", {"outcome": "escalated", "selected": "paint"}, "Nobody decided on paint in time, so it was escalated"),
        ("review", {"outcome": "withdrawn", "selected": "paint"}, "Nobody needed to decide on paint any more"),
        ("review", {"outcome": "of tomorrow", "selected": "paint", "person": "ann"}, "ann said “of tomorrow” of paint"),
        ("tool_call", {"outcome": "failed", "reason": "nobody of that name", "call": {"tool": "look_at", "error": "ToolRefused"}},
         "orchestrator read look_at, which failed: nobody of that name"),
        ("tool_call", {"outcome": "called-off", "reason": "CancelledError", "call": {"tool": "look_at", "error": "CancelledError"}},
         "orchestrator asked look_at and called it off"),
        ("model_call", {"outcome": "timed-out", "selected": "gpt-9", "tokens_in": 5}, "orchestrator asked the model gpt-9 and got no answer in time: 5 tokens"),
        ("telepathy", {"outcome": "felt"}, "orchestrator decided something of a kind that is not known here (telepathy): felt"),
        ("effect", {"outcome": "unknown", "selected": "paint"}, "paint may or may not have been carried out: the tool did not say"),
        ("budget", {"outcome": "cut", "selected": "B"}, "B was given less than its share to spend"),
        ("breaker", {"outcome": "open", "selected": "B"}, "orchestrator sees the breaker to B open"),
    ],
)  # fmt: skip
def test_a_decision_is_one_sentence(kind: str, more: dict[str, Any], sentence: str) -> None:
    assert sentences.sentence(step(kind, **more)) == sentence


def test_who_was_not_chosen_is_named_once() -> None:
    lost = [{"name": "Orders", "why_not": "Orders: cannot be reached"}]
    (point,) = points(step("route", outcome="stand-in", selected="Standby", options=lost))
    assert (point.label, point.words) == ("Not Orders", "cannot be reached")


def test_what_was_called_off_has_not_failed() -> None:
    off = step("tool_call", outcome="called-off", call={"tool": "look_at", "error": "CancelledError"})
    assert [point.label for point in points(off)] == []


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_decision_has_its_name_and_its_sentence(kind: str) -> None:
    assert sentences.label(kind) != kind
    assert "not known here" not in sentences.sentence(step(kind))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1, {"b": None}], "c": ""}, "a: (1, (b: –)), c: –"),
        ("plain", "plain"),
        ({}, ""),
        ([True, 1.5], "true, 1.5"),
        ({"\u202eevil": "\ud800"}, "\\u202eevil: \\ud800"),
    ],
)
def test_json_is_put_into_prose(value: Any, words: str) -> None:
    assert plain.prose(value) == words


def test_json_that_is_too_deep_to_read_is_cut_where_nobody_reads_on() -> None:
    deep: Any = "end"
    for _ in range(5_000):
        deep = [deep]
    assert plain.prose(deep).startswith("((((")
