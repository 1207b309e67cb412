"""So many at the same time, so many waiting, and nobody waits in vain."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.deadline import Deadline
from meshwright.errors import Overloaded
from meshwright.inbound.places import FASTER, KNOWN, LEAST, START, TARGET, Places, rank_of
from meshwright.testing import ManualClock

HIGH, NORMAL, LOW = 0, 1, 2
MOST = 400
FULL = int(START)


def long() -> Deadline:
    return Deadline.after(60)


class Guest:
    """One call of `enter`, driven by hand, so that each step of it is ours to choose."""

    def __init__(self, places: Places, rank: int = NORMAL, by: Deadline | None = None) -> None:
        self._entering = places.enter(by or long(), rank)
        self.state = ""
        self._step()

    def _step(self) -> None:
        try:
            self._turn = self._entering.send(None)
            self.state = "waits"
        except StopIteration:
            self.state = "in"
        except Overloaded as error:
            self.state, self.why = "told", str(error)
        except asyncio.CancelledError:
            self.state = "gone"

    def look(self) -> str:
        """Where it is now: in, waits, told, gone."""
        if self.state == "waits" and self._turn.done():
            self._step()
        return self.state

    def go(self) -> None:
        """It is cancelled, as a task is: first what it waits for."""
        self._turn.cancel()


def filled(queue: int = 100) -> Places:
    """Places of which none is free."""
    places = Places(queue, MOST)
    assert {Guest(places).state for _ in range(FULL)} == {"in"}
    return places


async def test_who_finds_a_free_place_does_not_wait() -> None:
    places = Places(0, MOST)
    assert Guest(places, LOW, Deadline.after(0.001)).state == "in"
    assert places.taken == 1


async def test_a_free_place_goes_to_the_highest_rank_and_among_equals_to_the_first() -> None:
    places = filled()
    guests = {name: Guest(places, rank) for name, rank in (("low", LOW), ("first", NORMAL), ("high", HIGH))}
    guests["second"] = Guest(places, NORMAL)
    order = []
    while len(order) < len(guests):
        places.leave(0.1)
        order += [name for name, guest in guests.items() if name not in order and guest.look() == "in"]
    assert order == ["high", "first", "second", "low"]
    assert places.taken == FULL


async def test_low_is_turned_away_before_normal_and_normal_before_high() -> None:
    places = filled(queue=10)
    waiting = [Guest(places) for _ in range(5)]
    assert places.full(LOW)
    assert not places.full(NORMAL)
    waiting += [Guest(places) for _ in range(4)]
    assert places.full(NORMAL)
    assert not places.full(HIGH)
    waiting.append(Guest(places, HIGH))
    assert {guest.look() for guest in waiting} == {"waits"}
    refusal = places.full(HIGH)
    assert refusal is not None
    assert refusal.retry_after >= 1


async def test_who_goes_away_while_waiting_takes_no_place() -> None:
    places = filled()
    gone, stays = Guest(places), Guest(places)
    gone.go()
    assert gone.look() == "gone"
    assert places.waiting == 1
    places.leave(0.1)
    assert stays.look() == "in"
    assert (places.taken, places.waiting) == (FULL, 0)


async def test_a_place_that_comes_together_with_the_cancellation_is_given_back() -> None:
    places = filled()
    entering = asyncio.ensure_future(places.enter(long(), NORMAL))
    asyncio.get_running_loop().call_soon(lambda: (places.leave(0.1), entering.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert (places.taken, places.waiting) == (FULL - 1, 0)


async def test_nobody_is_turned_away_for_the_time_before_it_is_known_how_long_things_take() -> None:
    assert filled().hopeless(Deadline.after(0.01)) is None


async def test_who_could_not_be_served_in_time_is_told_at_once() -> None:
    places = filled()
    for _ in range(KNOWN):
        places.leave(3.0)
        assert Guest(places).state == "in"
    assert places.hopeless(long()) is None
    guest = Guest(places, by=Deadline.after(2))
    assert guest.state == "told"
    assert "would take" in guest.why


async def test_who_waits_is_told_while_there_is_time_left_to_say_so() -> None:
    places = Places(100, FULL)
    assert {Guest(places).state for _ in range(FULL)} == {"in"}
    by = Deadline.after(0.5)
    with pytest.raises(Overloaded, match="turn would not come"):
        await places.enter(by, NORMAL)
    assert not by.expired
    assert places.waiting == 0


async def test_those_at_the_end_of_the_queue_are_told_as_soon_as_it_shows_that_it_is_too_slow() -> None:
    clock = ManualClock()
    places = Places(100, FULL, clock=clock)
    assert {Guest(places).state for _ in range(FULL)} == {"in"}
    guests = [Guest(places, by=Deadline.after(10.1, clock=clock)) for _ in range(20)]
    for _ in range(KNOWN):
        clock.advance(1.0)
        places.leave(1.0)
    places.seen(0.0)
    # A place a second, and a second of work: who comes after the second of those who are left would not end within the eight.
    assert [guest.look() for guest in guests] == ["in"] * 5 + ["waits"] * 2 + ["told"] * 13
    assert places.waiting == 2


async def test_of_those_who_wait_the_lowest_rank_is_told_first() -> None:
    clock = ManualClock()
    places = Places(100, FULL, clock=clock)
    assert {Guest(places).state for _ in range(FULL)} == {"in"}
    by = Deadline.after(10.1, clock=clock)
    low, normal = [Guest(places, LOW, by) for _ in range(4)], [Guest(places, NORMAL, by) for _ in range(7)]
    for _ in range(KNOWN):
        clock.advance(1.0)
        places.leave(1.0)
    places.seen(0.0)
    assert {guest.look() for guest in low} == {"told"}
    assert [guest.look() for guest in normal] == ["in"] * 5 + ["waits"] * 2


async def test_a_pace_is_taken_only_while_somebody_waits() -> None:
    clock = ManualClock()
    places = Places(100, FULL, clock=clock)
    for _ in range(KNOWN + 1):
        Guest(places)
        clock.advance(100.0)
        places.leave(0.5)
    assert places.pace == 0.5 / FULL


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=200), st.integers(1, 500))
def test_the_limit_stays_between_its_bounds_and_a_late_loop_never_raises_it(
    delays: list[float], most: int
) -> None:
    places = Places(1, most)
    for delay in delays:
        before = places.limit
        places.taken = int(before)
        places.seen(delay)
        assert min(LEAST, most) <= places.limit <= most
        assert places.limit <= before if delay > TARGET else places.limit >= before


async def test_where_all_who_work_wait_for_others_those_who_wait_here_need_not() -> None:
    clock = ManualClock()
    places = Places(100, MOST, clock=clock)
    assert {Guest(places).state for _ in range(FULL)} == {"in"}
    places.seen(0.0, busy=0.1)
    assert places.limit == START + 1, "nobody waits: there is no reason to hurry"
    Guest(places)
    guests = [Guest(places) for _ in range(FULL)]
    places.seen(0.0, busy=0.9)
    assert places.limit == START + 2
    places.seen(0.0, busy=0.1)
    assert places.limit == (START + 2) * FASTER
    assert [guest.look() for guest in guests].count("in") == int(places.limit) - FULL - 1


async def test_who_leaves_the_queue_while_it_is_looked_through_keeps_nobody_from_a_free_place() -> None:
    places = Places(10, 1)
    await places.enter(long(), NORMAL)
    leaving = asyncio.ensure_future(places.enter(long(), NORMAL))
    await asyncio.sleep(0)
    leaving.cancel()
    places.seen(0.0)  # before the one who leaves has woken
    await asyncio.wait({leaving})
    places.leave(0.01)
    async with asyncio.timeout(10):
        await places.enter(long(), NORMAL)
    places.leave(0.01)
    assert places.waiting == 0


def test_a_server_that_is_not_full_keeps_its_limit() -> None:
    places = Places(1, MOST)
    places.seen(0.0)
    assert places.limit == START


@given(st.lists(st.sampled_from(["enter", "enter", "leave", "go"]), max_size=80), st.integers(0, 8))
def test_never_more_are_in_than_there_are_places_and_no_place_is_lost(steps: list[str], queue: int) -> None:
    async def play() -> None:
        places, guests = Places(queue, 3), list[Guest]()
        for step in steps:
            inside = [guest for guest in guests if guest.look() == "in"]
            outside = [guest for guest in guests if guest.state == "waits"]
            if step == "enter":
                guests.append(Guest(places, by=long()))
            elif step == "leave" and inside:
                inside[0].state = "left"
                places.leave(0.01)
            elif step == "go" and outside:
                outside[-1].go()
            states = [guest.look() for guest in guests]
            assert places.taken == states.count("in") <= 3
            assert places.waiting == states.count("waits") <= queue
            assert places.taken == 3 or not places.waiting
        for guest in guests:
            if guest.state == "waits":
                guest.go()
                guest.look()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("said", "rank"), [("low", LOW), (" High", HIGH), ("urgent!!", NORMAL), (None, NORMAL)]
)
def test_a_priority_that_nobody_knows_is_normal(said: str | None, rank: int) -> None:
    assert rank_of({} if said is None else {"x-mesh-priority": said}) == rank
