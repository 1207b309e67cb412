"""The reckoning after a storm finds what went wrong: each kind of damage, planted."""

from __future__ import annotations

from benchmarks.chaos.history import EffectRow, History


def healthy() -> History:
    history = History()
    for task in ("t1", "t2"):
        history.accept(task, f"message of {task}")
        history.saw(task, "working", "", "one")
        history.saw(task, "completed", "the answer", "one")
        history.saw(task, "completed", "the answer", "two")
        history.final[task] = "completed"
    history.effects = [
        EffectRow("k1", "cancel_order", '{"order_id":"#W1"}', "r1"),
        EffectRow("k2", "reply", '{"text":"done"}', "r1"),
        EffectRow("k3", "reply", '{"text":"done"}', "r2"),
    ]
    return history


def damage(history: History) -> tuple[int, int, int, int]:
    return len(history.lost()), len(history.stuck()), len(history.twice()), len(history.changes)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert damage(healthy()) == (0, 0, 0, 0)


def test_a_task_that_nobody_knows_any_more_is_lost() -> None:
    history = healthy()
    history.final["t1"] = None
    assert damage(history) == (1, 0, 0, 0)


def test_a_task_that_was_never_asked_for_again_is_lost_too() -> None:
    history = healthy()
    history.accept("t3", "m3")
    assert damage(history) == (1, 0, 0, 0)


def test_a_task_that_still_works_is_stuck_one_that_asks_back_is_not() -> None:
    history = healthy()
    history.final |= {"t1": "working", "t2": "input_required"}
    assert damage(history) == (0, 1, 0, 0)


def test_a_reply_sent_twice_is_found_also_in_other_words() -> None:
    history = healthy()
    history.effects.append(EffectRow("k4", "reply", '{"text":"in other words"}', "r1"))
    assert damage(history) == (0, 0, 1, 0)


def test_an_order_cancelled_for_two_tickets_is_found() -> None:
    history = healthy()
    history.effects.append(EffectRow("k4", "cancel_order", '{"order_id":"#W1"}', "r2"))
    assert damage(history) == (0, 0, 1, 0)


def test_one_message_that_became_two_tasks_is_found() -> None:
    history = healthy()
    history.accept("t3", "message of t1")
    history.final["t3"] = "completed"
    assert damage(history) == (0, 0, 1, 0)


def test_an_end_that_changes_is_found_in_its_state_and_in_its_words() -> None:
    history = healthy()
    history.saw("t1", "failed", "the answer", "two")
    history.saw("t2", "completed", "another answer", "two")
    history.saw("t2", "working", "", "two")
    assert damage(history) == (0, 0, 0, 3)


def test_takeover_is_the_95th_percentile_and_nothing_without_orphans() -> None:
    history = healthy()
    assert history.takeover_p95() is None
    history.takeovers = [float(n) for n in range(1, 101)]
    assert history.takeover_p95() == 95.05
