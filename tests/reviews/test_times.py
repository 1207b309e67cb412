"""Reviews that nobody decides are escalated, and end: once, by the database's clock, whichever replica looks first."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from meshwright.errors import AlreadyDecided
from meshwright.findings import Proposal, Verdict
from meshwright.reviews.overdue import LONGEST, Watch
from meshwright.reviews.store import Patience, ReviewStore
from meshwright.reviews.word import Word, effect

HOUR, DAY = 3_600.0, 86_400.0


@pytest.mark.parametrize(("risk", "hours"), [("low", 24), ("medium", 12), ("high", 6)])
async def test_a_review_is_escalated_the_sooner_the_greater_its_risk(
    queue: Any, risk: str, hours: int
) -> None:
    await queue.put("k1", risk=risk)
    watch = Watch(queue.reviews)
    await queue.move("k1", hours * HOUR - 60)
    assert await watch.look() == pytest.approx(59, abs=2)
    assert not (await queue.reviews.one("k1"))["escalated"]
    await queue.move("k1", 61)
    await watch.look()
    review = await queue.reviews.one("k1")
    assert (review["escalated"], review["state"], review["version"]) == (True, "open", 2)


async def test_what_is_escalated_is_free_for_all_and_on_top_and_said_once(queue: Any) -> None:
    await queue.put("k1", risk="low")
    await queue.put("k2", risk="high")
    await queue.move("k1", DAY - 300)
    await queue.reviews.claim("k1", by="ann")
    await queue.database.execute("UPDATE reviews SET due=due-300 WHERE id='k1'")
    replicas = [Watch(ReviewStore(queue.database, "orchestrator")) for _ in range(4)]
    for _ in range(2):
        await asyncio.gather(*(each.look() for each in replicas))
    assert [row["id"] for row in await queue.reviews.queue()] == ["k1", "k2"]
    assert (await queue.reviews.one("k1"))["claimed_by"] is None
    assert [row["actor"] for row in await queue.log("review.escalated")] == ["orchestrator"]
    assert await queue.signals("run-k1") == 0


async def test_a_review_that_nobody_decides_ends_and_the_run_is_told_once(queue: Any) -> None:
    await queue.put("k1", needed=2)
    await queue.reviews.decide("k1", Word("approve"), by="ann")
    await queue.move("k1", 14 * DAY)
    replicas = [Watch(ReviewStore(queue.database, "orchestrator")) for _ in range(4)]
    await asyncio.gather(*(each.look() for each in replicas))
    found = (await queue.reviews.decisions(["k1"]))["k1"]
    assert (found["decision"], found["reason"]) == ("expired", "nobody decided within 14 days")
    assert await queue.signals("run-k1") == 1
    assert len(await queue.log("review.expired")) == 1
    with pytest.raises(AlreadyDecided, match="in time"):
        await queue.reviews.decide("k1", Word("approve"), by="bob")


async def test_many_that_are_due_at_once_are_all_done_in_turns(queue: Any) -> None:
    for number in range(130):
        await queue.put(f"k{number}", run="r", arguments={"n": number})
    await queue.database.execute("UPDATE reviews SET expires=0.0")
    watch = Watch(queue.reviews)
    assert [await watch.look() < LONGEST, await watch.look() < LONGEST, await watch.look()] == [
        True,
        True,
        LONGEST,
    ]
    assert await queue.reviews.queue() == []


async def test_with_nothing_to_do_a_look_writes_nothing_and_the_next_is_a_minute_away(queue: Any) -> None:
    await queue.put("k1")
    before = await queue.reviews.one("k1")
    assert await Watch(queue.reviews).look() == LONGEST
    assert {**await queue.reviews.one("k1"), "now": 0} == {**before, "now": 0}


async def test_the_times_are_those_of_the_settings(queue: Any) -> None:
    store = ReviewStore(queue.database, "orchestrator", Patience(due=8 * HOUR, expires=2 * DAY))
    verdict = Verdict(decision="review", policy="p", why="w", risk="low")
    await store.open("k1", "r", Proposal(action="a", arguments={}), verdict, await queue.run("r"))
    review = await store.one("k1")
    assert review["due"] - review["created"] == pytest.approx(8 * HOUR, abs=5)
    assert review["expires"] - review["created"] == pytest.approx(2 * DAY, abs=5)


async def old_review(queue: Any, key: str) -> None:
    """A review as 0.1.0 writes it, into the schema of now."""
    await queue.run("old")
    await queue.database.execute(
        "INSERT INTO reviews (id, run, action, arguments, amount, proposed_by, policy, why, created, state)"
        " VALUES (?,'old','paint',?,NULL,'orders','large','much',EPOCH()-9000000,'open')",
        *(key, json.dumps({"thing": "t1"})),
    )


async def test_a_review_of_an_older_build_is_shown_decided_and_gets_all_its_time_from_now(queue: Any) -> None:
    await old_review(queue, "k1")
    page = (await queue.http("ann", "GET", "/reviews/k1")).json()
    assert page["hash"] == effect("paint", {"thing": "t1"})
    assert (page["needed"], page["risk"], page["expires"], page["evidence"]) == (1, "medium", None, [])
    await Watch(queue.reviews).look()
    review = await queue.reviews.one("k1")
    assert review["state"] == "open"
    assert review["expires"] - review["now"] == pytest.approx(14 * DAY, abs=5)
    assert (await queue.say("ann", "k1", "approve", hash=page["hash"])).status_code == 200
    assert (await queue.reviews.decisions(["k1"]))["k1"]["approved_by"] == ["ann"]


async def test_a_decision_of_an_older_build_is_one_approval_and_not_two(queue: Any) -> None:
    await queue.put("k1", needed=2)
    await queue.database.execute(  # as 0.1.0 decides: it knows nothing of votes
        "UPDATE reviews SET state='approve', decided_by='ann', reason='', decided=EPOCH() WHERE id='k1' AND state='open'"
    )
    assert (await queue.reviews.decisions(["k1"]))["k1"]["approved_by"] == ["ann"]
    await queue.put("k1", needed=2)  # the gate finds that it takes two
    assert (await queue.reviews.one("k1"))["state"] == "open"
    assert (await queue.say("ann", "k1", "approve")).status_code == 409
    assert (await queue.say("bob", "k1", "approve")).json()["state"] == "approve"
