"""A tool server behind each fault that a wire can have: the call ends in time, with the right error, and the breaker is told the truth."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshwright.errors import BreakerOpen, MeshError, Outcome, PeerTimedOut, PeerUnreachable
from meshwright.outbound.breaker import FAIL_MAX, FLOOR, Standing
from meshwright.outbound.hedge import KNOWN
from meshwright.testing import WELL, Fault

DEADLINE = 1.0

CUT = [
    Fault("reset"),
    Fault("reset", after=40),
    Fault("deaf"),
    Fault("half-close"),
    Fault("half-close", after=40),
]
LATE = [Fault("hang"), Fault("delay", seconds=30), Fault("drip", seconds=0.1)]


def kind(fault: Fault) -> str:
    return f"{fault.kind}-{fault.after}" if fault.after else fault.kind


@pytest.mark.parametrize("fault", CUT, ids=kind)
async def test_a_connection_that_breaks_is_a_failure_of_transport(tools: Any, fault: Fault) -> None:
    tools.proxy.shows(fault)
    with pytest.raises(PeerUnreachable):
        await in_time(tools.read(DEADLINE))
    assert set(tools.failures) == {Outcome.TRANSPORT}


@pytest.mark.parametrize("fault", LATE, ids=kind)
async def test_an_answer_that_does_not_come_in_time_is_a_timeout(tools: Any, fault: Fault) -> None:
    tools.proxy.shows(fault)
    with pytest.raises(PeerTimedOut):
        await in_time(tools.read(DEADLINE))
    assert tools.failures == {Outcome.TIMEOUT: 1}


async def test_a_timeout_of_a_call_that_had_no_time_says_nothing(tools: Any) -> None:
    tools.proxy.shows(Fault("hang"))
    for _ in range(FAIL_MAX):
        with pytest.raises(PeerTimedOut):
            await in_time(tools.read(FLOOR * 0.8))
    assert tools.failures == {}


async def test_a_slow_answer_is_an_answer(tools: Any) -> None:
    tools.proxy.shows(Fault("delay", seconds=0.3))
    assert await tools.read(20) == {"pieces": 7}
    assert tools.failures == {}


async def test_nobody_who_listens_is_a_failure_of_transport(tools: Any) -> None:
    await tools.proxy.refuse()
    with pytest.raises(PeerUnreachable):
        await in_time(tools.read(DEADLINE))
    assert set(tools.failures) == {Outcome.TRANSPORT}
    await tools.proxy.accept()
    assert await tools.read(20) == {"pieces": 7}


@pytest.mark.parametrize("fault", CUT, ids=kind)
async def test_a_read_that_broke_off_is_read_again(tools: Any, fault: Fault) -> None:
    tools.proxy.shows(fault, WELL)
    assert await tools.read(20) == {"pieces": 7}
    assert tools.box.hosts[0].retries.spent == 1


async def test_a_flapping_server_gets_no_more_retries_than_its_budget_has(tools: Any) -> None:
    tools.proxy.shows(Fault("reset"), WELL)
    before, asked, answered = tools.proxy.exchanges, 60, 0
    for _ in range(asked):
        with_luck = await outcome(tools.read(20))
        answered += with_luck == {"pieces": 7}
    extra = tools.proxy.exchanges - before - asked
    assert extra == tools.box.hosts[0].retries.spent
    assert extra <= asked * 0.1 + 2
    assert answered >= asked / 2


async def test_a_write_whose_answer_was_lost_is_sent_again_with_its_key_and_happens_once(tools: Any) -> None:
    tools.proxy.shows(Fault("reset"), Fault("half-close"), WELL)
    assert await tools.write(20) == {"summary": "2 taken"}
    assert tools.shelf.writes == ["key"] * 3
    assert tools.shelf.applied == {"key"}


async def test_a_write_waits_for_its_server_to_come_back(tools: Any) -> None:
    await tools.proxy.refuse()
    writing = asyncio.create_task(tools.write(20))
    while not tools.failures:
        await asyncio.wait({writing}, timeout=0.01)
    await tools.proxy.accept()
    assert await writing == {"summary": "2 taken"}


async def test_a_write_that_does_not_come_through_says_what_is_known_when_its_time_is_up(tools: Any) -> None:
    tools.proxy.shows(Fault("reset"))
    with pytest.raises(PeerUnreachable):
        await in_time(tools.write(DEADLINE))
    assert tools.shelf.applied == {"key"}  # it was done, and nobody could know


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("reset")], ids=kind)
async def test_after_some_failures_nothing_is_sent_and_when_it_is_well_one_probe_finds_out(
    tools: Any, fault: Fault
) -> None:
    tools.proxy.shows(fault)
    await asyncio.gather(*(outcome(tools.read(FLOOR * 1.5)) for _ in range(FAIL_MAX)))
    breaker, sent = tools.box.hosts[0].breaker, tools.proxy.exchanges
    assert breaker.state == "open"
    with pytest.raises(BreakerOpen):
        await tools.read(DEADLINE)
    assert tools.proxy.exchanges == sent
    tools.proxy.shows(WELL)
    # An interval is over sooner than that: what is left of it is counted down by hand.
    breaker.hear(Standing(breaker.opening, "open", breaker.since, 0.0))
    answers = await asyncio.gather(*(outcome(tools.read(20)) for _ in range(10)))
    assert answers.count({"pieces": 7}) == 1
    assert tools.proxy.exchanges == sent + 1
    assert breaker.state == "closed"
    assert await tools.read(20) == {"pieces": 7}


async def in_time(call: Any) -> Any:
    """Its result; a call that goes on long after its deadline is an error."""
    async with asyncio.timeout(DEADLINE + 5):
        return await call


async def outcome(call: Any) -> Any:
    try:
        return await call
    except MeshError as error:
        return type(error)


async def test_a_read_that_hangs_is_answered_by_its_hedge_and_the_server_is_not_called_sick(
    tools: Any,
) -> None:
    tools.box = tools.make_box(hedge=True)
    for _ in range(KNOWN):
        await tools.read(20)
    tools.proxy.shows(Fault("hang"), WELL)
    assert await in_time(tools.read(DEADLINE)) == {"pieces": 7}
    assert tools.box.hosts[0].hedge.sent == {"won": 1}
    assert tools.failures == {}
