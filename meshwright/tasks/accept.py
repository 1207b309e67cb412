"""Accepting a message: one transaction holds the task, its first events, the message and what it is deduplicated by.

Nothing is acknowledged before that is committed. The same message again is the first task again; the same messageId with other
words is refused, because two different wishes under one name would mean that one of them is lost.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from a2a.types import Message, Task, TaskPushNotificationConfig, TaskState
from pydantic_core import to_json

from meshwright.errors import AlreadyDecided, InvalidRequest, NotFound, Overloaded
from meshwright.records.correlation import followed, of_trace
from meshwright.tasks.events import WORKING, fold, instant, stamp, state_name, status, store, stored
from meshwright.tasks.ids import new_id
from meshwright.tasks.modes import modes_of
from meshwright.tasks.pushes import announce, attach, keep, kept_first, named
from meshwright.tasks.snapshot import COLUMNS, LAG, Claim, Envelope, Snapshot, Work, find, load

if TYPE_CHECKING:
    from meshwright.database import Statement, Transaction


#: Messages that may wait for one task, which whoever works on it has in memory; and seconds after which to send the next one again.
WAITING, SOON = 1_000, 5.0

#: Headers of a task's first message that hold for what is done for it later.
BEGAN = ("x-mesh-ancestry", "x-mesh-priority", "x-mesh-run", "x-mesh-budget-tokens", "x-mesh-budget-micros")


class Met(Exception):
    """Somebody else accepted the same follow-up at this moment, or removed the task of this message: undo this one, and look again."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A message that asks to be accepted. `owner` is tenant and user, `seconds` what its deadline left it when it was `read`."""

    owner: str
    caller: str
    message: Message
    headers: Mapping[str, str]
    seconds: float
    push: TaskPushNotificationConfig | None = None
    read: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Where a message went. `claim` is set when the replica that accepted it also leased the task for itself."""

    turn: int
    snapshot: Snapshot
    fresh: bool
    envelope: Envelope | None = None
    claim: Claim | None = None

    @property
    def task_id(self) -> str:
        return self.snapshot.task.id


@dataclass(frozen=True, slots=True)
class Desk:
    """Who accepts: the agent, and the replica with its lease in seconds. Without a lease what is accepted is queued.

    `answers_only`: a task takes another message only while it waits for one; so of two answers to a question the first counts.
    """

    agent: str
    holder: str
    lease: float | None
    answers_only: bool = False


async def accept(tx: Transaction, desk: Desk, ask: Ask) -> Accepted:
    """Raises InvalidRequest (messageId used for something else, other context), NotFound, AlreadyDecided, Overloaded."""
    if ask.message.task_id:
        return await _follow_up(tx, desk, ask)
    return await _first(tx, desk, ask)


async def _first(tx: Transaction, desk: Desk, ask: Ask) -> Accepted:
    message = Message()
    message.CopyFrom(ask.message)
    message.task_id = new_id()
    message.context_id = message.context_id or new_id()
    leased = desk.lease is not None
    task = Task(id=message.task_id, context_id=message.context_id, history=[message])
    # Who leases it as it comes begins it: then its log begins with a task that is worked on.
    task.status.state = WORKING if leased else TaskState.TASK_STATE_SUBMITTED
    stamp(task.status)
    work: Work = "running" if leased else "queued"
    about, digest, pushes = ask.message.context_id, _digest(ask.message), int(ask.push is not None)
    event = stored(task.id, 1, [task], 0)
    body = event[0][1][-1]
    since = instant(task.status.timestamp)
    row = (task.id, desk.agent, ask.owner, task.context_id, state_name(task.status.state), body, since, work)
    is_new = await tx.conclude(
        _into_inbox(desk, ask, message, about, digest, turn=1),
        (_NEW_TASK, (*row, desk.holder if leased else "", desk.lease or 0.0, pushes)),
        *event,
        *([kept_first(task.id, ask.push)] if ask.push is not None else ()),
        wake=None if leased else desk.agent,
    )
    if not is_new:
        return await _again(tx, desk, ask, about, digest)
    snapshot = Snapshot(task, 1, work, 1, 0, desk.holder, 1, 0, pushes, 1)
    return Accepted(1, snapshot, True, _envelope(1, message, ask), Claim(task.id, 1) if leased else None)


async def _follow_up(tx: Transaction, desk: Desk, ask: Ask) -> Accepted:
    about, digest = ask.message.task_id, _digest(ask.message)
    known = await tx.execute(
        "SELECT 1 AS there FROM inbox WHERE agent = ? AND owner = ? AND message_id = ? AND about = ?",
        *(desk.agent, ask.owner, ask.message.message_id, about),
    )
    if known:
        return await _again(tx, desk, ask, about, digest)
    rows = await tx.execute(  # takes the row: whoever follows up at the same time comes after
        "UPDATE tasks SET version = version + 1, asked = asked + 1"
        f" WHERE id = ? AND agent = ? AND owner = ? AND work <> 'ended' RETURNING {COLUMNS}",
        *(about, desk.agent, ask.owner),
    )
    if not rows:
        found = await find(tx, desk.agent, ask.owner, about)
        if found is None:
            raise NotFound(f"there is no task {about!r}")
        raise AlreadyDecided(f"the task {about} is {state_name(found.task.status.state)}; send a new message")
    row = rows[0]
    if row["asked"] - row["answered"] > WAITING:
        raise Overloaded(f"{WAITING} messages wait for the task {about} already", SOON)
    before = await load(tx, row)
    if desk.answers_only and before.work != "parked":
        raise AlreadyDecided(f"the task {about} asks nothing now: what it asked is answered, and it goes on")
    message = Message()
    message.CopyFrom(ask.message)
    message.context_id = before.task.context_id
    if ask.message.context_id and ask.message.context_id != message.context_id:
        raise InvalidRequest(f"the task {about} does not belong to the context {ask.message.context_id!r}")
    turn: int = row["asked"]
    ask = replace(ask, headers=followed(await trace_of(tx, about), ask.headers))
    sql, values = _into_inbox(desk, ask, message, about, digest, turn)
    if not await tx.execute(f"{sql} RETURNING turn", *values):
        raise Met  # the same message, accepted elsewhere in this very moment: undo, and look again
    await store(tx, about, row["version"], [message], 0)
    fold(before.task, message)
    if row["version"] - before.body_version >= LAG:
        # or each of very many messages would read all those before it
        before.body_version = row["version"]
        body = before.task.SerializeToString()
        await tx.execute("UPDATE tasks SET body = ?, body_version = version WHERE id = ?", body, about)
    if ask.push is not None:
        before.pushes += await keep(tx, about, ask.push)
        await tx.execute("UPDATE tasks SET pushes = ? WHERE id = ?", before.pushes, about)
    claim = await _to_be_worked_on(tx, desk, before) if before.work == "parked" else None
    tx.wake(about)
    return Accepted(turn, before, True, _envelope(turn, message, ask), claim)


async def _to_be_worked_on(tx: Transaction, desk: Desk, parked: Snapshot) -> Claim | None:
    """A parked task has work again: leased at once by this replica, or queued for any.

    From this moment it is worked on, for whoever looks: while it still asked, a client that polls would take that for the next question.
    """
    task = parked.task
    goes_on = status(task.id, task.context_id, WORKING)
    fold(task, goes_on)
    parked.version += 1
    await store(tx, task.id, parked.version, [goes_on], 0)
    if parked.pushes:
        await announce(tx, desk.agent, task.id, parked.version, [goes_on])
    since = (parked.version, state_name(WORKING), instant(goes_on.status.timestamp))
    if desk.lease is None:
        parked.work = "queued"
        await tx.execute(f"{_GOES_ON} work = 'queued', due = EPOCH() WHERE id = ?", *since, task.id)
        tx.wake(desk.agent)
        return None
    parked.work, parked.token, parked.holder, parked.claims = "running", parked.token + 1, desk.holder, 0
    await tx.execute(
        f"{_GOES_ON} work = 'running', holder = ?, token = ?, lease_until = EPOCH() + ?, claims = 0 WHERE id = ?",
        *(*since, desk.holder, parked.token, desk.lease, task.id),
    )
    return Claim(task.id, parked.token)


async def signal(tx: Transaction, agent: str, task_id: str, name: str) -> bool:
    """Put a message of our own into a task's inbox, in the transaction that causes it: `name` says which, once.

    It has no words and no place in the history, and no owner: so no client's message can have its name before it. What the work goes on
    for is what it began for: the chain of agents above, the priority, the limits. False when the task is unknown or has ended.
    """
    rows = await tx.execute(
        "UPDATE tasks SET version = version + 1, asked = asked + 1,"
        " due = CASE WHEN work = 'parked' THEN EPOCH() ELSE due END,"
        " work = CASE WHEN work = 'parked' THEN 'queued' ELSE work END"
        " WHERE id = ? AND agent = ? AND work <> 'ended' RETURNING asked",
        *(task_id, agent),
    )
    if not rows:
        return False
    first = await first_headers(tx, task_id)
    began = {header: first[header] for header in BEGAN if header in first}
    message, around = (
        Message(message_id=name, task_id=task_id),
        {**began, **of_trace(first), **modes_of(first)},
    )
    await tx.execute(
        "INSERT INTO inbox (agent, owner, message_id, about, digest, task_id, turn, body, headers, until)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0.0)",
        *(agent, "", name, task_id, b"", task_id, rows[0]["asked"]),
        *(message.SerializeToString(), json.dumps(around)),
    )
    tx.wake(agent)
    tx.wake(task_id)
    return True


async def trace_of(tx: Transaction, task_id: str) -> dict[str, str]:
    """The headers of the trace in which a task began."""
    return of_trace(await first_headers(tx, task_id))


async def first_headers(tx: Transaction, task_id: str) -> dict[str, str]:
    """What came with the message that made a task."""
    rows = await tx.execute("SELECT headers FROM inbox WHERE task_id = ? AND turn = 1", task_id)
    return dict(json.loads(rows[0]["headers"])) if rows else {}


_GOES_ON = "UPDATE tasks SET version = ?, state = ?, updated = ?,"
_NEW_MESSAGE = (
    "INSERT INTO inbox (agent, owner, message_id, about, digest, task_id, turn, body, headers, until)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, EPOCH() + ?) ON CONFLICT DO NOTHING"
)
_NEW_TASK = (
    "INSERT INTO tasks (id, agent, owner, context_id, state, version, body, body_version, created, updated, asked, answered,"
    " work, due, holder, token, lease_until, claims, why, pushes)"
    " VALUES (?, ?, ?, ?, ?, 1, ?, 1, EPOCH(), ?, 1, 0, ?, EPOCH(), ?, 1, EPOCH() + ?, 0, '', ?)"
)


def _into_inbox(desk: Desk, ask: Ask, message: Message, about: str, digest: bytes, turn: int) -> Statement:
    """Puts a message into the inbox, unless the same message (by its key) is there already."""
    key = (desk.agent, ask.owner, message.message_id, about, digest, message.task_id, turn)
    around = to_json({"caller": ask.caller, **ask.headers})
    left = ask.seconds - (time.monotonic() - ask.read)
    return _NEW_MESSAGE, (*key, message.SerializeToString(), around.decode(), left)


async def _again(tx: Transaction, desk: Desk, ask: Ask, about: str, digest: bytes) -> Accepted:
    """The task that the same message made or followed up before."""
    rows = await tx.execute(
        "SELECT digest, task_id, turn FROM inbox WHERE agent = ? AND owner = ? AND message_id = ? AND about = ?",
        *(desk.agent, ask.owner, ask.message.message_id, about),
    )
    if not rows:
        raise Met  # purged in this very moment
    if bytes(rows[0]["digest"]) != digest:
        raise InvalidRequest(
            f"messageId {ask.message.message_id!r} was used before, with another content; a new message needs a new id"
        )
    found = await find(tx, desk.agent, ask.owner, rows[0]["task_id"])
    if found is None:
        raise NotFound("the task of this message is no longer kept")
    if ask.push is not None:
        # where word is to go is no part of the message: whoever says it only now is told from now on
        await attach(tx, desk.agent, ask.owner, named(ask.push, found.task.id))
    return Accepted(rows[0]["turn"], found, False)


def _digest(message: Message) -> bytes:
    return hashlib.sha256(message.SerializeToString(deterministic=True)).digest()


def _envelope(turn: int, message: Message, ask: Ask) -> Envelope:
    return Envelope(turn, message, ask.headers, ask.caller, ask.seconds, read=ask.read)
