"""What customers say when an agent asks in the middle of its work: through any replica, also twice, also two different things at once."""

from __future__ import annotations

import asyncio
import re
import uuid
from random import Random

from benchmarks.chaos.history import History
from benchmarks.chaos.wire import TASK_NOT_FOUND, Json, NoAnswer, Refused, Wire, question_of

#: What is in each text that a client sends to a task, and in no other.
MARK = re.compile(r"yes-[0-9a-f]{8}")
#: How a question is answered, and how often: once; the same message to two replicas; two messages at the same moment.
WAYS = {"once": 4, "twins": 3, "rivals": 3}


class Answers:
    """`urls` are the replicas where requests go in."""

    def __init__(self, urls: list[str], wire: Wire, history: History, dice: Random) -> None:
        self._urls, self._wire, self._history, self._dice = urls, wire, history, dice

    async def thank(self, task: str, who: str, url: str) -> None:
        """A message to a task that may not ask anything."""
        await self._send(task, self._message(task), who, url)

    async def give(self, found: Json, who: str) -> bool:
        """Answer what a task asks its client; whether it asked anything."""
        question, task = question_of(found), str(found["id"])
        if not question:
            return False
        self._history.asked.setdefault(task, set()).add(question)
        [way] = self._dice.choices(list(WAYS), list(WAYS.values()))
        message = self._message(task, question)
        other = self._message(task, question) if way == "rivals" else message
        urls = self._dice.sample(self._urls, len(self._urls)) * 2
        sent = [self._send(task, message, who, urls[0])]
        if way != "once":
            sent.append(self._send(task, other, who, urls[1]))
        await asyncio.gather(*sent)
        return True

    def _message(self, task: str, question: str = "") -> Json:
        """With a text that nobody has said before. Some name the question that they answer, some do not."""
        mark = f"yes-{uuid.uuid4().hex[:8]}"
        self._history.said.setdefault(task, set()).add(mark)
        message = {**message_of(f"Thank you, {mark}"), "taskId": task}
        if question and self._dice.random() < 0.5:
            message["parts"].append({"data": {"answers": {"id": question, "text": mark}}})
        return message

    async def _send(self, task: str, message: Json, who: str, url: str) -> None:
        """Until somebody answers. What is acknowledged must be in the history of the task ever after."""
        params = {"message": message, "configuration": {"returnImmediately": True}}
        while True:
            self._history.words += 1
            try:
                result = await self._wire.call(url, "SendMessage", params, who)
            except NoAnswer:
                self._history.again += 1
                url = self._dice.choice(self._urls)
                await asyncio.sleep(0.2)
                continue
            except Refused as refusal:
                if refusal.code == TASK_NOT_FOUND:
                    self._history.missed(task, url)
                return  # it has ended meanwhile
            if result["task"]["id"] == task:
                self._history.followed[message["messageId"]] = task
            else:
                self._history.doubled.append(f"answer to {task}: became {result['task']['id']}")
            return


def message_of(text: str) -> Json:
    return {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": text}]}
