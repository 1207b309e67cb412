"""The judgement of a storm, on histories that were made up: clean ones pass, and each offence that was planted is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.authority import Line, decided_twice, ungated, words_lost
from benchmarks.chaos.evidence import Evidence, gathered
from benchmarks.chaos.history import Final, History, Told
from benchmarks.chaos.journal import EffectRow, Money
from benchmarks.chaos.telling import Telling, untold
from benchmarks.chaos.verdict import judge, run_of, unheard
from meshwright.audit.log import Entry, append
from meshwright.cli import keys
from meshwright.cli.home import Home
from meshwright.database import Database, open_database
from meshwright.records.runs import RunStore, end_with_task

KEY, RUN = "k1", "r1"
WRITE = EffectRow(KEY, "cancel_order", "{}", RUN, "#W1", "g1")


def verdict(seq: int, decision: str, approvals: int = 0, needs: int = 0, by: str = "orders") -> Line:
    body = {"decision": decision, "approvals": approvals, "needs": needs, "proposed_by": by}
    return Line(seq, "gate.verdict", "orchestrator", RUN, KEY, body)


def grant(seq: int, *people: str, **other: str) -> Line:
    body = {"grant": "g1", "tool": "cancel_order", "approvers": list(people), **other}
    return Line(seq, "grant.issued", "orchestrator", RUN, KEY, body)


def word(seq: int, kind: str, who: str = "ann", *, over: bool = True) -> Line:
    return Line(seq, f"review.{kind}", who, RUN, KEY, {"over": over})


ALLOWED = [verdict(1, "apply"), grant(2)]
BY_TWO = [
    verdict(1, "review", needs=2),
    Line(2, "review.opened", "orchestrator", RUN, KEY),
    word(3, "approved", "ann", over=False),
    word(4, "approved", "bob"),
    verdict(5, "apply", approvals=2),
    grant(6, "ann", "bob"),
]


@pytest.mark.parametrize("log", [ALLOWED, BY_TWO])
def test_a_write_that_a_gate_let_through_and_people_approved_is_none(log: list[Line]) -> None:
    assert ungated([WRITE], log) == []


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ([], "has not issued its grant"),
        ([verdict(1, "apply"), grant(2, grant="another")], "has not issued its grant"),
        ([verdict(1, "apply"), grant(2, tool="refund")], "for something else"),
        ([grant(1), verdict(2, "apply")], "no verdict let it through"),
        ([verdict(1, "reject"), grant(2)], "no verdict let it through"),
        ([verdict(1, "apply"), verdict(2, "review", needs=1), grant(3)], "no verdict let it through"),
        ([verdict(1, "review", needs=1), verdict(2, "apply"), grant(3)], "0 people have approved it, 1"),
        ([line for line in BY_TWO if line.seq != 4], "1 people have approved it, 2"),
        ([*BY_TWO[:3], word(4, "approved", "ann"), *BY_TWO[4:]], "1 people have approved it, 2"),
        ([replace(line, actor="orders") if line.seq == 4 else line for line in BY_TWO], "1 people"),
        ([verdict(1, "apply"), grant(2, "ann")], "its grant names ['ann']"),
        ([*ALLOWED, word(3, "rejected")], "review.rejected of ann"),
        ([*BY_TWO, word(7, "edited", "cleo")], "review.edited of cleo"),
        ([word(0, "expired"), *ALLOWED], "review.expired of ann"),
        ([*ALLOWED, word(3, "withdrawn", "orchestrator")], "review.withdrawn"),
    ],
)
def test_a_write_without_a_gate_or_against_peoples_word_is_found(log: list[Line], why: str) -> None:
    found = ungated([WRITE], log)
    assert any(why in line for line in found), found


def test_a_write_that_used_up_no_grant_is_found() -> None:
    assert ungated([replace(WRITE, grant="")], ALLOWED)


def test_one_review_is_decided_once_and_one_person_counts_once() -> None:
    assert decided_twice(BY_TWO) == []
    assert decided_twice([*BY_TWO, Line(8, "review.opened", "", RUN, KEY), word(9, "rejected")]) == []
    assert len(decided_twice([*BY_TWO, word(7, "rejected", "cleo")])) == 1
    assert decided_twice([*BY_TWO[:3], word(4, "approved", "ann")]) == [
        f"review {KEY}: ann approved it 2 times"
    ]


def test_a_word_that_a_person_was_told_counts_is_in_the_log() -> None:
    said = [Told(KEY, "ann", "approve", over=False), Told(KEY, "bob", "approve", over=True)]
    assert words_lost(said, BY_TWO) == []
    assert len(words_lost([*said, Told(KEY, "cleo", "reject", over=True)], BY_TWO)) == 1
    assert len(words_lost([*said, said[0]], BY_TWO)) == 1, "told twice, written once"


def row(name: str, kind: str, outcome: str, parent: str = "", **more: Any) -> dict[str, Any]:
    known = {"id": name, "kind": kind, "outcome": outcome, "agent": "orchestrator", "task": "t1", "at": 1.0}
    return {**known, **({"parent": parent} if parent else {}), **more}


ROWS = [
    row("p", "plan", "planned"),
    row("r", "route", "answered", "p"),
    row("c", "agent_call", "answered", "r", below=["b"]),
    row("b", "tool_call", "answered", agent="orders"),
    row("g", "gate", "allow", "c", action=KEY),
    row("e", "effect", "applied", "g", action=KEY),
    row("f", "final", "done"),
]
LOG = [*ALLOWED, Line(3, "effect.applied", "orchestrator", RUN, KEY)]
WHOLE = Telling(RUN, "done", True, ROWS, LOG, [WRITE])


def without(name: str) -> list[dict[str, Any]]:
    return [each for each in ROWS if each["id"] != name]


def test_a_run_that_is_told_from_its_plan_to_its_end_lacks_nothing() -> None:
    assert untold([WHOLE]) == []


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (replace(WHOLE, intact=False), "not those it was sealed with"),
        (replace(WHOLE, intact=None), "no seal"),
        (replace(WHOLE, rows=without("f")), "it ends as []"),
        (replace(WHOLE, rows=[*ROWS, row("f2", "final", "done")]), "it ends as ['done', 'done']"),
        (replace(WHOLE, state="degraded"), "it ends as ['done']"),
        (replace(WHOLE, rows=without("r")), "follows from r"),
        (replace(WHOLE, rows=without("b")), "names b"),
        (replace(WHOLE, rows=without("g")), f"the log has gate {KEY}: allow"),
        (replace(WHOLE, rows=without("e")), f"nothing is told of cancel_order {KEY}"),
        (replace(WHOLE, log=ALLOWED), f"the decisions have effect {KEY}: applied"),
        (replace(WHOLE, log=[*LOG, word(4, "rejected")]), f"the log has review {KEY}: reject"),
        (replace(WHOLE, journal=[]), "the journal has no such effect"),
        (replace(WHOLE, log=[*LOG, Line(4, "effect.refused", "", RUN, KEY)]), "was refused, says the log"),
        (replace(WHOLE, rows=[{**each, "parent": ""} for each in ROWS]), "no plan led to cancel_order"),
    ],
)
def test_what_is_missing_in_a_run_is_found(told: Telling, why: str) -> None:
    found = untold([told])
    assert any(why in line for line in found), found


def test_a_run_that_was_cancelled_is_excused_for_what_its_last_step_had_not_written() -> None:
    rows = [row("c", "agent_call", "answered", "r"), row("f", "final", "canceled")]
    cancelled = Telling(RUN, "canceled", True, rows)
    assert untold([cancelled]) == []
    for late in (row("e", "effect", "unknown", action=KEY), row("g", "gate", "allow", action=KEY)):
        assert untold([replace(cancelled, rows=[late, rows[1]])]) == []
    assert untold([replace(cancelled, rows=[row("v", "review", "approve", action=KEY), rows[1]])])
    assert untold([replace(cancelled, intact=None)])
    assert untold([replace(cancelled, intact=False)])
    assert untold([replace(cancelled, log=[*ALLOWED, Line(3, "effect.applied", "", RUN, KEY)], rows=rows)])


def asked(reply: tuple[str, ...], said: set[str], *, asks: str = "", outcome: str = "done") -> History:
    history = History(asked={"t1": {"q1"}}, said={"t1": said})
    history.accept("t1", "m1", "")
    state = "input_required" if asks else "completed"
    history.final["t1"] = [Final("one", state, reason="?", asks=asks, outcome=outcome, heard=reply)]
    return history


def test_an_answer_is_heard_and_answers_one_question() -> None:
    def found(history: History) -> dict[str, int]:
        counts = judge(history, [], Money(), Money(), Evidence(unsound=[])).counts
        return {name: count for name, count in counts.items() if count}

    assert found(asked(("yes-1",), {"yes-1", "yes-2"})) == {}
    assert found(asked((), {"yes-1"}, outcome="escalated")) == {}
    assert found(asked((), {"yes-1"})) == {"lost": 1}
    assert found(asked(("yes-9",), {"yes-1"})) == {"lost": 1}
    assert found(asked(("yes-1", "yes-1"), {"yes-1"})) == {"twice": 1}
    assert found(asked((), {"yes-1"}, asks="q1", outcome="waiting")) == {"stuck": 1}
    edit = [Line(1, "review.edited", "ann", run_of("t1"), KEY)]
    assert unheard(asked((), {"yes-1"}), edit) == [], "a reply that a person's edit stands in"
    assert unheard(asked((), {"yes-1"}), [replace(edit[0], run="other")])


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[tuple[Home, Database]]:
    home = Home.at(tmp_path)
    keys.ensure(home, ["orchestrator"])
    database = await open_database(f"sqlite:///{tmp_path}/orchestrator.db")
    yield home, database
    await database.close()


async def test_a_log_that_was_written_and_not_signed_or_edited_is_unsound(
    home: tuple[Home, Database],
) -> None:
    place, database = home
    for number in range(3):
        await database.write(lambda tx, n=number: append(tx, Entry("gate.verdict", "me", {"n": n}, RUN)))  # type: ignore[misc]
    found = await gathered(database, "", place, [])
    assert [line.body for line in found.log] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert found.unsound == [
        "no checkpoint is signed by a known key: the chain alone proves nothing about its end, nor about its owner"
    ]
    await database.execute("DROP TRIGGER audit_log_no_update")
    await database.execute("""UPDATE audit_log SET payload = '{"n":7}' WHERE seq = 2""")
    assert "edited: entry 2" in (await gathered(database, "", place, [])).unsound[0]


async def test_a_decision_that_goes_after_the_end_is_missed(home: tuple[Home, Database]) -> None:
    place, database = home
    await RunStore(database).start(RUN, task_id="t1", caller="", request="?", graph_version="1")
    assert (await gathered(database, "", place, [])).tellings == [], "it has not ended"
    await database.write(lambda tx: end_with_task(tx, "t1", "failed", "given up"))
    assert untold((await gathered(database, "", place, [])).tellings) == []
    await database.execute("DELETE FROM decisions")
    assert len(untold((await gathered(database, "", place, [])).tellings)) == 2


async def test_a_mesh_that_keeps_no_log_has_proved_nothing(tmp_path: Path) -> None:
    nothing = await gathered(None, "memory:", Home.at(tmp_path), [])
    counts = judge(History(), [WRITE], Money(), Money(), nothing).counts
    assert {name: count for name, count in counts.items() if count} == {"ungated": 1, "unsound": 1}
