"""A process that is late itself blames nobody."""

from __future__ import annotations

from meshwright.deadline import Deadline
from meshwright.outbound.breaker import FLOOR, LATE, tells
from meshwright.pulse import MEMORY, STRAIN, Pulse
from meshwright.testing import ManualClock


def test_a_late_loop_is_held_against_the_process_for_a_while() -> None:
    clock = ManualClock()
    pulse = Pulse(clock)
    pulse.felt(STRAIN)
    assert not pulse.strained
    pulse.felt(STRAIN * 2)
    assert pulse.strained
    clock.advance(MEMORY * 1.01)
    assert not pulse.strained


def test_a_timeout_tells_nothing_of_a_peer_that_had_no_time_or_of_a_process_that_had_none() -> None:
    clock, pulse = ManualClock(), Pulse(ManualClock())
    by = Deadline.after(0, clock=clock)
    assert tells(FLOOR, by, pulse)
    assert not tells(FLOOR / 2, by, pulse)
    clock.advance(LATE * 2)
    assert not tells(FLOOR, by, pulse)
    by = Deadline.after(0, clock=clock)
    pulse.felt(STRAIN * 2)
    assert not tells(FLOOR, by, pulse)
