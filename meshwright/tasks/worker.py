"""The tasks this replica works on: it leases them, runs their turns one after the other, keeps the leases, and lets go in time.

A turn is one message of a task's inbox. It ends in the same transaction that notes it as answered, so a crash before that leaves
the message where whoever takes over finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import uuid
from typing import TYPE_CHECKING

from a2a.types import Task

from meshwright.chore import Chore
from meshwright.errors import LeaseLost, StoreUnavailable
from meshwright.extension import HEADER_RUN
from meshwright.records.metrics import Decided
from meshwright.records.minutes import Minutes
from meshwright.records.retelling import retell
from meshwright.tasks import lease
from meshwright.tasks.accept import Accepted, Ask, Desk, Met, accept
from meshwright.tasks.errand import Errands
from meshwright.tasks.events import WORKING, status
from meshwright.tasks.held import Held
from meshwright.tasks.snapshot import Claim, Envelope
from meshwright.tasks.turn import Perform, Postponed, Turn

if TYPE_CHECKING:
    from meshwright.database import Transaction
    from meshwright.tasks.book import TaskBook

log = logging.getLogger(__name__)

#: Tasks in the hand of one process, most of which wait for a place; what is accepted beyond that is queued for any replica.
AT_ONCE = 1000
#: Tasks taken with one look into the queue.
TAKE = 20


class Worker:
    """One replica of one agent."""

    def __init__(
        self,
        book: TaskBook,
        perform: Perform,
        *,
        lease: float,
        claims: int,
        at_once: int = AT_ONCE,
        answers_only: bool = False,
    ) -> None:
        self.book = book
        self._answers_only = answers_only
        self.holder = uuid.uuid4().hex
        self.draining = False
        #: What was decided in the turns of its tasks, for `/metrics`.
        self.decided = Decided()
        self._perform = perform
        self._lease = lease
        self._claims = claims
        self._doubt = max(1, claims // 2)  # of tasks over which so many have died at most one is in hand
        self._at_once = at_once
        self._held: dict[str, Held] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._strays: dict[str, int] = {}
        self._put_off: list[Claim] = []  # stopped because the database was away, by no fault of theirs
        self._accepting = Errands()
        self._keeping = Chore("the heartbeat", self._keep, lease / 3)
        self._taking = asyncio.Lock()
        self._looks = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        return len(self._runs)

    def start(self) -> None:
        """Begin to keep leases and to take what is queued."""
        self._keeping.start()

    async def accept(self, ask: Ask) -> Accepted:
        """Store a message, and begin to work on it here if there is room. See `accept.accept` for what it raises.

        Not undone when the caller goes away meanwhile: what is stored is worked on.
        """
        return await self._accepting.run(self._accept(ask))

    async def _accept(self, ask: Ask) -> Accepted:
        room = not self.draining and len(self._runs) < self._at_once
        desk = Desk(self.book.agent, self.holder, self._lease if room else None, self._answers_only)
        while True:
            try:
                accepted = await self.book.database.write(lambda tx: accept(tx, desk, ask))
                break
            except Met:
                continue
        if accepted.claim is not None:
            assert accepted.envelope is not None
            snapshot = accepted.snapshot
            if snapshot.asked - snapshot.answered == 1:
                self._begin(Held(self.book, accepted.claim, snapshot.shared(), [accepted.envelope]))
            else:
                await self._open(accepted.claim)
        return accepted

    async def settled(self, accepted: Accepted) -> Task | None:
        """The task as it stands when the accepted message is worked off; None if that happens in another process."""
        held = self._held.get(accepted.task_id)
        try:
            return await held.settled(accepted.turn) if held is not None else None
        except LeaseLost:
            return None

    def let_go(self, task_id: str, *, moved: bool = False) -> None:
        """Stop working on a task: it is no longer ours. `moved` says that it goes on in another process."""
        held, run = self._held.pop(task_id, None), self._runs.get(task_id)
        if held is not None:
            held.moved = moved
            held.lose()
        if run is not None:
            run.cancel()

    async def drain(self, grace: float) -> None:
        """Take nothing more, finish what can be finished within `grace` seconds, and hand the rest to other replicas."""
        self.draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        await self._accepting.all_done()
        async with self._taking:  # what was just being taken is in hand then
            left = [held.claim for held in self._held.values()] + self._put_off
        for task_id in list(self._held):
            self.let_go(task_id, moved=True)
        if self._runs:
            await asyncio.wait(list(self._runs.values()), timeout=1.0)
        if left:
            try:
                await self._release(left, why="its replica stopped")
            except StoreUnavailable:
                log.warning("%d tasks could not be handed over; their leases run out", len(left))

    async def aclose(self) -> None:
        """Stop at once what `drain` has not stopped."""
        await self.drain(0)
        await self._keeping.stop()
        self.book.feed.close()

    async def _keep(self) -> None:
        """The heartbeat, and the look into the queue: as often as is needed, and whenever the bell rings."""
        with self.book.feed.bell(self.book.agent) as bell:
            while True:
                pause, began = self._lease / 3, asyncio.get_running_loop().time()
                try:
                    if self._held or self._put_off:
                        await self._renew()
                    if not self.draining and len(self._runs) < self._at_once:
                        async with self._taking:
                            soon = await self._take(began + pause)
                        if not self._held:
                            pause = self._rest(soon)
                        elif asyncio.get_running_loop().time() >= began + pause:
                            continue  # what we hold is renewed before more is taken
                except StoreUnavailable as error:
                    log.warning("%s; trying again", error)
                # not wait_for: in Python 3.11 it can swallow a cancellation that comes together with the bell
                self._looks = asyncio.get_running_loop().time() + pause
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await bell.wait()
                bell.clear()

    def _rest(self, soon: float | None) -> float:
        """Seconds until the next look of a replica that holds nothing.

        A lease that runs out later than that was given, or given anew, after this look, and so not before the next one. What
        is due and could not be taken is in somebody's hands right now.
        """
        if soon == 0:
            return self._lease / 3
        return self._lease if soon is None else min(soon, self._lease)

    async def _renew(self) -> None:
        if back := list(self._put_off):
            await self._release(back, why="the database was away")
            del self._put_off[: len(back)]
        ours = dict(self._held)
        still = await self.book.database.write(
            lambda tx: lease.renew(tx, self.book.agent, self.holder, self._lease)
        )
        for task_id, held in ours.items():
            if still.get(task_id) != held.claim.token and self._held.get(task_id) is held:
                moved = await self.book.database.read(lambda tx, lost=task_id: lease.goes_on(tx, lost))  # type: ignore[misc]
                self.let_go(task_id, moved=moved)
        # Leased by us, and not in hand: accepted by a request that never came to begin it. Seen twice, it goes back.
        strays = {task_id: token for task_id, token in still.items() if task_id not in self._held}
        forgotten = [Claim(i, t) for i, t in strays.items() if self._strays.get(i) == t]
        if forgotten:
            await self.book.database.write(lambda tx: lease.abandon(tx, forgotten))
        self._strays = strays

    async def _take(self, until: float = math.inf) -> float | None:
        """Claim what there is. Returns when there will be more, as `next_claim` does.

        Not beyond `until`, a time of the loop: to take a long queue lasts longer than a lease where there is much to do, and what
        was taken first would run out meanwhile, in the hands of a process that works on it.
        """
        database, agent = self.book.database, self.book.agent

        async def look(tx: Transaction) -> float | None:
            return await lease.next_claim(tx, agent)

        while (soon := await database.read(look)) == 0 and len(self._runs) < self._at_once:
            room = min(TAKE, self._at_once - len(self._runs))
            claims = await database.write(
                lambda tx, n=room: lease.claim(tx, agent, self.holder, self._lease, n, doubt=self._doubt)  # type: ignore[misc]
            )
            if not claims:
                break
            self._put_off += claims  # should the database go away before they are in hand
            for claim in claims:
                with contextlib.suppress(LeaseLost):
                    await self._open(claim)
                self._put_off.remove(claim)
            if self.draining or asyncio.get_running_loop().time() >= until:
                break
        return soon

    async def _open(self, claim: Claim) -> None:
        """Begin to work on what was claimed."""
        before = self._held.get(claim.task_id)
        if before is not None and before.claim != claim:
            # our own lease ran out, and we were the ones to take it again
            self.let_go(claim.task_id, moved=True)
        snapshot, waiting = await lease.taken(self.book.database, self.book.agent, claim)
        held = Held(self.book, claim, snapshot, waiting)
        if not waiting:
            await held.park()
            return
        self._begin(held)

    def _begin(self, held: Held) -> None:
        task_id = held.claim.task_id
        self._held[task_id] = held
        loop = asyncio.get_running_loop()
        if self._looks > loop.time() + self._lease / 3:
            # we held nothing, and rested longer than a lease can wait for its heartbeat
            self.book.feed.ring(self.book.agent)
        run = loop.create_task(self._run(held))
        self._runs[task_id] = run
        self._idle.clear()
        doubtful = held.claims >= self._doubt
        run.add_done_callback(lambda done: self._ended(held, done, doubtful=doubtful))

    def _ended(self, held: Held, run: asyncio.Task[None], *, doubtful: bool) -> None:
        task_id = held.claim.task_id
        if self._runs.get(task_id) is run:
            del self._runs[task_id]
        if self._held.get(task_id) is held:
            del self._held[task_id]
        held.lose()
        if doubtful or len(self._runs) == self._at_once - 1:
            self.book.feed.ring(self.book.agent)  # there was no room: what was queued meanwhile has some now
        if not self._runs:
            self._idle.set()
        if not run.cancelled() and (error := run.exception()):
            log.error("the task %s stopped here; its lease runs out", task_id, exc_info=error)

    async def _run(self, held: Held) -> None:
        """All turns of a task that we hold, until it ends, waits, or is no longer ours."""
        try:
            if held.claims > self._claims:
                await self._give_up(held)
            while held.waiting:
                if held.task.status.state != WORKING:
                    await held.append([status(held.task.id, held.task.context_id, WORKING)])
                turn = self._turn(held, held.waiting[0])
                if held.claims:
                    await retell(self.book.database, self.book.agent, turn.task.id, turn.envelope.turn)
                try:
                    happened = await self._perform(turn)
                    await held.append(happened, ends=turn.envelope.turn, minutes=turn.minutes)
                except (LeaseLost, asyncio.CancelledError):
                    if not self.draining:
                        await held.keep(turn.minutes)
                    raise
        except LeaseLost as error:
            log.info("%s", error)
        except Postponed as error:
            log.warning("the task %s is put back for %.0f s: %s", held.claim.task_id, error.seconds, error)
            await self._release([held.claim], error.seconds, str(error))
        except StoreUnavailable as error:
            log.warning("the task %s stops here and is put back: %s", held.claim.task_id, error)
            self._put_off.append(held.claim)

    def _turn(self, held: Held, envelope: Envelope) -> Turn:
        run, task, turn = envelope.headers.get(HEADER_RUN, "")[:64], held.claim.task_id, envelope.turn
        minutes = Minutes(self.book.agent, task, turn, run=run, caller=envelope.caller, tally=self.decided)
        return Turn(held, envelope, held.claims + 1, minutes)

    async def _release(self, claims: list[Claim], seconds: float = 0.0, why: str = "") -> None:
        await self.book.database.write(
            lambda tx: lease.release(tx, self.book.agent, claims, seconds=seconds, why=why)
        )

    async def _give_up(self, held: Held) -> None:
        """A task over which one process after the other died: it ends, with the reason."""
        why = f"given up: {held.claims} processes in a row stopped while they worked on it"
        log.error("the task %s is %s", held.claim.task_id, why)
        await held.fail(why)
