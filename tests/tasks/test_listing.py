"""The list of tasks: by the time of their status, and no more than was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

from a2a.types import Task
from google.protobuf.timestamp_pb2 import Timestamp


def stamps(tasks: Any) -> list[int]:
    return [task.status.timestamp.ToNanoseconds() for task in tasks]


def later(task: Task, nanos: int) -> Timestamp:
    moment = Timestamp()
    moment.FromNanoseconds(task.status.timestamp.ToNanoseconds() + nanos)
    return moment


async def test_tasks_that_end_together_are_listed_by_their_status_the_latest_first(start: Any) -> None:
    one, two = await start(), await start()
    await asyncio.gather(*((one, two)[n % 2].send(f"hi {n}") for n in range(40)))
    seen, token = [], ""
    while not seen or token:
        page = await two.list(page_size=7, page_token=token)
        seen += page.tasks
        token = page.next_page_token
    assert len({task.id for task in seen}) == 40
    assert stamps(seen) == sorted(stamps(seen), reverse=True)


async def test_a_task_whose_status_is_older_than_asked_for_is_left_out(start: Any) -> None:
    one = await start()
    task = await one.send("hi")
    assert (await one.list(status_timestamp_after=later(task, 0))).total_size == 1
    assert (await one.list(status_timestamp_after=later(task, 1000))).total_size == 0


async def test_a_cancelled_task_is_listed_by_its_cancellation(start: Any) -> None:
    one = await start()
    first = await one.send("ask")
    second = await one.send("hi")
    cancelled = await one.cancel(first.id)
    assert [task.id for task in (await one.list()).tasks] == [first.id, second.id]
    assert (await one.list(status_timestamp_after=later(cancelled, 0))).total_size == 1
    assert (await one.list(status_timestamp_after=later(cancelled, 1000))).total_size == 0


async def test_a_message_that_changes_no_status_yet_does_not_move_a_task_in_the_list(start: Any) -> None:
    one = await start()
    held = await one.send("hold", wait=False)
    await one.work.began.wait()
    ended = await one.send("hi")
    await one.send("more", task_id=held.id, wait=False)
    assert [task.id for task in (await one.list()).tasks] == [ended.id, held.id]
    one.work.gate.set()
    await one.rest(held.id)


async def test_tasks_that_come_between_two_pages_are_not_on_the_later_ones(start: Any) -> None:
    one, two = await start(), await start()
    made = [(await one.send(f"hi {n}")).id for n in range(5)]
    first = await one.list(page_size=3)
    fresh = [(await two.send(f"late {n}")).id for n in range(3)]
    rest = await two.list(page_size=100, page_token=first.next_page_token)
    assert [task.id for task in (*first.tasks, *rest.tasks)] == made[::-1]
    assert not {task.id for task in rest.tasks} & set(fresh)
