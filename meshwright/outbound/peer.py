"""One call to one agent over A2A: breaker, deadline, then the wire; what comes back is an answer or a MeshError.

A call streams where the peer can, because the first event tells the task's id: whoever gives up can then say CancelTask,
also to a peer that does not know what a deadline is; and whoever loses the connection, or dies, can come back to that task
instead of asking again.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshwright.budget import HEADER as BUDGET_HEADER
from meshwright.budget import HEADER_MONEY
from meshwright.deadline import Deadline
from meshwright.errors import (
    MeshError,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerRefused,
    PeerTaskFailed,
    PeerTimedOut,
    PeerUnreachable,
)
from meshwright.extension import HEADER_RUN, URI
from meshwright.inbound.identity import Identity
from meshwright.outbound.breaker import Attempt, Breaker, tells
from meshwright.outbound.seen import Seen, data_of, text_of
from meshwright.outbound.wire import Json, wire_to
from meshwright.parts import MEDIA_TYPE
from meshwright.records.tracing import span, trace_headers

if TYPE_CHECKING:
    import httpx
    from a2a.types import AgentCard

log = logging.getLogger(__name__)

#: How often a call comes back to a task whose stream broke off, and seconds before the first of them.
COME_BACK, PAUSE = 3, 0.1
#: Seconds a CancelTask may take; nobody waits for it.
CANCEL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer came back with: its data parts, its text, and what it noted under the mesh's extension."""

    task_id: str
    data: list[Any]
    text: str
    notes: Mapping[str, Any] = field(default_factory=dict)


