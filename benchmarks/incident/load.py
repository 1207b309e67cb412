"""The customers of the incident: waves of requests that all come at once, each with a deadline, each answer looked at."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass

import aiohttp

from meshwright.deadline import HEADER


@dataclass(frozen=True, slots=True)
class Workflow:
    """One request: its kind, when it was sent (monotonic seconds), how long it took, and how it ended.

    `ended` is the run's outcome (done, degraded, escalated), or `refused: …`, `failed: …`, `hung`; `why` what its gaps say.
    """

    kind: str
    sent: float
    seconds: float
    ended: str
    why: str = ""

    @property
    def answered(self) -> bool:
        return self.ended in ("done", "degraded", "escalated")


REQUESTS = {"affected": "stock of lamp", "bystander": "opening hours"}


async def wave(entry: str, affected: int, bystanders: int, seconds: float, patience: float) -> list[Workflow]:
    """Send all at once, mixed; the deadline of each is `seconds`, and after `patience` seconds it counts as hung."""
    kinds = ["affected"] * affected + ["bystander"] * bystanders
    kinds = [kinds[place * 7919 % len(kinds)] for place in range(len(kinds))]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        return list(
            await asyncio.gather(*(request(client, entry, kind, seconds, patience) for kind in kinds))
        )


async def steady(entry: str, rate: float, seconds: float, deadline: float, patience: float) -> list[Workflow]:
    """`rate` requests a second for `seconds`, of both kinds in turn, however long their answers take."""
    kinds = list(REQUESTS)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        sent = []
        for place in range(int(rate * seconds)):
            kind = kinds[place % len(kinds)]
            sent.append(asyncio.create_task(request(client, entry, kind, deadline, patience)))
            await asyncio.sleep(1 / rate)
        return list(await asyncio.gather(*sent))


async def request(
    client: aiohttp.ClientSession, entry: str, kind: str, seconds: float, patience: float
) -> Workflow:
    message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": REQUESTS[kind]}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    headers = {"a2a-version": "1.0", HEADER: str(int(seconds * 1000))}
    sent, why = time.monotonic(), ""
    try:
        async with asyncio.timeout(patience), client.post(entry, json=body, headers=headers) as answer:
            ended, why = _ended(answer.status, await answer.text())
    except TimeoutError:
        ended = "hung"
    except aiohttp.ClientError as error:
        ended = f"failed: {type(error).__name__}"
    return Workflow(kind, sent, time.monotonic() - sent, ended, why)


def _ended(status: int, text: str) -> tuple[str, str]:
    try:
        answer = json.loads(text)
    except ValueError:
        return f"failed: {status} {text[:120]}", ""
    if "error" in answer:
        return f"refused: {answer['error'].get('message', '')[:200]}", ""
    task = answer["result"]["task"]
    for artifact in task.get("artifacts", []):
        for part in artifact["parts"]:
            if isinstance(part.get("data"), dict) and "outcome" in part["data"]:
                return str(part["data"]["outcome"]), "; ".join(gap["why"] for gap in part["data"]["gaps"])
    said = task["status"].get("message", {}).get("parts", [{}])[0].get("text", "")
    return f"failed: {task['status']['state']} {said[:160]}", ""
