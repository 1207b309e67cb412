"""Leases: one holder at a time, and whoever lost the task can write nothing to it, whatever it believes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from a2a.types import TaskState
from a2a.utils.errors import TaskNotCancelableError

from meshwright.database import Database
from meshwright.errors import LeaseLost, StoreUnavailable
from meshwright.tasks import lease
from meshwright.tasks.events import Event, status
from meshwright.tasks.outbox import Outbox
from meshwright.tasks.snapshot import Claim
from meshwright.tasks.turn import Turn
from meshwright.tasks.worker import TAKE
from tests.tasks.conftest import Replica, Work

DONE = TaskState.TASK_STATE_COMPLETED


async def test_a_task_whose_holder_died_is_finished_by_another(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    await one.crash()
    two.work.gate.set()
    await two.take()
    end = await two.rest(task.id)
    assert (end.status.state, end.artifacts[0].parts[0].text) == (DONE, "echo hold")


async def test_a_queue_that_takes_longer_to_take_than_a_lease_lasts_is_left_for_the_heartbeat(
    start: Any,
) -> None:
    full = await start(at_once=0)
    for number in range(TAKE + 5):
        await full.send(f"hold {number}", wait=False)
    two = await start()
    await two.take(until=0.0)  # the time is up as soon as it looks
    assert two.worker.running == TAKE
    await two.take()
    assert two.worker.running == TAKE + 5


async def test_who_was_paused_and_wakes_up_can_write_nothing(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    held = one.worker._held[task.id]
    await one.expire()
    two.work.gate.set()
    await two.take()
    end = await two.rest(task.id)
    with pytest.raises(LeaseLost):
        await held.append([status(task.id, task.context_id, TaskState.TASK_STATE_FAILED)], ends=1)
    assert held.moved
    with pytest.raises(LeaseLost):
        await Outbox(one.database, "echo", held.claim).post("letter", "http://x", {})
    with pytest.raises(LeaseLost):
        await one.database.write(lambda tx: lease.check(tx, held.claim))
    one.work.gate.set()
    while one.worker.running:
        await asyncio.sleep(0)
    assert await two.get(task.id) == end


async def test_who_was_paused_writes_nothing_while_the_next_holder_has_written_nothing_yet(
    start: Any,
) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    held = one.worker._held[task.id]
    await one.expire()
    await two.take()
    await two.work.began.wait()
    before = await two.get(task.id)  # the log stands where it stood: only the token is another
    with pytest.raises(LeaseLost):
        await held.append([status(task.id, task.context_id, TaskState.TASK_STATE_FAILED)], ends=1)
    assert await two.get(task.id) == before
    two.work.gate.set()
    assert (await two.rest(task.id)).status.state == DONE


async def test_of_many_who_want_a_task_one_gets_it(start: Any) -> None:
    replicas = [await start() for _ in range(4)]
    first = replicas[0]
    task = await first.send("hold", wait=False)
    await first.work.began.wait()
    await first.expire()
    claims = await asyncio.gather(
        *(
            r.database.write(lambda tx, r=r: lease.claim(tx, "echo", r.worker.holder, 60, 5))
            for r in replicas[1:]
        )
    )
    assert [len(c) for c in claims].count(1) == 1
    assert sum(len(c) for c in claims) == 1
    assert [c for taken in claims for c in taken] == [Claim(task.id, 2)]


async def test_no_more_is_taken_than_there_is_room_for_also_where_the_database_expects_few(
    start: Any,
) -> None:
    full, two = await start(at_once=0), await start()
    await full.send("hold", wait=False)
    await two.take()
    await two.database.execute("ANALYZE tasks")  # as it does by itself now and then
    for _ in range(6):
        await full.send("hold", wait=False)
    assert len(await two.database.write(lambda tx: lease.claim(tx, "echo", "two", 60.0, 2))) == 2


async def test_a_heartbeat_keeps_the_lease_longer_than_the_lease(start: Any) -> None:
    one = await start(keeping=True, lease=0.3)
    two = await start(keeping=True, lease=0.3)
    task = await one.send("hold", wait=False)
    row = "SELECT lease_until, holder FROM tasks WHERE id = ?"
    first = (await one.database.execute(row, task.id))[0]["lease_until"]
    while (await one.database.execute(row, task.id))[0]["lease_until"] < first + 0.6:
        await asyncio.sleep(0)
    assert (await one.database.execute(row, task.id))[0]["holder"] == one.worker.holder
    one.work.gate.set()
    assert (await one.rest(task.id)).status.state == DONE
    assert two.work.heard == []


async def test_a_lease_that_ran_out_is_found_without_being_told(start: Any) -> None:
    one, two = await start(), await start(keeping=True, lease=0.3)
    two.work.gate.set()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    await one.crash()
    assert (await two.rest(task.id)).status.state == DONE


async def test_a_task_over_which_one_process_after_the_other_dies_ends_with_the_reason(start: Any) -> None:
    told = []

    async def on_end(tx: Any, task_id: str, state: str, why: str, late: Any) -> None:
        told.append((task_id, state))

    task = None
    for _ in range(4):
        one = await start(claims=3)
        if task is None:
            task = await one.send("hold", wait=False)
        else:
            await one.take()
        await one.work.began.wait()
        await one.crash()
    last = await start(claims=3, on_end=on_end)
    await last.take()
    end = await last.rest(task.id)
    assert end.status.state == TaskState.TASK_STATE_FAILED
    assert "4 processes in a row" in end.status.message.parts[0].text
    assert told == [(task.id, "failed")]
    assert last.work.heard == []


async def test_what_kills_its_processes_takes_none_along_of_those_that_were_in_hand_each_time(
    start: Any,
) -> None:
    one = await start(claims=4)
    tasks = {text: (await one.send(text, wait=False)).id for text in ("hold poison", "hold a", "hold b")}
    for _ in range(4):
        await one.crash()
        one = await start(claims=4)
        await one.take()
        assert tasks["hold poison"] in one.worker._held
    await one.crash()
    last = await start(claims=4, keeping=True)
    last.work.gate.set()
    ends = {text: (await last.rest(task_id)).status.state for text, task_id in tasks.items()}
    assert ends == {"hold poison": TaskState.TASK_STATE_FAILED, "hold a": DONE, "hold b": DONE}


async def test_what_has_come_further_keeps_no_others_waiting_over_which_as_many_died(start: Any) -> None:
    one = await start(claims=4)
    for text in ("hold a", "hold b"):
        await one.send(text, wait=False)
    for _ in range(2):
        await one.crash()
        one = await start(claims=4)
        await one.take()
    assert one.worker.running == 1
    (first,) = one.worker._held.values()
    await one.database.write(lambda tx: lease.check(tx, first.claim, progress=True))
    await one.take()
    assert one.worker.running == 2


async def test_progress_clears_what_earlier_deaths_said_against_a_task(start: Any) -> None:
    one = await start()
    task = await one.send("hold", wait=False)
    await one.database.execute("UPDATE tasks SET claims = 2 WHERE id = ?", task.id)
    await one.database.write(lambda tx: lease.check(tx, Claim(task.id, 1)))
    assert (await one.book.get(task.id, None)).claims == 2
    await one.database.write(lambda tx: lease.check(tx, Claim(task.id, 1), progress=True))
    assert (await one.book.get(task.id, None)).claims == 0


async def test_work_that_breaks_its_own_server_counts_as_a_try_and_is_given_up(start: Any) -> None:
    one = await start(keeping=True, lease=0.2, claims=1)
    task = await one.send("break", wait=False)
    end = await one.rest(task.id)
    assert end.status.state == TaskState.TASK_STATE_FAILED
    assert one.work.heard == ["break", "break"]


async def test_what_is_put_back_waits_for_its_time_with_a_reason_and_is_taken_then(start: Any) -> None:
    one = await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    claim = one.worker._held[task.id].claim
    await one.database.write(lambda tx: lease.release(tx, "echo", [claim], seconds=60, why="newer build"))
    one.worker.let_go(task.id)
    two = await start()
    two.work.gate.set()
    await two.take()
    snapshot = await two.book.get(task.id, None)
    assert (snapshot.work, snapshot.why, two.work.heard) == ("queued", "newer build", [])
    await two.database.execute("UPDATE tasks SET due = 0.0 WHERE id = ?", task.id)
    await two.take()
    assert (await two.rest(task.id)).status.state == DONE


async def test_a_cancel_on_another_replica_stops_the_work_and_what_comes_late_changes_nothing(
    start: Any,
) -> None:
    one, two = await start(keeping=True, lease=0.3), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    canceled = await two.cancel(task.id)
    assert canceled.status.state == TaskState.TASK_STATE_CANCELED
    while one.worker.running:
        await asyncio.sleep(0)
    one.work.gate.set()
    assert await one.get(task.id) == await two.get(task.id) == canceled
    with pytest.raises(TaskNotCancelableError):
        await one.cancel(task.id)


async def test_no_task_is_without_an_owner_a_place_in_the_queue_or_a_wait(start: Any) -> None:
    one = await start(at_once=2)
    for text in ("hold", "hold", "hold", "hi"):
        await one.send(text, wait=False)
    rows = await one.database.execute("SELECT work, holder FROM tasks ORDER BY created")
    assert [row["work"] for row in rows] == ["running", "running", "queued", "queued"]
    one.work.gate.set()
    one.worker.start()
    for task in (await one.list()).tasks:
        assert (await one.rest(task.id)).status.state == DONE


async def test_a_stopping_replica_hands_over_at_once(start: Any) -> None:
    one, two = await start(keeping=True), await start(keeping=True)
    two.work.gate.set()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    await one.worker.drain(0)
    assert (await two.rest(task.id)).status.state == DONE
    assert (one.work.heard, two.work.heard) == (["hold"], ["hold"])


async def test_a_stopping_replica_finishes_what_it_can_within_the_grace(start: Any) -> None:
    one, two = await start(keeping=True), await start(keeping=True)
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    draining = asyncio.ensure_future(one.worker.drain(30))
    await asyncio.sleep(0)
    one.work.gate.set()
    await draining
    assert (await two.get(task.id)).status.state == DONE
    assert two.work.heard == []


async def test_what_a_stopping_replica_accepts_is_queued_for_the_others(start: Any) -> None:
    one, two = await start(), await start(keeping=True)
    await one.worker.drain(0)
    task = await one.send("hi", wait=False)
    assert (await two.rest(task.id)).status.state == DONE


async def test_a_blocking_call_is_answered_although_its_holder_was_replaced(start: Any) -> None:
    one, two = await start(), await start()
    two.work.gate.set()
    asking = asyncio.ensure_future(one.send("hold", message_id="m"))
    await one.work.began.wait()
    await one.expire()
    one.worker.let_go(next(iter(one.worker._held)))
    await two.take()
    assert (await asking).status.state == DONE


async def test_a_replica_knows_when_there_is_something_to_take(start: Any) -> None:
    one, two = await start(), await start(lease=50.0)

    async def soon() -> float | None:
        return await two.database.read(lambda tx: lease.next_claim(tx, "echo"))

    assert await soon() is None
    task = await one.send("hold", wait=False)  # its lease has 60 s
    await one.work.began.wait()
    assert 50 < (await soon() or 0) <= 60
    other = await two.send("hold", wait=False)
    assert 40 < (await soon() or 0) <= 50
    held = two.worker._held[other.id].claim
    await two.database.write(lambda tx: lease.release(tx, "echo", [held], seconds=20.0))
    assert 10 < (await soon() or 0) <= 20
    await one.expire()
    assert await soon() == 0
    assert await two.database.read(lambda tx: lease.next_claim(tx, "another")) is None
    assert task.id in one.worker._held


@pytest.mark.parametrize(
    ("soon", "rest"),
    [(None, 3.0), (60.0, 3.0), (0.5, 0.5), (0, 1.0)],
    ids=["nothing", "late", "soon", "taken"],
)
async def test_who_holds_nothing_rests_until_then_and_never_longer_than_a_lease(
    start: Any, soon: float | None, rest: float
) -> None:
    assert (await start(lease=3.0)).worker._rest(soon) == rest


async def test_the_first_task_after_a_rest_has_its_heartbeat_in_time(start: Any) -> None:
    one = await start(keeping=True, lease=30.0)
    while not one.worker._looks:  # it has looked, found nothing, and rests for 30 s
        await asyncio.sleep(0)
    await one.send("hold", wait=False)
    begun = asyncio.get_running_loop().time()
    while one.worker._looks > begun + 20.0:  # it stays at 30 if nothing makes it look
        await asyncio.sleep(0)


async def test_who_lost_a_task_to_another_replica_knows_that_it_goes_on_there(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    held = one.worker._held[task.id]
    await one.expire()
    await two.take()
    await two.work.began.wait()
    await one.worker._renew()
    assert held.moved
    two.work.gate.set()
    await two.rest(task.id)


async def test_who_lost_a_task_to_a_cancel_through_another_replica_knows_that_nobody_wants_it(
    start: Any,
) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    held = one.worker._held[task.id]
    await two.cancel(task.id)
    await one.worker._renew()
    assert not one.worker._held
    assert not held.moved


async def test_a_task_that_is_handed_over_goes_on(start: Any) -> None:
    one = await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    held = one.worker._held[task.id]
    await one.worker.drain(0)
    assert held.moved


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE tasks SET body = ? WHERE id = ?",
        "UPDATE inbox SET body = ? WHERE task_id = ?",
        "UPDATE inbox SET headers = ? WHERE task_id = ?",
    ],
    ids=["task", "message", "headers"],
)
async def test_a_row_that_cannot_be_read_is_put_back_with_the_reason_and_holds_nobody_up(
    start: Any, spoil: str
) -> None:
    full = await start(at_once=0)
    bad, good = await full.send("a", wait=False), await full.send("b", wait=False)
    await full.database.execute(spoil, "\x0f{" if "headers" in spoil else b"\xff\xff{", bad.id)
    two = await start()
    await two.take()
    assert (await two.rest(good.id)).status.state == DONE
    (row,) = await two.database.execute("SELECT work, why FROM tasks WHERE id = ?", bad.id)
    assert row["work"] == "queued"
    assert row["why"].startswith("its row cannot be read")


class OffAndOn(Work):
    """Its database is away, five times; then it is back."""

    async def perform(self, turn: Turn) -> Sequence[Event]:
        if len(self.heard) < 5:
            self.heard.append("away")
            raise StoreUnavailable("the database is gone")
        return await super().perform(turn)


async def test_a_database_that_is_away_now_and_then_counts_against_no_task(start: Any) -> None:
    one = await start(OffAndOn(), keeping=True, lease=0.3, claims=1)
    task = await one.send("hi", wait=False)
    assert (await one.rest(task.id)).status.state == DONE
    assert one.work.heard == ["away"] * 5 + ["hi"]


class Around:
    """A database, with something in front of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class SlowToTell(Around):
    """What it commits is told of only when the test lets it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.committed, self.told = asyncio.Event(), asyncio.Event()

    async def write(self, op: Any) -> Any:
        result = await self._database.write(op)
        self.committed.set()
        await self.told.wait()
        return result


async def test_what_a_replica_was_just_taking_when_it_stops_is_handed_over_too(start: Any) -> None:
    full, two = await start(at_once=0), await start()
    for _ in range(TAKE + 5):
        await full.send("hold", wait=False)
    slow = SlowToTell(two.database)
    one = Replica(cast("Database", slow), Work())
    one.worker.start()
    await slow.committed.wait()
    stopping = asyncio.ensure_future(one.worker.aclose())
    for _ in range(20):  # as far as it comes meanwhile
        await asyncio.sleep(0)
    slow.told.set()
    await stopping
    rows = await full.database.execute("SELECT work FROM tasks")
    assert [row["work"] for row in rows] == ["queued"] * (TAKE + 5)


class AwayOnce(Around):
    """It is away for one look, the fifth."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._looks = 0

    async def read(self, op: Any) -> Any:
        self._looks += 1
        if self._looks == 5:
            raise StoreUnavailable("the database is gone")
        return await self._database.read(op)


async def test_a_database_that_goes_away_while_a_queue_is_taken_counts_against_no_task(start: Any) -> None:
    full, two = await start(at_once=0), await start()
    tasks = [await full.send("hi", wait=False) for _ in range(TAKE)]
    one = Replica(cast("Database", AwayOnce(two.database)), Work(), lease=0.3, claims=0)
    one.worker.start()
    ends = [await full.rest(task.id) for task in tasks]
    await one.worker.aclose()
    assert [end.status.state for end in ends] == [DONE] * TAKE
