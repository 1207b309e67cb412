"""Time as data: a deadline can only get shorter, on every path it takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.deadline import HEADER, Deadline, margin
from meshwright.errors import DeadlineExceeded, InvalidRequest
from meshwright.testing import ManualClock

seconds = st.floats(min_value=0.001, max_value=3600, allow_nan=False)


@given(seconds, seconds)
def test_a_hop_never_gives_more_time_than_it_got(left: float, ceiling: float) -> None:
    clock = ManualClock()
    sent = Deadline.after(left, clock=clock).headers()
    received = Deadline.from_headers(sent, default=999, ceiling=ceiling, clock=clock)
    assert received.remaining <= max(left, 0.001)
    assert received.remaining <= ceiling + 1e-9


@given(seconds, st.floats(min_value=0.01, max_value=1))
def test_a_share_is_never_later_than_the_whole(left: float, part: float) -> None:
    whole = Deadline.after(left, clock=ManualClock())
    assert whole.share(part) <= whole


@given(seconds)
def test_the_margin_grows_with_the_time_left_and_stays_within_its_bounds(left: float) -> None:
    assert 0.02 <= margin(left) <= 0.5


def test_time_that_passes_shortens_a_deadline() -> None:
    clock = ManualClock()
    by = Deadline.after(5, clock=clock)
    clock.advance(2)
    assert by.remaining == pytest.approx(3)
    clock.advance(4)
    assert by.expired


def test_work_that_cannot_be_used_is_not_sent() -> None:
    clock = ManualClock()
    by = Deadline.after(1, clock=clock)
    clock.advance(1)
    with pytest.raises(DeadlineExceeded, match="passed"):
        by.headers()


def test_a_caller_without_an_opinion_gets_the_default_within_the_ceiling() -> None:
    assert Deadline.from_headers({}, default=30, ceiling=10).remaining == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("raw", ["", "soon", "-5", "1.5", "1e9", "9" * 13, "٣"])
def test_a_header_that_is_no_number_of_milliseconds_is_refused(raw: str) -> None:
    with pytest.raises(InvalidRequest, match="milliseconds"):
        Deadline.from_headers({HEADER: raw}, default=1, ceiling=1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_deadline_needs_a_finite_number(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Deadline.after(bad)


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=9), seconds, seconds)
def test_over_any_number_of_hops_a_deadline_never_grows(
    spent: list[float], left: float, ceiling: float
) -> None:
    clock = ManualClock()
    by = Deadline.after(left, clock=clock)
    for elapsed in spent:
        clock.advance(elapsed)
        if by.expired:
            with pytest.raises(DeadlineExceeded):
                by.headers()
            return
        further = Deadline.from_headers(by.headers(), default=999, ceiling=ceiling, clock=clock)
        # a millisecond is the least that a header can say
        assert further.at <= max(by.at, clock() + 0.001)
        assert further.remaining <= ceiling + 1e-9
        by = further


@given(seconds, seconds)
def test_the_margin_is_a_tenth_within_its_bounds_and_never_shrinks_with_more_time(a: float, b: float) -> None:
    less, more = sorted((a, b))
    assert margin(less) <= margin(more)
    assert margin(more) == pytest.approx(min(max(more / 10, 0.02), 0.5))


@given(seconds, st.lists(st.floats(min_value=0.01, max_value=1), min_size=1, max_size=6), st.data())
def test_phases_that_each_take_their_share_fit_into_the_whole(
    left: float, parts: list[float], data: st.DataObject
) -> None:
    clock = ManualClock()
    whole = Deadline.after(left, clock=clock)
    for part in parts:
        phase = whole.share(part)
        assert phase.remaining <= whole.remaining * part + 1e-9
        clock.advance(data.draw(st.floats(min_value=0, max_value=1)) * max(phase.remaining, 0))
    assert whole.remaining >= -1e-9


@given(st.text(max_size=20), seconds)
def test_any_text_is_refused_or_within_the_ceiling(raw: str, ceiling: float) -> None:
    try:
        by = Deadline.from_headers({HEADER: raw}, default=1, ceiling=ceiling, clock=ManualClock())
    except InvalidRequest:
        return
    assert by.remaining <= min(int(raw) / 1000, ceiling) + 1e-9
