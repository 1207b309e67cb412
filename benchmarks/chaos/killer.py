"""The storm: SIGKILL at random moments, to one process or several at once, for as long as the mesh gets something done between."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random

from benchmarks.chaos.fleet import Fleet, Member
from benchmarks.chaos.history import History
from benchmarks.chaos.journal import effects_so_far

#: How often each kind of process is hit, relative to the others; a kind not named counts 1.
WEIGHTS = {"orchestrator": 6}
#: One blow in so many hits every replica of the orchestrator at once, and one in so many hits any two processes.
ALL_AT_ONCE, TWO_AT_ONCE = 12, 6
#: While an entrance is down, the others of its kind are spared, but for one blow in so many.
SPARED = 4
#: How the moment of a blow is chosen, and how often: some instants after the next ticket is accepted; when an effect has just been
#: written down, and nobody may know of it yet; when a person's word on a review, or a customer's answer, is under way; or at any time.
MOMENTS = {"ticket": 5, "effect": 3, "word": 2, "any": 2}
#: How young a ticket is then, and an effect or a word, in seconds; how long the next of them is waited for, and the next word, of which
#: there are few.
YOUNG, FRESH, NEXT, NEXT_WORD = 0.4, 0.02, 3.0, 0.5
#: What the mesh has to get done between two blows, and the seconds after which one comes anyway.
MOVES, STANDSTILL = 2, 20.0
#: As many may be starting when the next blow comes: it takes them a while on few cores.
STARTING = 4

#: Told of a blow before and after it.
Witness = Callable[[Sequence[Member]], Awaitable[None]]


class Killer:
    """Kills members of a fleet."""

    def __init__(self, fleet: Fleet, history: History, dice: Random, orphans: Witness) -> None:
        self._fleet, self._history, self._dice, self._orphans = fleet, history, dice, orphans

    async def rage(self, kills: int, pause: float) -> None:
        """Kill `kills` times, each when an entrance is open again and `pause` seconds (more or less) have passed."""
        done = shown = 0
        began = time.monotonic()
        while done < kills:
            moved = self._history.moves
            await asyncio.sleep(pause * (0.2 + 1.6 * self._dice.random()))
            await self._ready_for_more(moved)
            [moment] = self._dice.choices(list(MOMENTS), list(MOMENTS.values()))
            victims = self._victims()[: kills - done]
            if moment == "ticket":
                await self._next(lambda: len(self._history.accepted), YOUNG)
            elif moment == "effect":
                victims = self._hands() or victims
                await self._next(partial(effects_so_far, self._fleet.shop), FRESH)
            elif moment == "word":
                victims = self._hands() or victims
                await self._next(lambda: self._history.words, FRESH, NEXT_WORD)
            await self._orphans(victims)
            done += len(victims)
            if done >= shown + 10 or done >= kills:
                shown = done
                seen = f"{len(self._history.accepted)} accepted, {len(self._history.ended)} seen ended"
                print(
                    f"{time.monotonic() - began:5.0f} s: {done} of {kills} kills, {seen}, "
                    f"{len(self._history.takeovers)} takeovers",
                    file=sys.stderr,
                    flush=True,
                )

    async def _ready_for_more(self, moved: int) -> None:
        """An entrance is open, not all the rest is down, and something was done since the last blow."""
        until = time.monotonic() + STANDSTILL
        while True:
            entrances = self._fleet.named("orchestrator")
            starting = sum(not member.ready for member in self._fleet.members)
            fine = starting <= STARTING and self._history.moves >= moved + MOVES
            if any(member.ready for member in entrances) and (fine or time.monotonic() > until):
                return
            await asyncio.sleep(0.05)

    async def _next(self, count: Callable[[], int], young: float, patience: float = NEXT) -> None:
        """Some instants, at most `young` seconds, after `count` rises."""
        before, until = count(), time.monotonic() + patience
        while count() == before and time.monotonic() < until:
            await asyncio.sleep(0.004)
        await asyncio.sleep(young * self._dice.random())

    def _hands(self) -> list[Member]:
        """One of those through whose hands an effect goes: an orchestrator, if the others are there, or a tool server."""
        entrances = self._fleet.named("orchestrator")
        if all(member.ready for member in entrances) and self._dice.randrange(4):
            return [self._dice.choice(entrances)]
        servers = [m for m in self._fleet.members if m.process.kind == "mcp" and m.ready]
        return [self._dice.choice(servers)] if servers else []

    def _victims(self) -> list[Member]:
        living = [member for member in self._fleet.members if member.running is not None]
        entrances = [member for member in living if member.process.name == "orchestrator"]
        if self._dice.randrange(ALL_AT_ONCE) == 0:
            return entrances
        if any(not member.ready for member in entrances) and self._dice.randrange(SPARED):
            living = [member for member in living if member not in entrances]
        number = 2 if self._dice.randrange(TWO_AT_ONCE) == 0 else 1
        chosen: list[Member] = []
        while len(chosen) < number:
            left = [member for member in living if member not in chosen]
            weights = [WEIGHTS.get(member.process.name, 1) for member in left]
            chosen += self._dice.choices(left, weights)
        return chosen
