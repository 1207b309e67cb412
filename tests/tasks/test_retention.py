"""What goes and what stays: ended tasks with all that hangs on them, after their time; nothing that runs or waits."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import asyncpg
import pytest
from a2a.types import TaskPushNotificationConfig
from a2a.utils.errors import TaskNotFoundError

from meshwright.database import Database, Transaction, open_database
from meshwright.tasks import retention
from meshwright.tasks.retention import DAY, Sweeper, drop_checkpoints, purge
from tests.tasks.conftest import Replica, Work, context

TABLES = ("tasks", "events", "inbox", "outbox", "push_configs")


async def rows(replica: Replica, task_id: str) -> dict[str, int]:
    """How many rows each table has of a task."""
    found = {}
    for table in TABLES:
        column = "id" if table == "tasks" else "task_id"
        counted = await replica.database.execute(
            f"SELECT count(*) AS n FROM {table} WHERE {column} = ?", task_id
        )
        found[table] = counted[0]["n"]
    return found


async def aged(replica: Replica, days: float) -> None:
    await replica.database.execute("UPDATE tasks SET created = EPOCH() - ?", days * DAY)
    await replica.database.execute("UPDATE tasks SET updated = created")


async def test_an_ended_task_goes_with_all_that_hangs_on_it_and_is_not_known_any_more(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask")
    hook = TaskPushNotificationConfig(task_id=task.id, id="h", url="https://example.com/")
    await one.handler.on_create_task_push_notification_config(hook, context())
    await one.send("bye", task_id=task.id)
    assert all((await rows(one, task.id)).values())
    await aged(one, 31)
    assert await purge(one.database, 30 * DAY) == 1
    assert not any((await rows(two, task.id)).values())
    with pytest.raises(TaskNotFoundError):
        await two.get(task.id)


async def test_a_task_that_somebody_adds_to_goes_later_with_what_they_have_added(postgres: Any) -> None:
    one = Replica(await open_database(url := postgres()), Work())
    task = await one.send("bye")
    somebody = await asyncpg.connect(url)
    await somebody.execute("BEGIN; UPDATE tasks SET pushes = pushes + 1")
    await somebody.execute("INSERT INTO push_configs (task_id, id, body) VALUES ($1, 'h', '')", task.id)
    async with asyncio.timeout(10):
        assert await purge(one.database, -1.0) == 0
    await somebody.execute("COMMIT")
    await somebody.close()
    assert await purge(one.database, -1.0) == 1
    assert not any((await rows(one, task.id)).values())
    await one.database.close()


class GoneMeanwhile:
    """A database that finds the message of a task, once, which is removed before anybody looks at it."""

    def __init__(self, database: Database) -> None:
        self._database, self._found = database, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, op: Any) -> Any:
        async def after(tx: Transaction) -> Any:
            if not self._found:
                self._found = True
                return await op(Found(tx))
            return await op(tx)

        return await self._database.write(after)


class Found:
    def __init__(self, tx: Transaction) -> None:
        self.execute = tx.execute

    async def conclude(self, *_: Any, **__: Any) -> bool:
        return False


async def test_a_message_whose_task_is_purged_in_this_very_moment_makes_a_new_one(start: Any) -> None:
    one = Replica(cast("Database", GoneMeanwhile((await start()).database)), Work())
    assert (await one.send("hi")).artifacts[0].parts[0].text == "echo hi"
    await one.worker.aclose()


async def test_what_runs_waits_or_is_young_stays_however_old_the_rest_is(start: Any) -> None:
    one = await start()
    old = await one.send("hi")
    waiting = await one.send("ask")
    running = await one.send("hold", wait=False)
    await one.work.began.wait()
    await aged(one, 400)
    young = await one.send("hi")
    assert await purge(one.database, 30 * DAY) == 1
    for task in (waiting, running, young):
        assert (await one.get(task.id)).id == task.id
    with pytest.raises(TaskNotFoundError):
        await one.get(old.id)


async def test_who_follows_a_task_that_is_removed_before_its_end_was_told_hears_of_that(start: Any) -> None:
    one, two = await start(), await start()
    task = await two.send("hold", wait=False)
    following = one.subscribe(task.id)
    assert (await anext(following)).id == task.id
    two.work.gate.set()
    await two.rest(task.id)
    assert await purge(two.database, -1.0) == 1
    with pytest.raises(TaskNotFoundError, match="no longer kept"):
        await anext(following)


async def test_what_a_process_ended_whose_clock_is_far_behind_is_no_older_for_that(start: Any) -> None:
    one = await start()
    task = await one.send("hi")
    await one.database.execute("UPDATE tasks SET updated = 5.0")
    assert await purge(one.database, 30 * DAY) == 0
    assert (await one.get(task.id)).id == task.id


async def test_more_than_a_batch_goes_and_another_agents_tasks_stay(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    one = await start()
    for _ in range(8):
        await one.send("hi")
    await aged(one, 31)
    assert await purge(one.database, DAY, "somebody else") == 0
    assert await purge(one.database, DAY, "echo") == 8


async def test_checkpoints_of_runs_that_ended_go_and_those_of_others_stay(start: Any) -> None:
    one = await start()
    for name, ended in (("over", 5.0), ("open", None)):
        await one.database.execute(
            "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started, ended, report)"
            " VALUES (?, ?, '', '', 'done', '1', 1.0, ?, NULL)",
            *(name, name, ended),
        )
        await one.database.execute(
            "INSERT INTO run_checkpoints (thread, place, id, parent, body, notes) VALUES (?, '', '1', '', '{}', '{}')",
            name,
        )
    assert await drop_checkpoints(one.database) == 1
    left = await one.database.execute("SELECT thread FROM run_checkpoints")
    assert [row["thread"] for row in left] == ["open"]


async def test_a_server_sweeps_by_itself_and_not_only_after_an_hour(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SOON", 0.01)
    one = await start()
    task = await one.send("hi")
    await aged(one, 31)
    sweeper = Sweeper(one.database, "echo", 30.0)
    sweeper.start()
    async with asyncio.timeout(20):
        while any((await rows(one, task.id)).values()):
            await asyncio.sleep(0)
    await sweeper.aclose()


@pytest.mark.parametrize(("state", "left"), [("open", 1), ("sent", 0), ("dead", 0)])
@pytest.mark.parametrize("kind", ["push", "cancel"])
async def test_a_task_of_which_word_is_still_on_its_way_stays_until_that_is_over(
    start: Any, kind: str, state: str, left: int
) -> None:
    one = await start()
    task = await one.send("done")
    await one.database.execute(
        "INSERT INTO outbox (id, agent, task_id, kind, address, body, state, remote, answer, attempts, due, created, why)"
        " VALUES ('w', 'echo', ?, ?, 'http://peer', '{}', ?, 'theirs', '', 0, 0.0, 0.0, '')",
        *(task.id, kind, state),
    )
    await purge(one.database, -1.0)
    for table in ("tasks", "outbox"):
        assert (await one.database.execute(f"SELECT count(*) AS n FROM {table}"))[0]["n"] == left
