"""A breaker reads from an error's class how a call went, and lets one probe through at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from meshwright.errors import (
    BreakerOpen,
    Forbidden,
    MeshError,
    Outcome,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerTaskFailed,
    PeerTimedOut,
    PeerUnreachable,
)
from meshwright.outbound.breaker import FAIL_MAX, HOLD_MAX, RESET_SECONDS, Attempt, Breaker
from meshwright.testing import ManualClock


async def call(breaker: Breaker, error: BaseException | None = None) -> None:
    """One call that ends with `error`, as whoever made it sees it."""
    if error is None:
        async with breaker.admit():
            return
    with pytest.raises(type(error)):
        async with breaker.admit():
            raise error


def lost() -> PeerUnreachable:
    return PeerUnreachable("p", "reset")


async def tripped(clock: ManualClock) -> Breaker:
    breaker = Breaker("sick", clock=clock)
    for _ in range(FAIL_MAX):
        await call(breaker, lost())
    return breaker


async def test_failures_in_a_row_open_it_and_it_says_for_how_long() -> None:
    breaker = await tripped(ManualClock())
    assert breaker.state == "open"
    with pytest.raises(BreakerOpen, match=r"another 5\.0 s"):
        await call(breaker)


async def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker("p")
    for _ in range(3):
        for _ in range(FAIL_MAX - 1):
            await call(breaker, lost())
        await call(breaker)
    assert breaker.state == "closed"


@pytest.mark.parametrize("error", [lost(), PeerTimedOut("p", "late"), PeerAnsweredBadly("p", "nonsense")])
async def test_failures_that_count_are_shown_by_class(error: MeshError) -> None:
    breaker = Breaker("p")
    for _ in range(FAIL_MAX):
        await call(breaker, error)
    assert breaker.state == "open"
    assert breaker.shown()["failures"] == {error.outcome: FAIL_MAX}


@pytest.mark.parametrize(
    "error",
    [
        PeerTimedOut("p", "it had 20 ms", tells=False),
        PeerTaskFailed("p", "no such order"),
        PeerOverloaded("p", "429"),
        Forbidden("p does not let us in"),
        asyncio.CancelledError(),
        ValueError("a bug of ours"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_no_sickness_does_not_open_it(error: BaseException) -> None:
    breaker = Breaker("p")
    for _ in range(FAIL_MAX * 3):
        await call(breaker, error)
    assert breaker.state == "closed"


async def test_who_says_when_to_come_back_is_not_asked_before_and_is_not_called_sick() -> None:
    clock = ManualClock()
    breaker = Breaker("p", clock=clock)
    await call(breaker, PeerOverloaded("p", "429", retry_after=2))
    clock.advance(1.5)
    with pytest.raises(PeerOverloaded, match=r"another 0\.5 s") as told:
        await call(breaker)
    assert told.value.retry_after == 0.5
    assert breaker.shown() | {"since": 0} == {
        "state": "closed", "since": 0, "retry_in": 0.5, "overloaded": True, "failures": {},
    }  # fmt: skip
    clock.advance(0.5)
    await call(breaker)


async def test_nobody_can_send_us_away_for_long() -> None:
    clock = ManualClock()
    breaker = Breaker("p", clock=clock)
    await call(breaker, PeerOverloaded("p", "503", retry_after=86_400))
    clock.advance(HOLD_MAX)
    await call(breaker)


async def test_half_open_admits_one_probe_of_ten() -> None:
    clock = ManualClock()
    breaker = await tripped(clock)
    clock.advance(RESET_SECONDS)
    async with breaker.admit():
        for _ in range(9):
            with pytest.raises(BreakerOpen):
                await call(breaker)
    assert breaker.state == "closed"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), PeerTimedOut("p", "too short", tells=False)])
async def test_a_probe_that_says_nothing_gives_its_right_to_the_next(error: BaseException) -> None:
    clock = ManualClock()
    breaker = await tripped(clock)
    clock.advance(RESET_SECONDS)
    await call(breaker, error)
    assert breaker.state == "half-open"
    await call(breaker)
    assert breaker.state == "closed"


async def test_a_failed_probe_opens_it_until_the_next_interval_counted_from_its_beginning() -> None:
    clock = ManualClock()
    breaker = await tripped(clock)
    clock.advance(RESET_SECONDS)
    probe = breaker.enter()
    clock.advance(2)
    breaker.leave(probe, Outcome.TIMEOUT)
    assert (breaker.state, breaker.retry_in) == ("open", RESET_SECONDS - 2)


async def test_a_probe_that_hangs_keeps_the_next_from_nobody_and_its_end_changes_nothing() -> None:
    clock = ManualClock()
    breaker = await tripped(clock)
    clock.advance(RESET_SECONDS)
    hanging = breaker.enter()
    clock.advance(RESET_SECONDS)
    second = breaker.enter()
    assert second.probe
    breaker.leave(hanging, Outcome.TIMEOUT)
    assert breaker.state == "half-open"
    breaker.leave(second, Outcome.WELL)
    assert breaker.state == "closed"


async def test_a_slow_peer_whose_probes_take_longer_than_an_interval_is_found_well_all_the_same() -> None:
    clock = ManualClock()
    breaker = await tripped(clock)
    clock.advance(RESET_SECONDS)
    slow = breaker.enter()
    clock.advance(RESET_SECONDS)
    breaker.enter()
    breaker.leave(slow, Outcome.WELL)
    assert breaker.state == "closed"


async def test_calls_from_before_it_opened_neither_close_it_nor_open_it_again() -> None:
    clock = ManualClock()
    breaker = Breaker("p", clock=clock)
    early = [breaker.enter() for _ in range(FAIL_MAX * 2 + 1)]
    for attempt in early[:FAIL_MAX]:
        breaker.leave(attempt, Outcome.TRANSPORT)
    breaker.leave(early.pop(), Outcome.WELL)
    assert breaker.state == "open"
    clock.advance(RESET_SECONDS)
    await call(breaker)
    for attempt in early[FAIL_MAX:]:
        breaker.leave(attempt, Outcome.TIMEOUT)
    assert breaker.state == "closed"


class Model:
    """What a breaker is, said in another way: a history of what happened, from which everything is worked out."""

    def __init__(self) -> None:
        self.opened: float | None = None
        self.row = 0
        self.right_from = 0.0
        self.eras = 0

    def admits(self, now: float) -> bool:
        return self.opened is None or now >= self.right_from


class Machine(RuleBasedStateMachine):
    """Any order of calls that begin, end in any way, and time that passes."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.model = ManualClock(), Model()
        self.breaker = Breaker("p", clock=self.clock)
        self.latest: Attempt | None = None
        self.probes: dict[int, int] = {}
        self.begun: dict[int, int] = {}

    @rule(target=attempts)
    def begin(self) -> Any:
        model, now = self.model, self.clock()
        if not model.admits(now):
            with pytest.raises(BreakerOpen) as refusal:
                self.breaker.enter()
            assert refusal.value.retry_in == pytest.approx(model.right_from - now)
            return None
        attempt = self.breaker.enter()
        assert attempt.probe == (model.opened is not None)
        self.begun[id(attempt)] = model.eras
        if attempt.probe:
            model.right_from = now + RESET_SECONDS
            self.latest = attempt
        return attempt

    @rule(attempt=consumes(attempts), outcome=st.sampled_from(Outcome))
    def end(self, attempt: Attempt | None, outcome: Outcome) -> None:
        if attempt is None:
            return
        model = self.model
        self.breaker.leave(attempt, outcome)
        if self.begun.pop(id(attempt)) != model.eras:
            return
        if attempt.probe:
            if outcome is Outcome.WELL:
                model.opened, model.row, model.eras = None, 0, model.eras + 1
            elif outcome is Outcome.SILENT and attempt is self.latest:
                model.right_from = self.clock()
            if attempt is self.latest:
                self.latest = None
        elif outcome is Outcome.WELL:
            model.row = 0
        elif outcome.indicts:
            model.row += 1
            if model.row == FAIL_MAX:
                model.opened, model.eras = self.clock(), model.eras + 1
                model.right_from = self.clock() + RESET_SECONDS

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.5, RESET_SECONDS, 60.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.model.opened is not None)
    @rule()
    def recovery_takes_an_interval_at_most(self) -> None:
        self.clock.advance(RESET_SECONDS)
        assert self.breaker.retry_in == 0

    @invariant()
    def open_means_open(self) -> None:
        assert (self.breaker.state == "closed") == (self.model.opened is None)
        if self.breaker.state != "closed":
            wait = max(0.0, self.model.right_from - self.clock())
            assert self.breaker.retry_in == pytest.approx(wait)


Machine.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
test_the_breaker_is_its_model_whatever_happens = Machine.TestCase


async def test_who_is_left_alone_is_left_alone_for_the_reason_it_gave_until_it_is_seen_to_be_ready() -> None:
    breaker = Breaker("p", clock=ManualClock())
    await call(breaker, PeerOverloaded("p", "17 wait already", retry_after=3))
    with pytest.raises(PeerOverloaded, match=r"17 wait already \(not asked again for another 3\.0 s\)"):
        await call(breaker)
    breaker.lift()
    await call(breaker)
