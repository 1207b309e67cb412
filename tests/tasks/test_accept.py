"""Accepting: stored before it is acknowledged, once for each message, whoever sends it how often to which replica."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from a2a.types import TaskState
from a2a.utils.errors import (
    InternalError,
    InvalidParamsError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from meshwright.inbound.busy import Busy
from meshwright.tasks import accept
from meshwright.tasks.snapshot import LAG

DONE, ASKS = TaskState.TASK_STATE_COMPLETED, TaskState.TASK_STATE_INPUT_REQUIRED


async def test_a_message_is_worked_on_and_answered(start: Any) -> None:
    one = await start()
    task = await one.send("hi")
    assert (task.status.state, task.artifacts[0].parts[0].text) == (DONE, "echo hi")
    assert [m.parts[0].text for m in task.history] == ["hi"]
    assert (await one.get(task.id)) == task


async def test_the_same_message_is_the_first_task_wherever_it_is_sent(start: Any) -> None:
    replicas = [await start() for _ in range(3)]
    sent = (replicas[n % 3].send("hi", message_id="same") for n in range(12))
    tasks = await asyncio.gather(*sent)
    assert len({task.id for task in tasks}) == 1
    assert {task.status.state for task in tasks} == {DONE}
    assert sum(len(replica.work.heard) for replica in replicas) == 1


async def test_however_many_messages_wait_the_next_one_does_not_read_them_all_from_the_log(
    start: Any,
) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    for number in range(LAG * 3):
        await two.send(f"more {number}", wait=False, task_id=task.id)
        (row,) = await two.database.execute("SELECT version, body_version FROM tasks WHERE id = ?", task.id)
        assert row["version"] - row["body_version"] < LAG
    one.work.gate.set()
    end = await one.rest(task.id)
    assert [m.parts[0].text for m in end.history] == ["hold", *(f"more {n}" for n in range(LAG * 3))]
    assert len(end.artifacts) == 1 + LAG * 3


async def test_only_so_many_messages_wait_for_one_task_and_the_next_is_to_come_back_later(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "WAITING", 3)
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    for number in range(2):
        await two.send(f"more {number}", wait=False, task_id=task.id)
    with pytest.raises(Busy, match="3 messages wait for the task") as refused:
        await two.send("too much", message_id="later", wait=False, task_id=task.id)
    assert (refused.value.status, refused.value.retry_after) == (429, 5)
    await two.send("more 1", message_id="later", wait=False)  # of another task it is no concern
    one.work.gate.set()
    await one.rest(task.id)
    assert one.work.heard == ["hold", "more 0", "more 1"]


async def test_the_same_id_with_other_words_is_refused_and_says_so(start: Any) -> None:
    one, two = await start(), await start()
    await one.send("hi", message_id="same")
    with pytest.raises(InvalidParamsError, match="used before, with another content"):
        await two.send("something else", message_id="same")


async def test_the_same_id_of_another_caller_tenant_or_context_is_another_message(start: Any) -> None:
    one = await start()
    tasks = [
        await one.send("hi", message_id="same"),
        await one.send("hi", message_id="same", who="ann"),
        await one.send("hi", message_id="same", tenant="t"),
        await one.send("hi", message_id="same", context_id="c"),
    ]
    assert len({task.id for task in tasks}) == 4


async def test_the_parts_of_a_key_cannot_be_confused(start: Any) -> None:
    one = await start()
    first = await one.send("hi", message_id="same", tenant="a", who="b/c")
    second = await one.send("hi", message_id="same", tenant="a/b", who="c")
    assert first.id != second.id


async def test_a_follow_up_goes_on_where_the_task_waits_and_keeps_its_context(start: Any) -> None:
    one, two = await start(), await start()
    asked = await one.send("ask me")
    assert asked.status.state == ASKS
    done = await two.send("here you are", task_id=asked.id)
    assert (done.id, done.context_id, done.status.state) == (asked.id, asked.context_id, DONE)
    assert [m.parts[0].text for m in done.history] == ["ask me", "here you are"]
    assert {m.context_id for m in done.history} == {asked.context_id}


async def test_follow_ups_at_the_same_time_are_worked_off_one_by_one_and_none_is_lost(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask first")
    words = [f"ask {n}" for n in range(8)]
    answers = await asyncio.gather(
        *((one, two)[n % 2].send(text, task_id=task.id) for n, text in enumerate(words))
    )
    words.append("last")  # not among them: once the task has ended, the next message is rightly refused
    answers.append(await two.send("last", task_id=task.id))
    end = await one.rest(task.id)
    assert sorted(m.parts[0].text for m in end.history) == sorted(["ask first", *words])
    assert sorted(one.work.heard + two.work.heard) == sorted(["ask first", *words])
    assert {answer.id for answer in answers} == {task.id}
    assert len(end.artifacts) == len(words) + 1


async def test_the_same_follow_up_twice_is_one(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask")
    again = [r.send("ask again", task_id=task.id, message_id="same") for r in (one, two, one, two)]
    await asyncio.gather(*again)
    assert (one.work.heard + two.work.heard).count("ask again") == 1


async def test_a_task_with_a_message_waiting_does_not_end_before_it_is_worked_off(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    late = asyncio.ensure_future(two.send("and this", task_id=task.id))
    with two.book.feed.bell(task.id) as bell:
        while (await two.book.get(task.id, None)).asked < 2:
            await bell.wait()
            bell.clear()
    one.work.gate.set()
    end = await late
    assert end.status.state == DONE
    assert one.work.heard == ["hold", "and this"]
    assert [a.parts[0].text for a in end.artifacts] == ["echo hold", "echo and this"]


async def test_what_cannot_be_is_said(start: Any) -> None:
    one = await start()
    done = await one.send("hi")
    asks = await one.send("ask")
    with pytest.raises(UnsupportedOperationError, match="completed"):
        await one.send("more", task_id=done.id)
    with pytest.raises(TaskNotFoundError):
        await one.send("more", task_id="nothing")
    with pytest.raises(TaskNotFoundError):
        await one.send("more", task_id=asks.id, who="somebody else")
    with pytest.raises(InvalidParamsError, match="context"):
        await one.send("more", task_id=asks.id, context_id="another")
    assert (await one.book.get(asks.id, None)).asked == 1


@pytest.mark.parametrize(
    "fields",
    [{"message_id": ""}, {"message_id": "x" * 129}, {"message_id": "a\0b"}, {"context_id": "c" * 129}],
)
async def test_a_message_that_no_task_should_be_made_of_is_refused(start: Any, fields: Any) -> None:
    one = await start()
    with pytest.raises(InvalidParamsError):
        await one.send("hi", **fields)
    assert (await one.list()).total_size == 0


async def test_ids_of_128_characters_are_kept_as_they_are(start: Any) -> None:
    one = await start()
    task = await one.send("hi", message_id="m" * 128, context_id="c" * 128)
    assert (await one.get(task.id)).context_id == "c" * 128


async def test_nothing_is_acknowledged_that_is_not_stored(start: Any) -> None:
    one, two = await start(), await start()
    await one.database.close()
    with pytest.raises(InternalError, match="database"):
        await one.send("hi")
    assert (await two.list()).total_size == 0
