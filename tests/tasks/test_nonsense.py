"""What work answers that cannot be told ends its task at once, as an error that names nothing of it."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from a2a.types import Task, TaskPushNotificationConfig, TaskState

from meshwright.errors import CallerError, MeshError, ToolRefused
from meshwright.extension import URI
from meshwright.findings import Finding
from meshwright.inbound.executor import Executor, Incoming, Outcome
from meshwright.protojson import to_dict
from meshwright.settings import Settings
from meshwright.tasks.courier import Courier, Parcel, Undeliverable
from meshwright.tasks.outbox import Outbox
from tests.tasks.conftest import context, request

DEEP: dict[str, Any] = {}
for _ in range(40):
    DEEP = {"4711": DEEP}


class Untellable(ToolRefused):
    """An author's own, with words that no encoding has."""


class Answering:
    """Work that answers the same, or raises it, each time."""

    def __init__(self, answer: Outcome | Exception) -> None:
        self._answer = answer
        self.perform = Executor(self.work, Settings(), "echo").perform

    async def work(self, incoming: Incoming) -> Outcome:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def told(task: Task) -> tuple[str, str, str]:
    """The state, the code, and the words."""
    code = to_dict(task.metadata)[URI]["code"]
    return TaskState.Name(task.status.state), code, task.status.message.parts[0].text


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(data=Finding.model_construct(reply=4711, proposals="all of them")),
        Outcome(data=Finding(facts={"4711": object()})),
        Outcome(data=Finding(facts={"4711": b"\xff"})),
        Outcome(data=Finding(facts={"4711": "\ud800"})),
        Outcome(data=Finding(facts={"4711": 10**400})),
        Outcome(data=Finding(facts=DEEP)),
        Outcome(text="4711 \ud800"),
        Outcome(metadata={"4711": object()}),
    ],
    ids=["another shape", "an object", "bytes", "half a character", "a number", "deep", "text", "notes"],
)
async def test_an_answer_that_cannot_be_told_is_an_internal_error_at_once(
    start: Any, caplog: pytest.LogCaptureFixture, outcome: Outcome
) -> None:
    one = await start(Answering(outcome))
    with caplog.at_level(logging.ERROR):
        task = await one.send("hello")
    state, code, words = told(task)
    assert (state, code) == ("TASK_STATE_FAILED", "INTERNAL")
    assert "4711" not in words
    reference = re.search(r"under (\w{8})$", words)
    assert reference is not None
    assert f"internal error {reference[1]}" in caplog.text
    assert await one.get(task.id) == task


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (CallerError("not so"), "REJECTED", "CALLER_ERROR"),
        (MeshError("not so"), "FAILED", "MESH_ERROR"),
        (Untellable("not \ud800so"), "FAILED", "TOOL_REFUSED"),
    ],
)
async def test_an_error_of_an_authors_own_ends_the_task_with_its_words(
    start: Any, error: MeshError, state: str, code: str
) -> None:
    one = await start(Answering(error))
    task = await one.send("hello")
    assert told(task)[:2] == (f"TASK_STATE_{state}", code)
    assert told(task)[2].replace("?", "") == "not so"


@pytest.mark.parametrize("words", ["nothing\0at all", "half a \ud800"], ids=["a zero", "half a character"])
async def test_a_peers_words_for_why_it_failed_are_kept_whatever_they_hold(start: Any, words: str) -> None:
    one = await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    outbox = Outbox(one.database, "echo", one.worker._held[task.id].claim)
    await outbox.post("letter", "http://peer", {})
    await outbox.given_up("letter", f"peer: {words}")
    assert (await outbox.letters())["letter"].why.startswith("peer: ")


async def test_a_receivers_words_for_why_it_takes_nothing_are_kept_whatever_they_hold(start: Any) -> None:
    one = await start()
    push = TaskPushNotificationConfig(url="https://example.com/hook")
    asked = request("hi")
    asked.configuration.task_push_notification_config.CopyFrom(push)
    await one.handler.on_message_send(asked, context())

    async def refuse(parcel: Parcel) -> None:
        raise Undeliverable("no\0 and half a \ud800")

    courier = Courier(one.book, {"push": refuse})
    for parcel in await courier.take():
        await courier.deliver(parcel)
    states = await one.database.execute("SELECT DISTINCT state FROM outbox WHERE attempts > 0")
    assert [row["state"] for row in states] == ["dead"]
