"""People who decide what waits for them: at any replica, alone or two at the same moment, and again when the answer broke off."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from benchmarks.chaos.history import History, Told
from benchmarks.chaos.wire import Json, NoAnswer, Refused, Wire

#: Who decides. None of them is a customer, for nobody approves what they asked for.
PEOPLE = ("ann", "bob", "cleo")
#: The share of the reviews that nobody decides, and of the others that two people decide at the same moment.
LEFT, RIVALS = 0.2, 0.5
#: What they say, and how often.
WORDS = {"approve": 6, "reject": 3, "edit": 1}
#: The reasons that an order may be cancelled for, which is what an edit changes.
REASONS = ("no longer needed", "ordered by mistake")


class Operators:
    """All of them together. `urls` are the replicas where requests go in."""

    def __init__(self, urls: list[str], wire: Wire, history: History, dice: Random) -> None:
        self._urls, self._wire, self._history, self._dice = urls, wire, history, dice
        self._left: set[str] = set()

    async def decide(self, every: float) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(every)
            with contextlib.suppress(NoAnswer, Refused):
                who = self._dice.choice(PEOPLE)
                found = await self._wire.page(self._dice.choice(self._urls), "/reviews", who=who)
                await asyncio.gather(*(self._decide(review) for review in found["reviews"]))

    async def _decide(self, review: Json) -> None:
        if review["id"] in self._left:
            return
        if self._dice.random() < LEFT:
            self._left.add(review["id"])
            return
        people = self._dice.sample(PEOPLE, 2)
        if self._dice.random() < RIVALS:
            await asyncio.gather(
                *(
                    self._say(review, who, url, self._word(review))
                    for who, url in zip(people, self._two(), strict=True)
                )
            )
        else:
            word = self._word(review)
            for url in self._two()[: self._dice.randrange(1, 3)]:
                await self._say(review, people[0], url, word)

    async def _say(self, review: Json, who: str, url: str, word: Json) -> None:
        """One word of one person, sent again to any replica until somebody answers."""
        while True:
            self._history.words += 1
            try:
                page = await self._wire.page(url, f"/reviews/{review['id']}", word, who)
            except NoAnswer:
                self._history.again += 1
                url = self._dice.choice(self._urls)
                await asyncio.sleep(0.2)
                continue
            except Refused as refusal:
                self._history.refusals[f"{word['decision']}: {refusal}"[:100]] += 1
                return
            over = page["state"] != "open"
            self._history.told.append(Told(review["id"], who, word["decision"], over))
            return

    def _word(self, review: Json) -> Json:
        [decision] = self._dice.choices(list(WORDS), list(WORDS.values()))
        word = {"decision": decision, "reason": "chaos", "hash": review["hash"]}
        if decision == "edit":
            known = review["arguments"]
            word["arguments"] = {**known, "reason": next(r for r in REASONS if r != known.get("reason"))}
        return word

    def _two(self) -> list[str]:
        """Two replicas, or the one there is twice."""
        return self._dice.sample(self._urls, 2) if len(self._urls) > 1 else self._urls * 2
