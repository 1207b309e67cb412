"""Customers who do not give up: each sends a ticket to any replica, in any way A2A allows, again and again until it is accepted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from random import Random

from benchmarks.chaos.answers import Answers, message_of
from benchmarks.chaos.history import TERMINAL, WAITING, History
from benchmarks.chaos.tickets import Ticket
from benchmarks.chaos.wire import TASK_NOT_FOUND, Json, NoAnswer, Refused, Wire, age_of, content_of, state_of

#: Seconds a customer waits for one answer before sending the same message again.
PATIENCE = 45.0
#: Seconds a customer goes on with one ticket, or holds a subscription.
STAYING = 150.0
#: A subscriber who has heard nothing this many seconds after the end of the task hangs.
LATE = 10.0
#: How they go about it, and how often.
WAYS = {
    "block": 20,
    "stream": 20,
    "look": 15,
    "subscribe": 15,
    "twins": 12,
    "follow": 8,
    "cancel": 6,
    "hurry": 4,
}


class Customers:
    """All customers together. `urls` are the replicas where requests go in."""

    def __init__(
        self,
        urls: list[str],
        wire: Wire,
        history: History,
        written: Iterator[Ticket],
        answers: Answers,
        dice: Random,
    ) -> None:
        self._urls, self._wire, self._history, self._dice = urls, wire, history, dice
        self._tickets = written
        self._answers = answers
        self.stopping = False

    async def serve(self, pause: float) -> None:
        """One customer after the other, until told to stop; the one who is being served is served to the end."""
        while not self.stopping:
            who = "operator" if self._dice.random() < 0.75 else ""
            message = message_of(next(self._tickets).text)
            [way] = self._dice.choices(list(WAYS), list(WAYS.values()))
            with contextlib.suppress(Refused):
                async with _limit(STAYING):
                    task = await self._go(way, message, who)
                    if task not in self._history.ended:
                        await self._look(task, who)
            await asyncio.sleep(pause * 2 * self._dice.random())

    async def _go(self, way: str, message: Json, who: str) -> str:
        """The task that it became. Whether it is over, or asks something, is still to be seen."""
        match way:
            case "stream":
                return await self._stream(message, who)
            case "look":
                return await self._at_once(message, who)
            case "subscribe":
                task = await self._at_once(message, who)
                await self._subscribe(task, who)
                return task
            case "twins":
                both = (self._until_accepted(message, who, url) for url in self._two())
                return (await asyncio.gather(*both))[0]
            case "follow":
                task = await self._at_once(message, who)
                await asyncio.gather(*(self._answers.thank(task, who, url) for url in self._two()))
                return task
            case "cancel":
                task = await self._at_once(message, who)
                await asyncio.sleep(1.5 * self._dice.random())
                await self._cancel(task, who)
                return task
            case "hurry":  # gives up too soon, and asks again
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05 + 0.5 * self._dice.random()):
                        await self._until_accepted(message, who)
        return await self._until_accepted(message, who)

    async def _at_once(self, message: Json, who: str) -> str:
        return await self._until_accepted(message, who, immediately=True)

    async def _until_accepted(
        self, message: Json, who: str, url: str = "", *, immediately: bool = False
    ) -> str:
        """The task's id. Who got no answer sends the same message again, to any replica. Raises Refused."""
        params = {"message": message, "configuration": {"returnImmediately": immediately}}
        url, waited = url or self._any(), ""
        while True:
            try:
                result = await self._wire.call(url, "SendMessage", params, who, PATIENCE)
            except NoAnswer as broken:
                url, waited = self._any(), url if broken.waited else ""
                await asyncio.sleep(0.2)
                continue
            except Refused as refusal:
                self._history.refusals[f"SendMessage: {refusal}"[:160]] += 1
                raise
            task = result["task"]
            if waited and state_of(task) in TERMINAL | WAITING and age_of(task) > LATE:
                self._history.hung.append(f"{task['id']}: over, and its sender at {waited} got no answer")
            return self._accepted(task, message, who)

    def _accepted(self, task: Json, message: Json, who: str) -> str:
        name = str(task["id"])
        self._history.accept(name, message["messageId"], who)
        self._history.saw(name, state_of(task), content_of(task), "the one who accepted it")
        return name

    async def _stream(self, message: Json, who: str) -> str:
        """The task's id. A stream that breaks off before it told the task is begun again; afterwards the task is subscribed to."""
        task = ""
        while not task:
            try:
                events = self._wire.stream(
                    self._any(), "SendStreamingMessage", {"message": message}, who, PATIENCE
                )
                async with aclosing(events):
                    async for event in events:
                        if "task" in event:
                            task = self._accepted(event["task"], message, who)
                        if self._rests(event):
                            return task
            except NoAnswer:
                await asyncio.sleep(0.2)
        await self._subscribe(task, who)
        return task

    async def _subscribe(self, task: str, who: str) -> None:
        """Hold a subscription, at another replica when one dies, until the task rests."""
        while True:
            url = self._any()
            listening = asyncio.ensure_future(self._listen(task, who, url))
            try:
                over = False
                while not (await asyncio.wait({listening}, timeout=LATE))[0]:
                    if over:
                        self._history.hung.append(
                            f"{task}: over, and its subscriber at {url} heard nothing of it"
                        )
                        return
                    over = await self._is_over(task, who)
                if listening.result():
                    return
            except NoAnswer:
                pass
            except Refused as refusal:
                if refusal.code == TASK_NOT_FOUND:
                    self._history.missed(task, url)
                return  # it has ended: nothing more will happen
            finally:
                listening.cancel()
            await asyncio.sleep(0.2)

    async def _listen(self, task: str, who: str, url: str) -> bool:
        """Whether the task rests, once the stream says so or ends. Raises NoAnswer, Refused."""
        events = self._wire.stream(url, "SubscribeToTask", {"id": task}, who, STAYING)
        async with aclosing(events):
            async for event in events:
                if self._rests(event):
                    return True
        return False

    async def _is_over(self, task: str, who: str) -> bool:
        with contextlib.suppress(NoAnswer, Refused):
            found = await self._wire.call(self._any(), "GetTask", {"id": task, "historyLength": 0}, who)
            return state_of(found) in TERMINAL
        return False

    def _rests(self, event: Json) -> bool:
        """Note what an event of a stream says of its task; whether it waits for nothing but people."""
        status = event.get("task") or event.get("statusUpdate")
        if not status:
            return False
        state, task = state_of(status), str(status.get("id") or status.get("taskId"))
        if task in self._history.accepted:
            self._history.saw(task, state, "", "a stream")
        return state in TERMINAL | WAITING

    async def _look(self, task: str, who: str) -> None:
        """Look at the task, at any replica, until it is over or waits for nobody but people; what it asks is answered."""
        while True:
            url, asked = self._any(), time.monotonic()
            try:
                found = await self._wire.call(url, "GetTask", {"id": task, "historyLength": 0}, who)
            except NoAnswer:
                await asyncio.sleep(0.2)
                continue
            except Refused as refusal:
                if refusal.code == TASK_NOT_FOUND:
                    self._history.missed(task, url)
                return
            state = state_of(found)
            self._history.saw(task, state, content_of(found), url, asked)
            if state in WAITING and await self._answers.give(found, who):
                continue
            if state in TERMINAL | WAITING:
                return
            await asyncio.sleep(0.4)

    async def _cancel(self, task: str, who: str) -> None:
        while True:
            url = self._any()
            try:
                found = await self._wire.call(url, "CancelTask", {"id": task}, who)
            except NoAnswer:
                await asyncio.sleep(0.2)
                continue
            except Refused as refusal:
                if refusal.code == TASK_NOT_FOUND:
                    self._history.missed(task, url)
                return  # it has ended
            self._history.saw(task, state_of(found), content_of(found), url)
            return

    def _any(self) -> str:
        return self._dice.choice(self._urls)

    def _two(self) -> list[str]:
        """Two replicas, or the one there is twice."""
        return self._dice.sample(self._urls, 2) if len(self._urls) > 1 else self._urls * 2


@contextlib.asynccontextmanager
async def _limit(seconds: float) -> AsyncIterator[None]:
    """Nobody waits longer than this; what became of the ticket is seen in the end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            yield
