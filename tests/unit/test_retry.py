"""A retry is made where it is safe, in time, and at most for every tenth call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen, MeshError, PeerOverloaded, PeerTimedOut, PeerUnreachable
from meshwright.outbound.breaker import FLOOR
from meshwright.outbound.retry import CAP, FIRST, QUIET, RATIO, TRIES, Retries, RetryBudget
from meshwright.testing import ManualClock


class Target:
    """Fails with each of `errors` in turn, then answers."""

    def __init__(self, *errors: MeshError) -> None:
        self.errors = list(errors)
        self.tries = 0

    async def __call__(self) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def lost() -> PeerUnreachable:
    return PeerUnreachable("p", "reset")


def refused() -> PeerUnreachable:
    error = PeerUnreachable("p", "refused")
    error.__cause__ = ConnectionRefusedError()
    return error


def rich() -> Retries:
    """Retries that the budget does not limit, without pauses."""
    retries = Retries(RetryBudget(ManualClock()), part=lambda: 0.0)
    for _ in range(100):
        retries.budget.deposit()
    return retries


def soon(seconds: float = 20) -> Deadline:
    return Deadline.after(seconds)


async def test_what_failed_on_the_way_is_tried_again() -> None:
    target, retries = Target(lost()), rich()
    assert await retries.run(target, soon()) == "answer"
    assert (target.tries, retries.spent) == (2, 1)


async def test_a_call_has_three_tries() -> None:
    target = Target(*(lost() for _ in range(9)))
    with pytest.raises(PeerUnreachable):
        await rich().run(target, soon())
    assert target.tries == TRIES


@pytest.mark.parametrize("error", [PeerTimedOut("p", "late"), BreakerOpen("p", 1)])
async def test_what_a_second_try_would_not_change_is_not_tried_again(error: MeshError) -> None:
    target = Target(error)
    with pytest.raises(type(error)):
        await rich().run(target, soon())
    assert target.tries == 1


async def test_what_may_have_been_heard_is_not_repeated_where_that_is_not_safe() -> None:
    target = Target(lost())
    with pytest.raises(PeerUnreachable):
        await rich().run(target, soon(), safe=lambda error: False)
    assert target.tries == 1


async def test_no_try_is_made_that_could_not_end_in_time() -> None:
    target, retries = Target(PeerOverloaded("p", "429", retry_after=3)), rich()
    with pytest.raises(PeerOverloaded):
        await retries.run(target, soon(3 + FLOOR / 2))
    assert (target.tries, retries.refused["deadline"]) == (1, 1)
    target = Target(lost())
    with pytest.raises(PeerUnreachable):
        await retries.run(target, soon(FLOOR * 0.9))
    assert target.tries == 1


async def test_that_a_later_try_was_not_even_sent_does_not_hide_that_an_earlier_one_was() -> None:
    first = lost()
    for later in (refused(), BreakerOpen("p", 5), PeerOverloaded("p", "429")):
        with pytest.raises(PeerUnreachable) as raised:
            await rich().run(Target(first, later, later), soon())
        assert raised.value is first


async def test_what_has_to_come_through_waits_for_the_breaker_without_spending_anything() -> None:
    target, retries = Target(BreakerOpen("p", 0.01), BreakerOpen("p", 0.01)), rich()
    assert await retries.run(target, soon(), patient=True) == "answer"
    assert (target.tries, retries.spent) == (3, 0)


async def test_an_empty_budget_refuses() -> None:
    retries = Retries(RetryBudget(ManualClock()), part=lambda: 0.0)
    first, second = Target(lost()), Target(lost())
    assert await retries.run(first, soon()) == "answer"
    with pytest.raises(PeerUnreachable):
        await retries.run(second, soon())
    assert (second.tries, retries.refused["budget"]) == (1, 1)


def test_after_a_quiet_while_one_retry_can_be_had() -> None:
    clock = ManualClock()
    budget = RetryBudget(clock)
    assert budget.withdraw()
    clock.advance(QUIET / 2)
    assert not budget.withdraw()
    clock.advance(QUIET / 2)
    assert budget.withdraw()
    assert not budget.withdraw()


@given(
    st.lists(st.tuples(st.integers(10, 40), st.floats(0, 0.5)), min_size=1, max_size=60), st.integers(0, 100)
)
def test_in_a_storm_at_most_a_tenth_is_added(bursts: list[tuple[int, float]], before: int) -> None:
    """Every call fails and wants a retry at once; before that there were calls that went well."""
    clock = ManualClock()
    budget = RetryBudget(clock)
    for _ in range(before):
        budget.deposit()
    saved, calls, retries = budget.left, 0, 0
    for burst, pause in bursts:
        for _ in range(burst):
            calls += 1
            budget.deposit()
            retries += budget.withdraw()
        clock.advance(pause)
    assert saved <= CAP
    assert retries <= RATIO * calls + saved + 1e-6


@given(st.lists(st.floats(0, 10), max_size=60))
def test_where_there_is_little_traffic_a_retry_comes_every_other_second_at_most(
    pauses: list[float],
) -> None:
    clock = ManualClock()
    budget = RetryBudget(clock)
    retries = 0
    for pause in pauses:
        clock.advance(pause)
        budget.deposit()
        retries += budget.withdraw()
    assert retries <= FIRST + RATIO * len(pauses) + sum(pauses) / QUIET + 1e-6
