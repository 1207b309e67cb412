"""Reviews are rows, and mean the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshwright.errors import AlreadyDecided, Claimed, LeaseLost, NotFound
from meshwright.findings import Proposal, Verdict
from meshwright.records.runs import RunStore, end_with_task
from meshwright.reviews.word import Word, effect
from meshwright.tasks.book import TaskBook
from meshwright.tasks.snapshot import Claim


async def test_a_person_finds_everything_that_there_is_to_know(queue: Any) -> None:
    conflict = {"about": "thing:t1", "candidates": ["orders: gold", "returns: red"]}
    await queue.put("k1", risk="high", needed=2, provenance={"colour": "words"}, conflict=conflict)
    review = await queue.reviews.one("k1")
    assert review["arguments"] == {"thing": "t1", "colour": "gold"}
    assert (review["policy"], review["why"], review["source"]) == ("large", "it is expensive", "§3")
    assert (review["risk"], review["needed"], review["state"], review["version"]) == ("high", 2, "open", 1)
    assert (review["conflict"], review["provenance"]) == (conflict, {"colour": "words"})
    assert review["evidence"][0]["quote"] == "it costs 500"
    assert (review["says"], review["proposed_by"]) == ("the customer wants it", "orders")
    assert (review["request"], review["client"]) == ("paint it", "customer")
    assert review["hash"] == effect("paint", review["arguments"])
    assert review["due"] - review["created"] == pytest.approx(86_400 / 4, abs=5)
    assert review["expires"] - review["created"] == pytest.approx(14 * 86_400, abs=5)


async def test_the_same_proposal_twice_is_one_review(queue: Any) -> None:
    await queue.put("k1")
    await queue.put("k1")
    assert len(await queue.reviews.queue()) == 1
    assert len(await queue.log("review.opened")) == 1


async def test_who_lost_the_task_puts_nothing_before_people(queue: Any) -> None:
    claim = await queue.run("r1")
    late = Claim(claim.task_id, claim.token - 1)
    with pytest.raises(LeaseLost):
        await queue.reviews.open(
            "k1",
            "r1",
            Proposal(action="a", arguments={}),
            Verdict(decision="review", policy="p", why="w"),
            late,
        )
    assert await queue.reviews.queue() == []
    assert await queue.log() == []


async def test_the_most_pressing_come_first(queue: Any) -> None:
    for key, risk in (("a", "low"), ("b", "high"), ("c", "medium"), ("d", "low"), ("e", "high")):
        await queue.put(key, risk=risk)
    await queue.move("e", 60)
    await queue.database.execute("UPDATE reviews SET escalated=1 WHERE id='d'")
    assert [row["id"] for row in await queue.reviews.queue()] == ["d", "e", "b", "c", "a"]
    assert [row["id"] for row in await queue.reviews.queue(risk="high")] == ["e", "b"]
    assert [row["id"] for row in await queue.reviews.queue(run="run-c")] == ["c"]
    assert [row["id"] for row in await queue.reviews.queue(limit=2)] == ["d", "e"]


async def test_of_many_at_once_one_decides_and_the_others_hear_who(queue: Any) -> None:
    await queue.put("k1")
    words = (queue.reviews.decide("k1", Word("approve"), by=f"person {n}") for n in range(8))
    results = await asyncio.gather(*words, return_exceptions=True)
    (won,) = (result for result in results if isinstance(result, dict))
    lost = [result for result in results if isinstance(result, AlreadyDecided)]
    assert len(lost) == 7
    assert all(f"{won['decided_by']} already decided this review: it is approved" in str(e) for e in lost)
    assert len(await queue.log("review.approved")) == await queue.signals("run-k1") == 1


async def test_each_decision_is_told_to_the_run(queue: Any) -> None:
    await queue.put("k1", run="r")
    await queue.put("k2", run="r", arguments={"thing": "t2"})
    await queue.reviews.decide("k1", Word("approve"), by="ann")
    assert await queue.signals("r") == 1
    await queue.reviews.decide("k2", Word("reject", "no"), by="ann")
    assert await queue.signals("r") == 2
    found = await queue.reviews.decisions(["k1", "k2", "k3"])
    assert {key: row["decision"] for key, row in found.items()} == {"k1": "approve", "k2": "reject"}
    assert (found["k1"]["approved_by"], found["k2"]["approved_by"]) == (["ann"], [])


async def test_two_people_are_two_people(queue: Any) -> None:
    await queue.put("k1", needed=2)
    half = await queue.reviews.decide("k1", Word("approve", "fine"), by="ann")
    assert (half["state"], half["version"], await queue.signals("run-k1")) == ("open", 2, 0)
    for same in ("ann", "Ann", "аnn"):
        with pytest.raises(AlreadyDecided, match="approved this already; it needs 2 people"):
            await queue.reviews.decide("k1", Word("approve"), by=same)
    whole = await queue.reviews.decide("k1", Word("approve"), by="bob")
    assert (whole["state"], [vote["by"] for vote in whole["approvals"]]) == ("approve", ["ann", "bob"])
    assert await queue.signals("run-k1") == 1
    assert [row["actor"] for row in await queue.log("review.approved")] == ["ann", "bob"]


async def test_a_second_thought_takes_an_approval_back(queue: Any) -> None:
    await queue.put("k1", needed=2)
    await queue.reviews.decide("k1", Word("approve"), by="ann")
    rejected = await queue.reviews.decide("k1", Word("reject", "I was wrong"), by="ann")
    assert (rejected["state"], rejected["approvals"]) == ("reject", [])


async def test_what_needs_more_people_now_is_open_again_and_keeps_its_approvals(queue: Any) -> None:
    await queue.put("k1")
    await queue.reviews.decide("k1", Word("approve"), by="ann")
    await queue.put("k1", needed=2, risk="high")
    await queue.put("k1", needed=2, risk="high")  # the same work, done again
    again = await queue.reviews.one("k1")
    assert (again["state"], again["needed"], again["risk"]) == ("open", 2, "high")
    with pytest.raises(AlreadyDecided):
        await queue.reviews.decide("k1", Word("approve"), by="ann")
    await queue.reviews.decide("k1", Word("approve"), by="bob")
    await queue.put("k1", needed=2, risk="high")  # done again after the end, it asks nobody anew
    found = (await queue.reviews.decisions(["k1"]))["k1"]
    assert (found["decision"], found["approved_by"]) == ("approve", ["ann", "bob"])
    assert await queue.signals("run-k1") == 2


async def test_while_one_is_at_it_others_wait(queue: Any) -> None:
    await queue.put("k1")
    claimed = await queue.reviews.claim("k1", by="ann")
    assert (claimed["claimed_by"], claimed["version"]) == ("ann", 2)
    for word in (Word("approve"), Word("reject", "no")):
        with pytest.raises(Claimed, match="ann has claimed this review, for another 15 min"):
            await queue.reviews.decide("k1", word, by="bob")
    for attempt in (queue.reviews.claim, queue.reviews.release):
        with pytest.raises(Claimed):
            await attempt("k1", by="bob")
    await queue.reviews.claim("k1", by="ann")
    assert (await queue.reviews.release("k1", by="ann"))["claimed_by"] is None
    assert (await queue.reviews.decide("k1", Word("approve"), by="bob"))["state"] == "approve"


async def test_a_claim_lapses_and_ends_with_a_vote(queue: Any) -> None:
    await queue.put("k1", needed=2)
    await queue.reviews.claim("k1", by="ann")
    await queue.move("k1", 16 * 60)
    await queue.reviews.claim("k1", by="bob")
    assert (await queue.reviews.decide("k1", Word("approve"), by="bob"))["claimed_by"] is None
    assert (await queue.reviews.decide("k1", Word("approve"), by="carol"))["state"] == "approve"


async def test_a_run_ends_with_its_task_and_nobody_is_asked_any_more(queue: Any) -> None:
    await queue.put("k1", run="r")
    book = TaskBook(queue.database, "orchestrator", end_with_task)
    await book.cancel(queue.claims["r"].task_id, "\x1fcustomer")
    book.feed.close()
    assert (await RunStore(queue.database).get("r"))["state"] == "canceled"
    with pytest.raises(AlreadyDecided, match="withdrawn: the client cancelled it"):
        await queue.reviews.decide("k1", Word("approve"), by="ann")
    assert [row["action"] for row in await queue.log("review.withdrawn")] == ["k1"]


async def test_a_run_that_ends_by_itself_leaves_nothing_to_decide(queue: Any) -> None:
    claim = await queue.run("r")
    await queue.put("k1", run="r")
    await RunStore(queue.database).save("r", "failed", {}, claim)
    assert (await queue.reviews.one("k1"))["state"] == "withdrawn"


async def test_what_is_not_there_is_named(queue: Any) -> None:
    for attempt in (
        queue.reviews.one("nothing"),
        queue.reviews.claim("nothing", by="ann"),
        queue.reviews.decide("nothing", Word("approve"), by="ann"),
    ):
        with pytest.raises(NotFound, match="meshwright reviews"):
            await attempt
    await queue.reviews.overdue("nothing")


async def test_the_log_has_every_change_and_no_argument_in_clear(queue: Any) -> None:
    await queue.put("k1", needed=2, arguments={"iban": "secret words"})
    await queue.reviews.claim("k1", by="ann")
    await queue.reviews.release("k1", by="ann")
    await queue.reviews.decide("k1", Word("approve"), by="ann")
    await queue.reviews.decide(
        "k1", Word("edit", "typo", arguments={"iban": "other words"}), by="bob", became="k2"
    )
    log = await queue.log()
    assert [(row["kind"], row["actor"]) for row in log] == [
        ("review.opened", "orchestrator"),
        ("review.claimed", "ann"),
        ("review.released", "ann"),
        ("review.approved", "ann"),
        ("review.edited", "bob"),
    ]
    assert "words" not in str(log)
    assert log[-1]["body"]["became"] == "k2"