class Peer:
    """An agent that we can ask."""

    def __init__(
        self,
        card: AgentCard,
        breaker: Breaker,
        http: httpx.AsyncClient,
        identity: Identity,
        audience: str,
        url: str = "",
    ) -> None:
        self.name = card.name
        #: The address it was found under.
        self.url = url
        self.breaker = breaker
        self._wire = wire_to(card.name, card, http)
        self._identity = identity
        self._audience = audience
        self._farewells: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        content: dict[str, Any],
        *,
        by: Deadline,
        text: str = "",
        tokens: int | None = None,
        micros: int | None = None,
        run: str = "",
        message_id: str = "",
        context_id: str = "",
        remote: str = "",
        began: Callable[[str], Awaitable[None]] | None = None,
        accepts: Callable[[Answer], object] | None = None,
    ) -> Answer:
        """Send `content` as a data part (and `text` beside it) and wait for the task's end, at most until `by`.

        `tokens` and `micros` are what it may spend; with None it has its own limits.
        `began` hears the id of the peer's task as soon as it is known. With such an id as `remote` nothing is sent: the call
        comes back to that task; only if the peer does not know it any more is the message sent again.

        `accepts` reads the answer, and raises PeerAnsweredBadly for one that is not what was asked for: that counts as any failure.

        Raises BreakerOpen, DeadlineExceeded (before sending), or a PeerError.
        """
        given = by.require()
        parts: list[Json] = [{"data": content, "mediaType": MEDIA_TYPE}]
        if text:
            parts.append({"text": text, "mediaType": "text/plain"})
        message: Json = {"messageId": message_id or uuid.uuid4().hex, "role": "ROLE_USER", "parts": parts}
        if context_id:
            message["contextId"] = context_id
        with self.breaker.admit() as attempt:
            with span(f"invoke_agent {self.name}", agent=self.name):
                seen = Seen(self.name, remote, began)
                headers = self._headers(by, tokens, micros, run)
                try:
                    async with asyncio.timeout(given):
                        await self._follow(message, headers, seen)
                    answer = self._judge(seen, attempt)
                    if accepts is not None:
                        accepts(answer)
                except TimeoutError:
                    if tells(given, by):
                        attempt.unwell()
                    self._cancel(seen)
                    raise PeerTimedOut(self.name, f"no answer within {given:.1f} s") from None
                except asyncio.CancelledError:
                    self._cancel(seen)
                    raise
                except MeshError as error:
                    if error.indicts:
                        attempt.unwell()
                    error.notes = error.notes or seen.notes
                    raise
                return answer

    async def _follow(self, message: Json, headers: dict[str, str], seen: Seen) -> None:
        """Drive the call to its end, keeping what was seen; come back to the task while its stream breaks off."""
        if not seen.remote or not await self._came_back(headers, seen):
            await self._stream(seen, self._wire.send(message, headers))
        for attempt in range(COME_BACK):
            if seen.settled or not seen.there:
                return
            await asyncio.sleep(PAUSE * 2**attempt)
            await self._came_back(headers, seen)

    async def _came_back(self, headers: dict[str, str], seen: Seen) -> bool:
        """See the task `seen.remote` again, to its end where it goes on. False if the peer does not know it."""
        try:
            await self._stream(seen, self._got(seen.remote, headers))
            if not seen.settled:
                await self._stream(seen, self._wire.subscribe(seen.remote, headers))
        except PeerRefused as refusal:
            if refusal.unknown_task:
                return False
            if not refusal.over:
                raise
            await self._stream(seen, self._got(seen.remote, headers))
        return True

    async def _got(self, task_id: str, headers: dict[str, str]) -> AsyncIterator[Json]:
        yield {"task": await self._wire.get(task_id, headers)}

    async def _stream(self, seen: Seen, events: AsyncIterator[Json]) -> None:
        """One request and what it streams. A stream that breaks off once the task is known is no error yet: one can come back."""
        try:
            async with aclosing(events):  # type: ignore[type-var]
                async for event in events:
                    await seen.take(event)
        except PeerUnreachable as lost:
            if not seen.there:
                raise
            log.info(
                "%s: the stream of task %s broke off (%s); coming back to it", self.name, seen.remote, lost
            )

    def _judge(self, seen: Seen, attempt: Attempt) -> Answer:
        if not seen.there:
            attempt.unwell()
            raise PeerAnsweredBadly(self.name, "no task and no message came back")
        reason = seen.reason
        match seen.state.removeprefix("TASK_STATE_"):
            case "COMPLETED":
                attempt.well()
            case "FAILED" if seen.notes.get("code") == "OVERLOADED":
                raise PeerOverloaded(self.name, reason[:200])
            case "FAILED" if seen.notes.get("code") in ("DEADLINE_EXCEEDED", "INTERNAL"):
                # It was slow, or broke: that its own server noticed first does not make it well.
                attempt.unwell()
                if seen.notes["code"] == "INTERNAL":
                    raise PeerUnreachable(self.name, reason[:200])
                raise PeerTimedOut(self.name, "its deadline passed before it was done")
            case "FAILED" if seen.notes.get("code") == "WORKER_FAILED":
                # Asked again, it would most likely lose another worker over it.
                raise PeerAnsweredBadly(self.name, reason[:200])
            case "FAILED" | "REJECTED" | "CANCELED":
                attempt.well()
                raise PeerTaskFailed(self.name, reason[:400] or "its task failed without a reason")
            case "INPUT_REQUIRED" | "AUTH_REQUIRED":
                attempt.well()
                self._cancel(seen)
                raise PeerTaskFailed(self.name, f"it asks back: {reason[:400]}")
            case _:
                attempt.unwell()
                raise PeerUnreachable(self.name, "the stream ended before its task did")
        return Answer(seen.remote, data_of(seen.parts), text_of(seen.parts), seen.notes)

    def _headers(self, by: Deadline, tokens: int | None, micros: int | None, run: str) -> dict[str, str]:
        return {
            **by.headers(),
            "a2a-extensions": URI,
            **({BUDGET_HEADER: str(tokens)} if tokens is not None else {}),
            **({HEADER_MONEY: str(micros)} if micros is not None else {}),
            **({HEADER_RUN: run} if run else {}),
            **trace_headers(),
            **(self._identity.authorization(self._audience) if self._audience else {}),
        }

    def _cancel(self, seen: Seen) -> None:
        """Tell the peer to stop, without waiting: our own time is up."""
        if seen.remote:
            farewell = asyncio.ensure_future(self._say_cancel(seen.remote))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    async def _say_cancel(self, task_id: str) -> None:
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                await self.cancel(task_id)
        except (TimeoutError, MeshError) as error:
            log.info("%s: task %s was not cancelled: %s", self.name, task_id, error or type(error).__name__)

    async def cancel(self, task_id: str) -> None:
        """CancelTask. A task that has ended, or that the peer does not know, is as good as cancelled. Raises PeerError."""
        headers = self._identity.authorization(self._audience) if self._audience else {}
        await self._wire.cancel(task_id, headers)
