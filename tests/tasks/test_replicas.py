"""Three replicas and random interleavings: whoever is asked, whatever happens at the same time, the answer is the holder's."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from a2a.types import (
    ListTaskPushNotificationConfigsRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import A2AError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshwright.tasks.events import TERMINAL, Event, fold, since
from meshwright.tasks.turn import Turn
from tests.tasks.conftest import Replica, Start, Work, context, text_of

#: What is asked: (what, which replica, which task). Several at once are a step.
KINDS = ("send", "ask", "hold", "again", "follow", "hold-on", "cancel", "release", "usurp", "watch", "push")
ACTION = st.tuples(st.sampled_from(KINDS), st.integers(0, 2), st.integers(0, 3))
STEPS = st.lists(st.lists(ACTION, min_size=1, max_size=3), min_size=1, max_size=7)


class Gated(Work):
    """Work whose `hold` waits for the gate of its own task."""

    def __init__(self) -> None:
        super().__init__()
        self.gate.set()  # there is one for each task instead
        self.gates: dict[str, asyncio.Event] = {}
        self.holding: Counter[str] = Counter()
        self.moved = asyncio.Event()

    async def perform(self, turn: Turn) -> Sequence[Event]:
        if text_of(turn.envelope.message).startswith("hold"):
            name = turn.task.id
            self.holding[name] += 1
            self.moved.set()
            try:
                await self.gates.setdefault(name, asyncio.Event()).wait()
            finally:
                self.holding[name] -= 1
                self.moved.set()
        return await super().perform(turn)


class Story:
    """One example: what was accepted, and what was seen of it."""

    def __init__(self, replicas: Sequence[Replica], work: Gated) -> None:
        self.replicas, self.work = replicas, work
        self.who = uuid.uuid4().hex
        self.tasks: list[str] = []
        self.first: dict[str, tuple[str, str]] = {}
        self.acknowledged: dict[str, list[str]] = {}
        self.ended: dict[str, Task] = {}
        self.watching: list[asyncio.Task[list[list[Any]]]] = []

    async def step(self, actions: Sequence[tuple[str, int, int]]) -> None:
        if any(kind == "watch" for kind, _, _ in actions):  # all must begin at the same version
            actions = actions[:1]
        await asyncio.gather(*(self._act(kind, self.replicas[r], t) for kind, r, t in actions))
        await self._quiet()
        await self.compare()

    async def _act(self, kind: str, replica: Replica, place: int) -> None:
        if kind in ("send", "ask", "hold"):
            name = uuid.uuid4().hex
            task = await replica.send(kind, wait=False, who=self.who, message_id=name)
            self.tasks.append(task.id)
            self.first[task.id] = (kind, name)
            self.acknowledged[task.id] = [name]
            return
        if not self.tasks:
            return
        task_id = self.tasks[place % len(self.tasks)]
        match kind:
            case "again":
                text, name = self.first[task_id]
                assert (await replica.send(text, wait=False, who=self.who, message_id=name)).id == task_id
            case "follow" | "hold-on":
                name = uuid.uuid4().hex
                text = "hold" if kind == "hold-on" else "ask"
                try:
                    await replica.send(text, wait=False, who=self.who, message_id=name, task_id=task_id)
                except A2AError:
                    assert (await replica.get(task_id, self.who)).status.state in TERMINAL
                else:
                    self.acknowledged[task_id].append(name)
            case "cancel":
                try:
                    await replica.cancel(task_id, self.who)
                except A2AError:
                    assert (await replica.get(task_id, self.who)).status.state in TERMINAL
            case "release":
                self._release(task_id)
            case (
                "usurp"
            ):  # a pause longer than the lease: another has it now, and the first goes on believing
                await replica.expire()
                await self.replicas[(self.replicas.index(replica) + 1) % 3].take()
            case "watch":
                if (await replica.get(task_id, self.who)).status.state not in TERMINAL:
                    began = [asyncio.Event() for _ in self.replicas]
                    watching = asyncio.gather(
                        *(self._watched(r, task_id, b) for r, b in zip(self.replicas, began, strict=True))
                    )
                    self.watching.append(asyncio.ensure_future(watching))
                    await asyncio.gather(*(each.wait() for each in began))
            case "push":
                config = TaskPushNotificationConfig(
                    task_id=task_id, id="hook", url=f"https://example.com/{place}"
                )
                await replica.handler.on_create_task_push_notification_config(config, context(self.who))

    async def _watched(self, replica: Replica, task_id: str, began: asyncio.Event) -> list[Any]:
        seen = []
        try:
            async for event in replica.handler.on_subscribe_to_task(
                SubscribeToTaskRequest(id=task_id),
                context(self.who),
            ):
                seen.append(event)
                began.set()
        except A2AError as refusal:  # it ended before this subscription began
            seen.append(str(refusal))
        began.set()
        return seen

    def _release(self, task_id: str) -> None:
        self.work.gates.setdefault(task_id, asyncio.Event()).set()

    async def _quiet(self) -> None:
        """Until each task has ended, waits, or is held by a gate that a test opens."""
        for task_id in self.tasks:
            with self.replicas[0].book.feed.bell(task_id) as bell:
                while True:
                    bell.clear()
                    self.work.moved.clear()
                    snapshot = await self.replicas[0].book.get(task_id, None)
                    if snapshot.work in ("ended", "parked") or self.work.holding[task_id]:
                        break
                    waits = {
                        asyncio.ensure_future(bell.wait()),
                        asyncio.ensure_future(self.work.moved.wait()),
                    }
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    for wait in waits:
                        wait.cancel()

    async def compare(self) -> None:
        """Each operation that reads, asked of every replica."""
        pages = [
            [t.SerializeToString(deterministic=True) for t in await self._all_pages(r)] for r in self.replicas
        ]
        assert pages[0] == pages[1] == pages[2]
        assert len(pages[0]) == len(self.tasks)
        for task_id in self.tasks:
            got = [await r.get(task_id, self.who) for r in self.replicas]
            assert got[0] == got[1] == got[2]
            logs = [await r.database.read(lambda tx, i=task_id: since(tx, i, 0)) for r in self.replicas]
            assert logs[0] == logs[1] == logs[2]
            assert [version for version, _, _ in logs[0]] == list(range(1, len(logs[0]) + 1))
            whole = Task()
            for _, _, event in logs[0]:
                fold(whole, event)
            assert whole == got[0]
            hooks = [await self._hooks(r, task_id) for r in self.replicas]
            assert hooks[0] == hooks[1] == hooks[2]
            self._never_changes(task_id, got[0])

    def _never_changes(self, task_id: str, task: Task) -> None:
        told = [m.message_id for m in task.history if m.message_id in self.acknowledged[task_id]]
        assert sorted(told) == sorted(self.acknowledged[task_id])
        if task_id in self.ended:
            assert task == self.ended[task_id]
        elif task.status.state in TERMINAL:
            self.ended[task_id] = task

    async def _all_pages(self, replica: Replica) -> list[Task]:
        found, token = [], ""
        while True:
            page = await replica.list(self.who, page_size=2, page_token=token, include_artifacts=True)
            found += page.tasks
            token = page.next_page_token
            if not token:
                return found

    async def _hooks(self, replica: Replica, task_id: str) -> str:
        request = ListTaskPushNotificationConfigsRequest(task_id=task_id)
        return str(await replica.handler.on_list_task_push_notification_configs(request, context(self.who)))

    async def finish(self) -> None:
        """Every gate is opened: all must come to rest, and those who watched have seen the same."""
        for task_id in self.tasks:
            self._release(task_id)
        await self._quiet_for_good()
        await self.compare()
        for task_id in self.tasks:
            if task_id not in self.ended:
                await self.replicas[0].cancel(task_id, self.who)
        await self.compare()
        for task_id in self.tasks:
            refusals = [await self._refused(r, task_id) for r in self.replicas]
            assert refusals[0] == refusals[1] == refusals[2]
        for watching in self.watching:
            seen = await watching
            assert seen[0] == seen[1] == seen[2]

    async def _quiet_for_good(self) -> None:
        for task_id in self.tasks:
            snapshot = await self.replicas[0].book.get(task_id, None)
            if snapshot.work == "running":
                await self.replicas[0].rest(task_id)

    async def _refused(self, replica: Replica, task_id: str) -> list[str]:
        said = []
        for what in (
            replica.send("more", task_id=task_id, who=self.who, message_id="late"),
            replica.cancel(task_id, self.who),
        ):
            with pytest.raises(A2AError) as refusal:
                await what
            said.append(f"{type(refusal.value).__name__}: {refusal.value}")
        return said


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whoever_is_asked_gives_the_holders_answer(
    replicas: tuple[list[Replica], Gated], steps: list[list[tuple[str, int, int]]]
) -> None:
    story = Story(*replicas)
    for step in steps:
        await story.step(step)
    await story.finish()


@pytest.fixture
async def replicas(start: Start) -> tuple[list[Replica], Gated]:
    work = Gated()
    return [await start(work) for _ in range(3)], work
