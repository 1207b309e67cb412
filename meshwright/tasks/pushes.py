"""Push notification configurations, and the notifications themselves: rows of the outbox, written with the event they tell of."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from a2a.types import (
    ListTaskPushNotificationConfigsResponse,
    StreamResponse,
    Task,
    TaskArtifactUpdateEvent,
    TaskPushNotificationConfig,
    TaskStatusUpdateEvent,
)

from meshwright.errors import InvalidRequest, NotFound
from meshwright.protojson import to_dict
from meshwright.tasks.events import Event
from meshwright.tasks.ids import new_id
from meshwright.tasks.snapshot import find

if TYPE_CHECKING:
    from meshwright.database import Statement, Transaction
    from meshwright.tasks.book import TaskBook

#: The name under which it stands among the headers of a message that it came in A2A 0.3. No header of a request is kept under it.
LEGACY = "mesh-a2a-0.3"
#: Configurations of one task: each costs the transaction that ends a turn a row for each of its events.
MOST = 32
#: What a notification holds.
Told = TaskStatusUpdateEvent | TaskArtifactUpdateEvent | Task
#: Says why no notification may go to an address; an empty string lets it.
Screen = Callable[[str], Awaitable[str]]


async def keep(tx: Transaction, task_id: str, config: TaskPushNotificationConfig) -> int:
    """Store a configuration under its id (the task's, if it has none). Returns 1 if it is a new one, else 0.

    Raises InvalidRequest for one too many.
    """
    config = named(config, task_id)
    known = {row["id"] for row in await tx.execute("SELECT id FROM push_configs WHERE task_id = ?", task_id)}
    if config.id not in known and len(known) >= MOST:
        raise InvalidRequest(
            f"a task has at most {MOST} push configurations: delete one, or replace it by its id"
        )
    await tx.execute(
        "INSERT INTO push_configs (task_id, id, body) VALUES (?, ?, ?)"
        " ON CONFLICT (task_id, id) DO UPDATE SET body = excluded.body",
        *(task_id, config.id, config.SerializeToString()),
    )
    return 0 if config.id in known else 1


def kept_first(task_id: str, config: TaskPushNotificationConfig) -> Statement:
    """The statement that stores the one configuration of a task that is new."""
    config = named(config, task_id)
    return (
        "INSERT INTO push_configs (task_id, id, body) VALUES (?, ?, ?)",
        (task_id, config.id, config.SerializeToString()),
    )


def named(config: TaskPushNotificationConfig, task_id: str) -> TaskPushNotificationConfig:
    """A copy of `config` as it is stored: with the task's id, and that as its own where it has none."""
    copy = TaskPushNotificationConfig()
    copy.CopyFrom(config)
    copy.task_id = task_id
    copy.id = copy.id or task_id
    return copy


async def kept(tx: Transaction, task_id: str) -> list[TaskPushNotificationConfig]:
    rows = await tx.execute("SELECT body FROM push_configs WHERE task_id = ? ORDER BY id", task_id)
    return [TaskPushNotificationConfig.FromString(bytes(row["body"])) for row in rows]


def page(
    configs: Iterable[TaskPushNotificationConfig], size: int, token: str
) -> ListTaskPushNotificationConfigsResponse:
    """Those after the one that `token` names, in the order of their ids; at most `size` (0: all)."""
    further = sorted((config for config in configs if config.id > token), key=lambda config: config.id)
    shown = further[: size or None]
    more = shown[-1].id if len(shown) < len(further) else ""
    return ListTaskPushNotificationConfigsResponse(configs=shown, next_page_token=more)


async def forget(tx: Transaction, task_id: str, config_id: str) -> bool:
    rows = await tx.execute(
        "DELETE FROM push_configs WHERE task_id = ? AND id = ? RETURNING id", task_id, config_id
    )
    return bool(rows)


async def announce(tx: Transaction, agent: str, task_id: str, version: int, events: Sequence[Event]) -> None:
    """One outbox row for each event and configuration; the courier delivers them."""
    for config in await kept(tx, task_id):
        for place, event in enumerate(events):
            if isinstance(event, TaskStatusUpdateEvent | TaskArtifactUpdateEvent):
                await _post(tx, agent, config, f"{version + place:08d}", event)
    tx.wake(f"{agent}:outbox")


async def _post(
    tx: Transaction, agent: str, config: TaskPushNotificationConfig, place: str, told: Told
) -> None:
    """One notification. The names of a configuration's, in their order, are the order in which they go out."""
    await tx.execute(
        "INSERT INTO outbox (id, agent, task_id, kind, address, body, state, remote, answer, attempts, due, created, why)"
        " VALUES (?, ?, ?, 'push', ?, ?, 'open', ?, '', 0, EPOCH(), EPOCH(), '') ON CONFLICT (id) DO NOTHING",
        *(f"{config.task_id}:{place}:{config.id}", agent, config.task_id, config.url),
        *(json.dumps(_notification(told)), config.id),
    )


def _notification(told: Told) -> dict[str, Any]:
    """The JSON of a StreamResponse that holds what is told."""
    if isinstance(told, TaskStatusUpdateEvent):
        return dict(to_dict(StreamResponse(status_update=told)))
    if isinstance(told, TaskArtifactUpdateEvent):
        return dict(to_dict(StreamResponse(artifact_update=told)))
    return dict(to_dict(StreamResponse(task=told)))


async def add(book: TaskBook, config: TaskPushNotificationConfig, owner: str) -> TaskPushNotificationConfig:
    """Store a configuration for one of the owner's tasks: a new one, unless it has the id of one that is there. Raises NotFound."""
    made = named(config, config.task_id)
    made.id = config.id or new_id()
    if not await book.database.write(lambda tx: attach(tx, book.agent, owner, made)):
        raise NotFound(f"there is no task {config.task_id[:128]!r}")
    return made


async def attach(tx: Transaction, agent: str, owner: str, config: TaskPushNotificationConfig) -> bool:
    """Store a configuration that has its ids for the owner's task. False if there is no such task.

    Of a task that says nothing more by itself, because it has ended or waits for an answer, word goes out as it stands: it may have come
    there while its client was on the way to ask for word of it. The same configuration again is nothing new.
    """
    rows = await tx.execute(  # takes the row: whoever works on it reads the count with its next write
        "UPDATE tasks SET pushes = pushes WHERE id = ? AND agent = ? AND owner = ? RETURNING id",
        *(config.task_id, agent, owner),
    )
    if not rows:
        return False
    known = {each.id: each for each in await kept(tx, config.task_id)}
    if known.get(config.id) == config:
        return True
    fresh = await keep(tx, config.task_id, config)
    await tx.execute("UPDATE tasks SET pushes = pushes + ? WHERE id = ?", fresh, config.task_id)
    found = await find(tx, agent, owner, config.task_id)
    if found is not None and found.work in ("ended", "parked"):
        name = sha256(config.SerializeToString(deterministic=True)).hexdigest()[:12]
        await _post(tx, agent, config, f"{found.version:08d}:{name}", found.task)
        tx.wake(f"{agent}:outbox")
    return True
