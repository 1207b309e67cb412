"""Those who give up: each asks for work that takes longer than they wait, in one of three ways, and tells when it gave up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from a2a.client import A2ACardResolver, Client, ClientCallContext, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types import CancelTaskRequest

from benchmarks.wasted.stock import message
from meshwright.deadline import Deadline
from meshwright.errors import MeshError
from meshwright.inbound.departure import CANCEL, HEADER
from meshwright.inbound.identity import Identity
from meshwright.outbound.peer import Peer

#: Seconds that a call would have where its caller says nothing of a deadline: more than any trial lasts.
PLENTY = 30.0

#: Asks with these details, waits so many seconds, gives up. Returns when, on the system's monotonic clock.
GivesUp = Callable[[dict[str, Any], float], Awaitable[float]]


def ours(peer: Peer, url: str, http: httpx.AsyncClient, identity: Identity) -> dict[str, GivesUp]:
    """The ways of a caller that speaks the extension."""

    async def deadline(details: dict[str, Any], wait: float) -> float:
        by = Deadline.after(wait)
        with contextlib.suppress(MeshError):
            await peer.ask(_part(details), by=by)
        return by.at

    async def cancel(details: dict[str, Any], wait: float) -> float:
        return await _given_up(peer.ask(_part(details), by=Deadline.after(PLENTY)), wait)

    async def disconnect(details: dict[str, Any], wait: float) -> float:
        body = {"messageId": details["trial"], "role": "ROLE_USER", "parts": [{"data": _part(details)}]}
        call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": body}}
        headers = {
            "content-type": "application/json",
            "a2a-version": "1.0",
            **Deadline.after(PLENTY).headers(),
            HEADER: CANCEL,
            **identity.authorization("alpha"),
        }
        return await _given_up(http.post(url + "/", content=json.dumps(call), headers=headers), wait)

    return {"deadline": deadline, "cancel": cancel, "disconnect": disconnect}


async def stock(url: str, http: httpx.AsyncClient) -> dict[str, GivesUp]:
    """The ways of a2a-sdk's own client."""
    card = await A2ACardResolver(http, url).get_agent_card()

    def client(*, streaming: bool) -> Client:
        return ClientFactory(ClientConfig(streaming=streaming, httpx_client=http)).create(card)

    async def deadline(details: dict[str, Any], wait: float) -> float:
        until = time.monotonic() + wait
        with contextlib.suppress(A2AClientError):
            async for _ in client(streaming=False).send_message(
                message(details), context=ClientCallContext(timeout=wait)
            ):
                pass
        return until

    async def cancel(details: dict[str, Any], wait: float) -> float:
        until = time.monotonic() + wait
        task_id = ""

        async def listen() -> None:
            nonlocal task_id
            async for event in client(streaming=True).send_message(message(details)):
                task_id = task_id or event.task.id

        listening = asyncio.ensure_future(listen())
        await asyncio.sleep(wait)
        await client(streaming=False).cancel_task(CancelTaskRequest(id=task_id))
        listening.cancel()
        await asyncio.wait({listening})
        return until

    async def disconnect(details: dict[str, Any], wait: float) -> float:
        async def listen() -> None:
            async for _ in client(streaming=True).send_message(message(details)):
                pass

        return await _given_up(listen(), wait)

    return {"deadline": deadline, "cancel": cancel, "disconnect": disconnect}


async def _given_up(call: Any, wait: float) -> float:
    until = time.monotonic() + wait
    calling = asyncio.ensure_future(call)
    await asyncio.sleep(wait)
    calling.cancel()
    await asyncio.wait({calling})
    return until


def _part(details: dict[str, Any]) -> dict[str, Any]:
    subtask = {"id": "work", "skill": "alpha-work", "instruction": json.dumps(details), "details": details}
    return {"subtask": subtask}
