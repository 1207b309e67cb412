"""The operations of A2A on any replica: the same answer as from the one that holds the task."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from a2a.types import (
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    Task,
    TaskArtifactUpdateEvent,
    TaskPushNotificationConfig,
    TaskState,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import InvalidParamsError, TaskNotFoundError, UnsupportedOperationError

from meshwright.database import open_database
from meshwright.inbound.busy import Busy
from meshwright.tasks.events import Event, decode, fold, since, status
from meshwright.tasks.pushes import MOST
from meshwright.tasks.snapshot import COLUMNS, load
from meshwright.tasks.turn import Turn
from tests.tasks.conftest import Replica, Work, text_of

DONE = TaskState.TASK_STATE_COMPLETED


async def everything(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_a_stream_tells_the_task_first_then_what_happens_and_ends_with_it(start: Any) -> None:
    one = await start()
    events = await everything(one.stream("lines 3"))
    assert [type(e).__name__ for e in events] == [
        "Task",
        *["TaskStatusUpdateEvent"] * 3,
        "TaskArtifactUpdateEvent",
        "TaskStatusUpdateEvent",
    ]
    task = events[0]
    for event in events[1:]:
        fold(task, event)
    assert task == await one.get(task.id)


async def test_a_subscriber_on_another_replica_sees_what_the_holder_does(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    streams = [replica.subscribe(task.id) for replica in (one, two, two)]
    first = [await anext(stream) for stream in streams]
    one.work.gate.set()
    seen = [[task, *await everything(stream)] for task, stream in zip(first, streams, strict=True)]
    assert seen[0] == seen[1] == seen[2]
    assert isinstance(seen[0][0], Task)
    assert seen[0][-1].status.state == DONE


async def test_a_subscription_to_a_waiting_task_goes_on_with_its_next_message(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask")
    stream = two.subscribe(task.id)
    assert isinstance(await anext(stream), Task)
    await one.send("that is all", task_id=task.id)
    kinds = [e.status.state for e in await everything(stream) if isinstance(e, TaskStatusUpdateEvent)]
    assert kinds[-1] == DONE


async def test_a_task_that_was_answered_asks_no_more_from_that_moment_on(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask")
    one.work.gate.clear()
    answered = await one.send("hold", task_id=task.id, wait=False)
    assert answered.status.state == TaskState.TASK_STATE_WORKING
    assert await two.get(task.id) == answered
    (listed,) = (await two.list(status=TaskState.TASK_STATE_WORKING)).tasks
    assert listed.id == task.id
    one.work.gate.set()
    assert (await one.rest(task.id)).status.state == DONE
    states = [
        e.status.state
        for _, _, e in [v async for v in two.book.follow(task.id, 3)]
        if not isinstance(e, Message | TaskArtifactUpdateEvent)
    ]
    assert states == [TaskState.TASK_STATE_WORKING, DONE], "and says so once"


async def test_what_was_missed_is_replayed_from_the_last_version_seen(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("lines 5")
    whole = [v async for v in two.book.follow(task.id, 0)]
    assert [version for version, _, _ in whole] == list(range(1, len(whole) + 1))
    late = [v async for v in two.book.follow(task.id, 4)]
    assert late == whole[4:]


async def test_who_was_cut_off_gets_all_that_it_missed_on_any_replica_also_of_a_task_that_has_ended(
    start: Any,
) -> None:
    one, two = await start(), await start()
    task = await one.send("lines 5")
    log = [event async for _, _, event in two.book.follow(task.id, 0)]
    for seen in range(1, len(log)):
        first, *missed = await everything(two.subscribe(task.id, seen))
        assert missed == log[seen:]
        whole = Task()
        for event in log[:seen]:
            fold(whole, event)
        assert first == whole, "the task as it was then, so that what comes adds up to what it is"


async def test_who_was_cut_off_from_a_task_that_goes_on_hears_of_what_comes_too(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask")
    stream = two.subscribe(task.id, 1)
    first, *missed = [await anext(stream) for _ in range(3)]
    assert (first.id, len(first.artifacts), len(missed)) == (task.id, 0, 2)
    await one.send("that is all", task_id=task.id)
    assert (await everything(stream))[-1].status.state == DONE


@pytest.mark.parametrize("seen", ["", "0", "-1", "9", "99999", "x", "1e3", "٣", "1" * 4000])
async def test_who_has_seen_all_or_names_no_version_of_the_task_gets_it_as_it_is(
    start: Any, seen: str
) -> None:
    one = await start()
    task = await one.send("ask")
    assert await anext(one.subscribe(task.id, seen)) == task
    ended = await one.send("hi")
    with pytest.raises(UnsupportedOperationError, match="completed"):
        await everything(one.subscribe(ended.id, seen))


async def test_the_log_adds_up_to_the_task_however_far_its_body_lags_behind(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("lines 100")
    log = await two.database.read(lambda tx: since(tx, task.id, 0))
    whole = Task()
    for _, _, event in log:
        fold(whole, event)
    assert whole == task == await two.get(task.id)


async def test_while_it_runs_a_task_reads_the_same_everywhere(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    assert await one.get(task.id) == await two.get(task.id)
    assert (await two.get(task.id)).status.state == TaskState.TASK_STATE_WORKING


async def test_what_comes_between_two_looks_is_not_in_the_task_already_when_it_is_streamed(
    start: Any,
) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.send("hold this as well", wait=False, task_id=task.id)
    rows = await two.database.execute(f"SELECT {COLUMNS} FROM tasks WHERE id = ?", task.id)
    await one.send("and that", wait=False, task_id=task.id)  # after the row was read, and before its log is
    snapshot = await two.database.read(lambda tx: load(tx, rows[0]))
    assert [text_of(message) for message in snapshot.task.history] == ["hold", "hold this as well"]
    async with aclosing(two.book.follow(task.id, snapshot.version)) as happening:
        _, _, event = await anext(happening)
    assert text_of(event) == "and that"


async def test_nothing_more_is_streamed_of_a_task_that_has_ended(start: Any) -> None:
    one = await start()
    task = await one.send("hi")
    with pytest.raises(UnsupportedOperationError, match="completed"):
        await everything(one.subscribe(task.id))


async def test_each_sees_only_their_own_tasks(start: Any) -> None:
    one = await start()
    task = await one.send("ask", who="ann")
    for act in (
        one.get(task.id, "bob"),
        one.cancel(task.id, "bob"),
        one.send("x", task_id=task.id, who="bob"),
    ):
        with pytest.raises(TaskNotFoundError):
            await act
    with pytest.raises(TaskNotFoundError):
        await everything(one.subscribe(task.id))
    assert (await one.list("bob")).total_size == 0
    assert (await one.list("ann")).total_size == 1


async def test_tasks_are_listed_in_pages_the_latest_first_each_once(start: Any) -> None:
    one, two = await start(), await start()
    made = [(await one.send(f"hi {n}")).id for n in range(7)]
    seen, token = [], ""
    for replica in (one, two, one, two):
        page = await replica.list(page_size=2, page_token=token)
        assert (page.total_size, page.page_size) == (7, 2)
        seen += [task.id for task in page.tasks]
        token = page.next_page_token
    assert (seen, token) == (made[::-1], "")


async def test_a_list_is_filtered_and_leaves_artifacts_out_unless_asked(start: Any) -> None:
    one = await start()
    await one.send("ask", context_id="a")
    done = await one.send("hi", context_id="b")
    assert [t.id for t in (await one.list(context_id="b")).tasks] == [done.id]
    assert [t.id for t in (await one.list(status=DONE)).tasks] == [done.id]
    assert not (await one.list(status=DONE)).tasks[0].artifacts
    assert (await one.list(status=DONE, include_artifacts=True)).tasks[0].artifacts
    after = done.status.timestamp
    after.FromNanoseconds(after.ToNanoseconds() + 60_000_000_000)
    assert (await one.list(status_timestamp_after=after)).total_size == 0


@pytest.mark.parametrize("fields", [{"page_size": 101}, {"page_token": "nonsense"}, {"page_token": "W10="}])
async def test_a_page_that_cannot_be_is_refused(start: Any, fields: Any) -> None:
    one = await start()
    with pytest.raises(InvalidParamsError):
        await one.list(**fields)


async def test_push_configurations_are_kept_with_the_task(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask")
    handler, who = two.handler, _context()
    made = await handler.on_create_task_push_notification_config(
        TaskPushNotificationConfig(task_id=task.id, id="mine", url="https://example.com/hook", token="t"), who
    )
    assert (made.id, made.url) == ("mine", "https://example.com/hook")
    got = await one.handler.on_get_task_push_notification_config(
        GetTaskPushNotificationConfigRequest(task_id=task.id, id="mine"), who
    )
    assert got == made
    await one.send("done", task_id=task.id)
    rows = await one.database.execute("SELECT body FROM outbox WHERE kind = 'push' ORDER BY id")
    assert len(rows) == 4  # the task as it was when it was asked for, working, the artifact, completed
    await handler.on_delete_task_push_notification_config(
        DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="mine"), who
    )
    left = await one.handler.on_list_task_push_notification_configs(
        ListTaskPushNotificationConfigsRequest(task_id=task.id), who
    )
    assert list(left.configs) == []
    with pytest.raises(TaskNotFoundError):
        await handler.on_get_task_push_notification_config(
            GetTaskPushNotificationConfigRequest(task_id=task.id, id="mine"), who
        )


async def test_a_task_has_so_many_push_configurations_and_no_more(start: Any) -> None:
    one, who = await start(), _context()
    task = await one.send("ask")
    push = TaskPushNotificationConfig(task_id=task.id, url="https://example.com/hook")
    for number in range(MOST):
        push.id = f"{number}"
        await one.handler.on_create_task_push_notification_config(push, who)
    push.id = "one more"
    with pytest.raises(InvalidParamsError, match="at most 32 push configurations: delete one"):
        await one.handler.on_create_task_push_notification_config(push, who)
    push.id, push.url = "0", "https://example.com/another"
    await one.handler.on_create_task_push_notification_config(push, who)
    forget = DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="1")
    await one.handler.on_delete_task_push_notification_config(forget, who)
    push.id = "one more"
    await one.handler.on_create_task_push_notification_config(push, who)


async def test_whatever_cannot_be_written_now_is_answered_as_busy(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/tasks.db")
    one, who = Replica(database, Work()), _context()
    task = await one.send("ask")
    push = TaskPushNotificationConfig(task_id=task.id, id="mine", url="https://example.com/hook")
    await one.handler.on_create_task_push_notification_config(push, who)
    await database.execute("PRAGMA query_only = ON")
    push.id = "another"
    for writing in (
        one.send("hi"),
        one.send("more", task_id=task.id),
        one.cancel(task.id),
        one.handler.on_create_task_push_notification_config(push, who),
        one.handler.on_delete_task_push_notification_config(
            DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="mine"), who
        ),
    ):
        with pytest.raises(Busy, match="READONLY"):
            await writing
    assert await one.get(task.id) == task
    await database.close()


async def test_an_event_comes_back_as_what_it_was(start: Any) -> None:
    one = await start()
    task = await one.send("hi")
    rows = await one.database.execute(
        "SELECT kind, body FROM events WHERE task_id = ? ORDER BY version", task.id
    )
    kinds = [type(decode(row["kind"], row["body"])) for row in rows]
    assert kinds == [Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent]


def _context() -> Any:
    from a2a.server.context import ServerCallContext

    return ServerCallContext()


class Asking:
    """Asks once, in words."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def perform(self, turn: Turn) -> Sequence[Event]:
        task = turn.task
        words = Message(
            message_id=f"q{turn.envelope.turn}", role=Role.ROLE_AGENT, parts=[Part(text="which?")]
        )
        if turn.envelope.turn == 1:
            return [status(task.id, task.context_id, TaskState.TASK_STATE_INPUT_REQUIRED, words)]
        return [status(task.id, task.context_id, DONE, words)]


async def test_a_question_stands_in_the_history_before_its_answer_and_once(start: Any) -> None:
    one, two = await start(Asking()), await start(Asking())
    task = await one.send("go", message_id="go")
    assert [message.message_id for message in task.history] == ["go"]
    told = Message(role=Role.ROLE_AGENT, task_id=task.id, message_id="answer", parts=[Part(text="this one")])
    done = await two.handler.on_message_send(SendMessageRequest(message=told), _context())
    assert [message.message_id for message in done.history] == ["go", "q1", "answer"]
    assert await one.get(task.id) == done
    log = await two.database.read(lambda tx: since(tx, task.id, 0))
    whole = Task()
    for _, _, event in log:
        fold(whole, event)
    assert whole == done


async def test_a_question_is_history_as_soon_as_its_answer_is_accepted(start: Any) -> None:
    one = await start(Asking())
    task = await one.send("go")
    one.worker.draining = True  # whatever comes is queued
    queued = await one.send("this one", task_id=task.id, wait=False)
    assert not queued.status.HasField("message")
    assert [message.role for message in queued.history] == [Role.ROLE_USER, Role.ROLE_AGENT, Role.ROLE_USER]
