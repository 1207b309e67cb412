"""Ids lie in the order of their making, and are never the same."""

from __future__ import annotations

import time
import uuid

from meshwright.tasks.ids import new_id


def test_an_id_is_a_uuid_of_version_7_that_says_when_it_was_made() -> None:
    before, made, after = time.time_ns() // 1_000_000, uuid.UUID(new_id()), time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_what_was_made_later_sorts_later_within_a_millisecond_too() -> None:
    ids = []
    for _ in range(200):
        ids.append(new_id())
        began = time.time_ns()
        while time.time_ns() - began < 1_000:  # four steps of the clock
            pass
    assert ids == sorted(ids)


def test_no_two_are_the_same() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000
