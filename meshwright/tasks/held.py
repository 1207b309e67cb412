"""A task in the hands of its holder: the one place that appends to its log, each time with proof that it is still ours."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from a2a.types import Message, Role, Task, TaskState, TaskStatusUpdateEvent

from meshwright.errors import LeaseLost
from meshwright.extension import URI
from meshwright.parts import text_in, text_part
from meshwright.records import decisions
from meshwright.tasks import lease, pushes
from meshwright.tasks.events import (
    COMPLETED,
    SETTLED,
    TERMINAL,
    Event,
    ends_in,
    fold,
    instant,
    state_name,
    status,
    store,
    stored,
)
from meshwright.tasks.ids import new_id
from meshwright.tasks.outbox import call_off
from meshwright.tasks.snapshot import LAG, Claim, Envelope, Snapshot

if TYPE_CHECKING:
    from meshwright.database import Transaction
    from meshwright.records.minutes import Minutes
    from meshwright.tasks.book import TaskBook

#: Events, and decisions, that are written one by one, all in one step; more of them go in statements of many rows.
FEW, FEW_DECISIONS = 4, 6


class Held:
    """A task under a claim, as far as its log goes. One turn at a time works with it."""

    def __init__(self, book: TaskBook, claim: Claim, snapshot: Snapshot, waiting: Iterable[Envelope]) -> None:
        self.claim = claim
        self.waiting = deque(waiting)
        #: It is no longer worked on here because it goes on elsewhere: what it asked of others is still wanted.
        self.moved = False
        self._book = book
        self._snapshot = snapshot
        self._listening: dict[int, list[asyncio.Future[Task]]] = {}
        self._lock = asyncio.Lock()

    @property
    def task(self) -> Task:
        return self._snapshot.task

    @property
    def claims(self) -> int:
        return self._snapshot.claims

    async def settled(self, turn: int) -> Task:
        """The task when `turn` is worked off. Raises LeaseLost when that will not happen here."""
        future: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        self._listening.setdefault(turn, []).append(future)
        return await future

    def lose(self) -> None:
        """Nothing more will happen here."""
        for futures in self._listening.values():
            for future in futures:
                if not future.done():
                    future.set_exception(
                        LeaseLost(f"the task {self.claim.task_id} is no longer worked on here")
                    )
        self._listening.clear()

    async def append(
        self, happened: Sequence[Event], *, ends: int = 0, minutes: Minutes | None = None
    ) -> None:
        """Commit events to the log, with what was decided (`minutes`); with `ends`, also that this turn is answered.

        Raises LeaseLost, StoreUnavailable.

        A task ends only when its inbox is empty: with another message waiting, a terminal status is kept back, its words
        stay, and the next turn goes on.
        """
        async with self._lock:
            while True:
                chosen = _open_ended(happened) if ends and len(self.waiting) > 1 else happened
                try:
                    if await self._commit(chosen, ends, minutes=minutes):
                        break
                    await self._refresh()
                except LeaseLost:
                    # as far as one can know here; a cancel calls off what was asked by itself
                    self.moved = True
                    raise
            if ends:
                self.waiting.popleft()
                self._tell(ends)

    async def keep(self, minutes: Minutes) -> None:
        """Write down what was decided in a turn that a cancel stopped: it is told why it took so long, too.

        Only as long as nobody else has had the task: our token is the last before that of the cancel. Raises StoreUnavailable.
        """
        # what the work came to is not its end: that was the cancel, and is told with it
        decided = [each for each in minutes.open if each.kind != "final"]
        claim, book = self.claim, self._book

        async def op(tx: Transaction) -> bool:
            rows = await tx.execute(
                "SELECT 1 AS there FROM tasks WHERE id = ? AND token = ? AND work = 'ended' AND state = 'canceled'",
                *(claim.task_id, claim.token + 1),
            )
            await decisions.write(tx, decided if rows else [])
            if rows and book.on_end is not None:
                await book.on_end(tx, claim.task_id, "canceled", "", decided)
            return bool(rows)

        if not decided:
            return
        if await self._book.database.write(op):
            minutes.kept(decided)

    async def fail(self, why: str) -> None:
        """End the task as failed, whatever still waits in its inbox."""
        message = Message(
            message_id=new_id(),
            role=Role.ROLE_AGENT,
            task_id=self.task.id,
            context_id=self.task.context_id,
            parts=[text_part(why)],
        )
        end = status(self.task.id, self.task.context_id, TaskState.TASK_STATE_FAILED, message)
        end.metadata.update({URI: {"code": "GIVEN_UP"}})
        async with self._lock:
            while not await self._commit([end], self._snapshot.asked, given_up=True):
                await self._refresh()
            self.waiting.clear()

    async def park(self) -> None:
        """Nothing waits in the inbox: the task waits for a message."""
        async with self._lock:
            while not self.waiting and not await self._commit([], self._snapshot.answered or 1):
                await self._refresh()

    async def _commit(
        self, happened: Sequence[Event], ends: int, given_up: bool = False, minutes: Minutes | None = None
    ) -> bool:
        """One transaction. False when the log has moved on without us: a follow-up was accepted meanwhile."""
        now, book, claim = self._snapshot, self._book, self.claim
        end = ends_in(happened)
        stands = end.status if end is not None else now.task.status
        state, since = stands.state, instant(stands.timestamp)
        last = bool(ends) and (len(self.waiting) <= 1 or given_up)
        work = ("ended" if state in TERMINAL else "parked") if last else "running"
        version = now.version + len(happened)
        whole = last or version - now.body_version >= LAG
        task = now.task
        if whole:
            task = Task()
            task.CopyFrom(now.task)
            for event in happened:
                fold(task, event)
        body = task.SerializeToString() if whole else None
        answered = max(ends, now.answered)

        row = (version, state_name(state), since, answered, work, work, ends, body, int(whole), version)
        values = (*row, claim.task_id, claim.token, now.version)
        decided = minutes.open if minutes is not None else []
        failed = work == "ended" and state != COMPLETED
        if failed and book.on_end is not None:
            # that is the end, whatever else the work was about to say of it
            decided = [each for each in decided if each.kind != "final"]
        inserts = None
        if len(happened) <= FEW and len(decided) <= FEW_DECISIONS:
            inserts = stored(claim.task_id, now.version + 1, happened, ends) + decisions.statements(decided)

        async def op(tx: Transaction) -> bool:
            if inserts is not None and not now.pushes and not failed:
                quiet = f"{_PROGRESS} AND pushes = 0"
                if await tx.conclude((quiet, values), *inserts, wake=claim.task_id):
                    return True
            rows = await tx.execute(f"{_PROGRESS} RETURNING pushes", *values)
            if not rows:
                await lease.check(tx, claim)
                return False
            await store(tx, claim.task_id, now.version + 1, happened, ends)
            await decisions.write(tx, decided)
            if rows[0]["pushes"]:
                await pushes.announce(tx, book.agent, claim.task_id, now.version + 1, happened)
            if failed:
                await call_off(tx, book.agent, claim.task_id)
                if book.on_end is not None:
                    why = text_in(stands.message.parts)
                    await book.on_end(tx, claim.task_id, "failed", why, ())
            tx.wake(claim.task_id)
            return True

        if not await book.database.write(op):
            return False
        if minutes is not None:
            minutes.kept(decided)
        if whole:
            now.task, now.task_is_shared, now.body_version = task, False, version
        else:
            for event in happened:
                fold(now.own_task(), event)
        now.version, now.answered = version, answered
        if ends:
            now.claims = 0
        return True

    async def _refresh(self) -> None:
        """Read what was added to the task. Raises LeaseLost."""
        snapshot, waiting = await self._book.database.read(lambda tx: lease.opened(tx, self.claim))
        snapshot.claims = self._snapshot.claims
        self._snapshot = snapshot
        known = {envelope.turn for envelope in self.waiting}
        self.waiting.extend(envelope for envelope in waiting if envelope.turn not in known)

    def _tell(self, turn: int) -> None:
        """Whoever waits for this turn, or one before it, has their answer; while the task goes on they wait for its end."""
        if not self._listening or self.task.status.state not in SETTLED:
            return
        self._snapshot.task_is_shared = True
        for waited in [t for t in self._listening if t <= turn]:
            for future in self._listening.pop(waited):
                if not future.done():
                    future.set_result(self.task)


#: Only what the token proves to be ours changes, and only from the version that we know.
_PROGRESS = (
    "UPDATE tasks SET version = ?, state = ?, updated = ?, answered = ?, work = ?,"
    " holder = CASE WHEN ? = 'running' THEN holder ELSE '' END, claims = CASE WHEN ? > 0 THEN 0 ELSE claims END,"
    " body = coalesce(?, body), body_version = CASE WHEN ? > 0 THEN ? ELSE body_version END, why = ''"
    " WHERE id = ? AND token = ? AND version = ? AND work = 'running'"
)


def _open_ended(happened: Sequence[Event]) -> list[Event]:
    """The same events with a terminal status turned into progress: its message and metadata stay, the task goes on."""
    changed: list[Event] = []
    for event in happened:
        if isinstance(event, TaskStatusUpdateEvent) and event.status.state in TERMINAL:
            going_on = TaskStatusUpdateEvent()
            going_on.CopyFrom(event)
            going_on.status.state = TaskState.TASK_STATE_WORKING
            changed.append(going_on)
        else:
            changed.append(event)
    return changed
