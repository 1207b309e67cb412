"""Customers who do not give up: each sends a ticket to any replica, in any way A2A allows, again and again until it is accepted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import httpx

from benchmarks.chaos.history import History

HEADERS = {"a2a-version": "1.0"}
#: Seconds a customer waits for an answer before sending the same message again.
PATIENCE = 40.0


def tickets(shop: Path, dice: Random) -> Iterator[str]:
    """Endless tickets about the shop: each pending order is cancelled once, all others are asked about."""
    with closing(sqlite3.connect(shop)) as db:
        rows = db.execute(
            "SELECT o.order_id, o.status, c.first_name, c.last_name, c.address FROM orders o JOIN customers c"
            " ON c.customer_id = o.customer_id ORDER BY o.order_id"
        ).fetchall()
    dice.shuffle(rows)
    cancelled: set[str] = set()
    while True:
        for order, status, first, last, address in rows:
            me = f"I am {first} {last}, zip {json.loads(address)['zip']}."
            if status == "pending" and order not in cancelled:
                cancelled.add(order)
                yield f"{me} Please cancel order {order} because I no longer need it."
            else:
                yield f"{me} Where is my order {order}?"


class Customers:
    """All customers together. `urls` are the replicas where requests go in."""

    def __init__(
        self, urls: list[str], client: httpx.AsyncClient, history: History, shop: Path, dice: Random
    ) -> None:
        self._urls, self._client, self._history, self._dice = urls, client, history, dice
        self._tickets = tickets(shop, dice)
        self.stopping = False

    async def serve(self, pause: float) -> None:
        """One customer after the other, until told to stop; the one who is being served is served to the end."""
        while not self.stopping:
            text, way = next(self._tickets), self._dice.random()
            message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": text}]}
            if way < 0.35:
                await self._until_accepted(message)
            elif way < 0.65:
                await self._until_accepted(message, returnImmediately=True)
            elif way < 0.8:
                await self._stream(message)
                await self._until_accepted(message)
            elif way < 0.95:
                await asyncio.gather(self._until_accepted(message), self._until_accepted(message))
            else:
                task = await self._until_accepted(message, returnImmediately=True)
                await self._ask("CancelTask", {"id": task})
            await asyncio.sleep(pause * 2 * self._dice.random())

    async def _until_accepted(self, message: dict[str, Any], **configuration: Any) -> str:
        while True:
            answer = await self._ask("SendMessage", {"message": message, "configuration": configuration})
            task = (answer or {}).get("result", {}).get("task")
            if task:
                self._history.accept(task["id"], message["messageId"])
                return str(task["id"])
            await asyncio.sleep(0.2)

    async def _stream(self, message: dict[str, Any]) -> None:
        """As far as the stream goes; what is accepted is in it."""
        body = _request("SendStreamingMessage", {"message": message})
        with contextlib.suppress(httpx.HTTPError, ValueError):
            url = self._dice.choice(self._urls)
            async with self._client.stream(
                "POST", url, json=body, headers=HEADERS, timeout=PATIENCE
            ) as events:
                async for line in events.aiter_lines():
                    if line.startswith("data:"):
                        task = json.loads(line[5:]).get("result", {}).get("task")
                        if task:
                            self._history.accept(task["id"], message["messageId"])

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        url = self._dice.choice(self._urls)
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = await self._client.post(
                url, json=_request(method, params), headers=HEADERS, timeout=PATIENCE
            )
            found: dict[str, Any] = answer.json()
            return found
        return None


async def get(client: httpx.AsyncClient, url: str, task_id: str) -> tuple[str | None, str] | None:
    """(state, content) of a task at one replica; (None, "") if it does not know the task; None without an answer."""
    with contextlib.suppress(httpx.HTTPError, ValueError):
        answer = await client.post(
            url, json=_request("GetTask", {"id": task_id}), headers=HEADERS, timeout=10
        )
        document = answer.json()
        if "error" in document:
            return (None, "") if document["error"].get("code") == -32001 else None
        task = document["result"]
        state = task["status"]["state"].removeprefix("TASK_STATE_").lower()
        return state, json.dumps([task.get("artifacts"), task["status"]], sort_keys=True)
    return None


def _request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
