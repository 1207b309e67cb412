"""A read that takes longer than usual is asked for twice, within the retry budget; the first good answer wins."""

from __future__ import annotations

import asyncio

import pytest

from meshwright.errors import BreakerOpen, Outcome, PeerUnreachable, ToolRefused
from meshwright.outbound.breaker import Breaker
from meshwright.outbound.hedge import KNOWN, WINDOW, Hedge
from meshwright.outbound.retry import RetryBudget
from meshwright.testing import ManualClock


class Race:
    """A target whose requests end as the test says, by the order in which they were sent; behind a breaker."""

    def __init__(self) -> None:
        self.breaker = Breaker("tool")
        self.sent: list[asyncio.Future[str]] = []
        self.called_off = 0

    async def __call__(self) -> str:
        mine: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sent.append(mine)
        try:
            async with self.breaker.admit():
                return await mine
        except asyncio.CancelledError:
            self.called_off += 1
            raise

    async def has_sent(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                await asyncio.sleep(0)


async def known(usual: float = 0.0) -> Hedge:
    """A hedge that knows what is usual: next to nothing, so that everything else takes longer."""
    clock = ManualClock()
    hedge = Hedge(clock)

    async def answer() -> str:
        clock.advance(usual)
        return "usual"

    for _ in range(KNOWN):
        assert await hedge.run(answer, RetryBudget()) == "usual"
    return hedge


async def test_the_second_answer_wins_and_the_first_is_called_off_and_says_nothing() -> None:
    hedge, race = await known(), Race()
    reading = asyncio.create_task(hedge.run(race, RetryBudget()))
    await race.has_sent(2)
    race.sent[1].set_result("second")
    assert await reading == "second"
    assert race.called_off == 1
    assert (hedge.sent["won"], dict(race.breaker.calls)) == (1, {"well": 1, "silent": 1})


async def test_that_the_second_fails_does_not_matter_while_the_first_may_answer() -> None:
    hedge, race = await known(), Race()
    reading = asyncio.create_task(hedge.run(race, RetryBudget()))
    await race.has_sent(2)
    race.sent[1].set_exception(PeerUnreachable("tool", "reset"))
    race.sent[0].set_result("first")
    assert await reading == "first"
    assert hedge.sent["lost"] == 1


async def test_where_both_fail_the_first_error_is_told() -> None:
    hedge, race = await known(), Race()
    reading = asyncio.create_task(hedge.run(race, RetryBudget()))
    await race.has_sent(2)
    race.sent[1].set_exception(PeerUnreachable("tool", "second"))
    race.sent[0].set_exception(PeerUnreachable("tool", "first"))
    with pytest.raises(PeerUnreachable, match="first"):
        await reading


async def test_a_refusal_in_words_is_an_answer() -> None:
    hedge, race = await known(), Race()
    reading = asyncio.create_task(hedge.run(race, RetryBudget()))
    await race.has_sent(2)
    race.sent[0].set_exception(ToolRefused("no such order"))
    with pytest.raises(ToolRefused):
        await reading
    assert race.called_off == 1


async def test_without_a_retry_to_spend_there_is_no_second_request() -> None:
    hedge, race, budget = await known(), Race(), RetryBudget(ManualClock())
    assert budget.withdraw()
    reading = asyncio.create_task(hedge.run(race, budget))
    await race.has_sent(1)
    await asyncio.wait({reading}, timeout=0.02)
    race.sent[0].set_result("first")
    assert await reading == "first"
    assert len(race.sent) == 1


async def test_whoever_stops_waiting_calls_both_off() -> None:
    hedge, race = await known(), Race()
    reading = asyncio.create_task(hedge.run(race, RetryBudget()))
    await race.has_sent(2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert race.called_off == 2


async def test_usual_is_what_nineteen_of_twenty_took_of_late() -> None:
    clock = ManualClock()
    hedge = Hedge(clock)
    for took in [*range(1, 501), *range(1, WINDOW + 1)]:

        async def answer(took: int = took) -> None:
            clock.advance(took)

        await hedge.run(answer, RetryBudget())
    assert hedge.after == 95


async def test_what_was_never_sent_took_no_time_that_says_what_is_usual() -> None:
    hedge, breaker = Hedge(), Breaker("tool", fail_max=1)
    breaker.leave(breaker.enter(), Outcome.TRANSPORT)

    async def refused() -> None:
        async with breaker.admit():
            raise AssertionError("it is open")

    for _ in range(WINDOW):
        with pytest.raises(BreakerOpen):
            await hedge.run(refused, RetryBudget())
    assert hedge.after is None
