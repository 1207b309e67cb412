"""The chaos harness can fail: each offence, planted in a history, is found and named, and an innocent history is not accused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chaos.authority import Line
from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.history import Final, History
from benchmarks.chaos.journal import EffectRow, Money, effects, money
from benchmarks.chaos.tickets import make_shop, tickets
from benchmarks.chaos.verdict import Verdict, judge, p95, run_of
from benchmarks.chaos.wire import content_of

TASK, OTHER = "task-1", "task-2"
CANCEL = EffectRow("k1", "cancel_order", '{"order_id":"#W1"}', run_of(TASK), "#W1", grant="g1")
REPLY = EffectRow("k2", "reply", '{"text":"done"}', run_of(TASK), grant="g2")
CLOSE = EffectRow("k3", "close", '{"outcome":"done"}', run_of(TASK), grant="g3")
JOURNAL = [CANCEL, REPLY, CLOSE]
CARD = ("ada", "gift_card_1")
BEFORE = Money({"#W1": [("payment", 500, CARD[1])]}, {"#W1": "pending"}, {"#W1": CARD[0]}, {CARD: 0})
AFTER = Money(
    {"#W1": [("payment", 500, CARD[1]), ("refund", 500, CARD[1])]},
    {"#W1": "cancelled"},
    {"#W1": CARD[0]},
    {CARD: 500},
)


def word(replica: str = "a", **changes: object) -> Final:
    told = Final(replica, "completed", "text", messages=frozenset({"m1"}), receipts=frozenset({"k1"}))
    return replace(told, **changes)  # type: ignore[arg-type]


def innocent() -> History:
    """One ticket, accepted by two replicas and done by one of them."""
    history = History()
    history.accept(TASK, "m1", "")
    history.accept(TASK, "m1", "")
    history.saw(TASK, "working", "", "a")
    history.saw(TASK, "completed", "text", "a")
    history.saw(TASK, "completed", "text", "b")
    history.final[TASK] = [word("a"), word("b")]
    return history


def judged(
    history: History, journal: list[EffectRow] | None = None, before: Money = BEFORE, after: Money = AFTER
) -> Verdict:
    rows = JOURNAL if journal is None else journal
    return judge(history, rows, before, after, Evidence(gated(rows), unsound=[]), replicas=2)


def gated(journal: list[EffectRow]) -> list[Line]:
    """A log in which a gate let each of them through."""
    return [
        line
        for place, row in enumerate(journal)
        for line in (
            Line(2 * place, "gate.verdict", "", row.ticket, row.key, {"decision": "apply"}),
            Line(
                2 * place + 1,
                "grant.issued",
                "",
                row.ticket,
                row.key,
                {"grant": row.grant, "tool": row.tool},
            ),
        )
    ]


def counts(verdict: Verdict) -> tuple[int, int, int, int]:
    return len(verdict.lost), len(verdict.stuck), len(verdict.twice), len(verdict.changed)


def test_a_history_without_offence_is_not_accused() -> None:
    assert judged(innocent()).lines == []


def test_a_task_that_one_replica_does_not_know_is_lost() -> None:
    history = innocent()
    history.final[TASK].pop()
    assert judged(history).lost == [f"{TASK}: 1 of 2 replicas do not know it"]


def test_a_task_that_nobody_knows_is_lost() -> None:
    history = innocent()
    del history.final[TASK]
    assert counts(judged(history)) == (1, 0, 0, 0)


def test_a_task_that_was_unknown_for_a_moment_was_lost() -> None:
    history = innocent()
    history.missed(TASK, "b")
    assert judged(history).lost == [f"{TASK}: b did not know it for a while"]


def test_a_follow_up_that_was_acknowledged_and_is_in_no_history_is_lost() -> None:
    history = innocent()
    history.followed = {"m1": TASK, "m2": TASK}
    assert judged(history).lost == [
        f"{TASK}: the message m2 was acknowledged and is not in its history",
    ]


def test_an_effect_that_is_reported_and_not_in_the_journal_is_lost() -> None:
    assert "the journal has no such effect" in judged(innocent(), [REPLY, CLOSE]).lost[0]


def test_a_task_that_still_works_when_all_is_over_is_stuck() -> None:
    history = innocent()
    history.final[TASK] = [word("a", state="working"), word("b", state="working")]
    history.unfinished.append(f"orchestrator: its task {TASK} is running, working")
    assert judged(history).stuck == [f"{TASK}: working at a"]


@pytest.mark.parametrize(
    ("reason", "reviewed", "why"),
    [
        ("one proposal waits", {run_of(TASK)}, []),
        ("", {run_of(TASK)}, [f"{TASK}: input_required without a reason at a"]),
        ("one proposal waits", set(), [f"{TASK}: input_required, but there is nothing to decide at a"]),
    ],
)
def test_a_task_may_wait_for_a_decision_that_somebody_can_make(
    reason: str, reviewed: set[str], why: list[str]
) -> None:
    history = innocent()
    history.ended.clear()
    history.final[TASK] = [word(r, state="input_required", reason=reason) for r in "ab"]
    history.reviewed = reviewed
    assert judged(history).stuck == why


def test_a_subscriber_who_never_hears_of_the_end_is_stuck_and_so_is_a_specialist() -> None:
    history = innocent()
    history.hung.append(f"{TASK}: over, and its subscriber heard nothing of it")
    history.unfinished.append("orders: its task t is running, working")
    assert counts(judged(history)) == (0, 2, 0, 0)


def test_one_message_that_became_two_tasks_was_done_twice() -> None:
    history = innocent()
    history.accept(OTHER, "m1", "")
    history.final[OTHER] = [word("a", receipts=frozenset()), word("b", receipts=frozenset())]
    assert judged(history).twice == [f"message m1: tasks {TASK} and {OTHER}"]


@pytest.mark.parametrize(
    "again",
    [
        replace(CANCEL, key="k9"),
        replace(CANCEL, key="k9", ticket=run_of(OTHER)),
        replace(CANCEL, key="k9", arguments='{"order_id":"#W1","reason":"in other words"}'),
        replace(REPLY, key="k9"),
        replace(REPLY, key="k9", arguments='{"text":"done, in other words"}'),
        replace(CLOSE, key="k9", tool="escalate"),
    ],
    ids=["same run", "another run", "other words", "replied again", "replied otherwise", "ended otherwise"],
)
def test_an_effect_under_a_second_key_happened_twice(again: EffectRow) -> None:
    assert counts(judged(innocent(), [*JOURNAL, again])) == (0, 0, 1, 0)


def test_another_ticket_may_be_answered_in_the_same_words() -> None:
    assert judged(innocent(), [*JOURNAL, replace(REPLY, key="k9", ticket=run_of(OTHER))]).lines == []


def test_money_that_was_given_back_twice_is_found() -> None:
    rows = [*AFTER.payments["#W1"], ("refund", 500, CARD[1])]
    twice = judged(innocent(), after=replace(AFTER, payments={"#W1": rows}, balances={CARD: 1000})).twice
    assert "order #W1: paid 500, given back 1000 cents" in twice


def test_a_gift_card_that_was_filled_without_an_order_is_found() -> None:
    after = replace(AFTER, balances={CARD: 1000})
    assert judged(innocent(), after=after).twice == [
        f"gift card {CARD[1]} of {CARD[0]}: moved 1000 cents, by the orders 500"
    ]


@pytest.mark.parametrize(
    ("state", "content"), [("working", ""), ("canceled", "text"), ("completed", "other")]
)
def test_an_end_that_was_seen_and_is_another_later_has_changed(state: str, content: str) -> None:
    history = innocent()
    history.saw(TASK, state, content, "b", asked=math.inf)
    assert counts(judged(history)) == (0, 0, 0, 1)


def test_an_answer_to_a_question_from_before_the_end_may_be_older_than_the_end() -> None:
    history = innocent()
    history.saw(TASK, "working", "", "b", asked=0.0)
    assert judged(history).lines == []


def test_an_end_whose_state_alone_was_seen_first_gets_its_content_later() -> None:
    history = History()
    history.saw(TASK, "completed", "", "a stream")
    history.saw(TASK, "completed", "text", "a")
    history.saw(TASK, "completed", "other", "b")
    assert len(history.changes) == 1


def test_replicas_that_tell_different_ends_in_the_end_have_changed_it() -> None:
    history = innocent()
    history.final[TASK] = [word("a"), word("b", state="failed")]
    assert counts(judged(history)) == (0, 0, 0, 1)


def test_what_is_empty_does_not_make_two_contents_different() -> None:
    short = {"status": {"state": "S"}, "artifacts": [{"parts": [{"text": "hi", "data": {"n": 0}}]}]}
    long = {
        "status": {"state": "S"},
        "artifacts": [{"name": "", "parts": [{"text": "hi", "data": {"n": 0}}]}],
    }
    assert content_of(short) == content_of(long)
    assert content_of(short) != content_of({**short, "artifacts": []})


def test_of_takeovers_the_slowest_of_twenty_is_left_out() -> None:
    assert (p95([]), p95([2.0]), p95(float(n) for n in range(1, 21))) == (None, 2.0, 19.0)


def test_the_shop_of_a_storm_has_a_matter_of_its_own_for_every_ticket(tmp_path: Path) -> None:
    from random import Random

    contents = make_shop(tmp_path / "shop.db", copies=2)
    written = tickets(contents, Random(1))
    orders = [ticket.order for ticket, _ in zip(written, range(800), strict=False) if ticket.order]
    assert len(orders) > 500
    assert len(set(orders)) == len(orders)
    assert set(orders) <= set(money(tmp_path / "shop.db").status)
    assert effects(tmp_path / "shop.db") == []
