"""Whatever people and the clock do at once, in whatever order: each review ends once, by as many people as it needs, and the log agrees."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from meshwright.errors import CallerError
from meshwright.reviews.store import ReviewStore
from meshwright.reviews.visible import skeleton
from meshwright.reviews.word import Word

NAMES = ("ann", "Ann", "bob", "Bob", "carol", "orders", "customer")
ENDS = {
    "approve": "review.approved",
    "reject": "review.rejected",
    "edit": "review.edited",
    "expired": "review.expired",
}


@pytest.mark.parametrize("seed", range(6))
async def test_every_review_ends_once_and_by_as_many_people_as_it_needs(queue: Any, seed: int) -> None:
    dice = Random(seed)
    needed = {f"k{n}": dice.choice((1, 2, 3)) for n in range(8)}
    for key, people in needed.items():
        await queue.put(key, run="r", needed=people, arguments={"thing": key})
    replicas = [ReviewStore(queue.database, "orchestrator") for _ in range(3)]

    async def act(number: int) -> None:
        store, key, who = dice.choice(replicas), dice.choice([*needed]), dice.choice(NAMES)
        what = dice.choices(("approve", "reject", "edit", "claim", "release", "due"), (12, 1, 1, 1, 2, 1))[0]
        await asyncio.sleep(0)
        try:
            if what == "due":
                await queue.move(key, dice.choice((86_400.0, 13.9 * 86_400)))
                await store.overdue(key)
            elif what in ("claim", "release"):
                await getattr(store, what)(key, by=who)
            else:
                arguments = {"thing": key, "n": number} if what == "edit" else None
                word = Word(what, "so", arguments=arguments)
                await store.decide(key, word, by=who, became=f"new-{key}-{number}" if arguments else "")
        except CallerError:
            pass  # a refusal in words; anything else is a fault

    await asyncio.gather(*(act(number) for number in range(160)))
    log = await queue.log()
    ended = 0
    for key in needed:
        review = await queue.reviews.one(key)
        entries = [row for row in log if row["action"] == key]
        over = [row for row in entries if row["kind"] in ENDS.values() and row["body"].get("over", True)]
        people = {skeleton(vote["by"]) for vote in review["approvals"]}
        assert len(over) == (review["state"] != "open")
        assert not people & {"orders", "customer"}
        ended += len(over)
        if over:
            assert over[0]["kind"] == ENDS[review["state"]]
        if review["state"] == "approve":
            assert len(people) == review["needed"] == needed[key]
        else:
            assert len(people) < needed[key]
        assert review["version"] == len(entries)  # opened at 1, and one more with each change
    assert await queue.signals("r") == ended
