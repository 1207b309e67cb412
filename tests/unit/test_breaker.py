"""A breaker counts three outcomes, and lets one probe through at a time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.errors import BreakerOpen
from meshwright.outbound.breaker import Breaker
from meshwright.testing import ManualClock


def tripped(clock: ManualClock) -> Breaker:
    breaker = Breaker("sick", fail_max=3, reset=5, clock=clock)
    for _ in range(3):
        with breaker.admit() as attempt:
            attempt.unwell()
    return breaker


def test_failures_in_a_row_open_it_and_it_says_for_how_long() -> None:
    breaker = tripped(ManualClock())
    assert breaker.state == "open"
    with pytest.raises(BreakerOpen, match=r"another 5\.0 s"), breaker.admit():
        pass


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker("p", fail_max=2)
    for outcome in ("unwell", "well", "unwell"):
        with breaker.admit() as attempt:
            getattr(attempt, outcome)()
    assert breaker.state == "closed"


def test_half_open_admits_one_probe_of_ten() -> None:
    clock = ManualClock()
    breaker = tripped(clock)
    clock.advance(5)
    with breaker.admit() as probe:
        refused = 0
        for _ in range(9):
            with pytest.raises(BreakerOpen), breaker.admit():
                pass
            refused += 1
        probe.well()
    assert (refused, breaker.state) == (9, "closed")


def test_a_cancelled_probe_says_nothing_and_the_next_may_try() -> None:
    clock = ManualClock()
    breaker = tripped(clock)
    clock.advance(5)
    with pytest.raises(asyncio.CancelledError), breaker.admit():
        raise asyncio.CancelledError
    assert breaker.state == "half-open"
    with breaker.admit() as probe:
        probe.well()
    assert breaker.state == "closed"


def test_a_failed_probe_opens_it_for_another_while() -> None:
    clock = ManualClock()
    breaker = tripped(clock)
    clock.advance(5)
    with breaker.admit() as probe:
        probe.unwell()
    assert (breaker.state, breaker.retry_in) == ("open", 5)


def test_a_late_success_from_before_it_opened_does_not_close_it() -> None:
    clock = ManualClock()
    breaker = Breaker("p", fail_max=1, reset=5, clock=clock)
    with breaker.admit() as early:
        with breaker.admit() as attempt:
            attempt.unwell()
        early.well()
    assert breaker.state == "open"


@given(st.lists(st.sampled_from(["well", "unwell", "silent", "wait"]), max_size=60))
def test_whatever_happens_an_open_breaker_admits_nobody_before_its_time(events: list[str]) -> None:
    clock = ManualClock()
    breaker = Breaker("p", fail_max=2, reset=5, clock=clock)
    for event in events:
        if event == "wait":
            clock.advance(3)
            continue
        closed_for = breaker.retry_in
        try:
            with breaker.admit() as attempt:
                assert closed_for == 0
                if event != "silent":
                    getattr(attempt, event)()
        except BreakerOpen:
            assert closed_for > 0
