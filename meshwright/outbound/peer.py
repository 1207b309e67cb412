"""One call to one agent over A2A: breaker, deadline, then the wire; what comes back is an answer or a MeshError.

A try that failed is made again within the peer's retry budget where that is safe: a peer that knows the mesh's extension takes a
message once, whatever its number of arrivals, and nobody minds what was never sent.

A call streams where the peer can, because the first event tells the task's id: whoever gives up can then say CancelTask,
also to a peer that does not know what a deadline is; and whoever loses the connection, or dies, can come back to that task
instead of asking again.
"""

from __future__ import annotations

import asyncio
import logging
import time
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
    PeerRefused,
    PeerTimedOut,
    PeerUnreachable,
)
from meshwright.extension import URI
from meshwright.findings import Asks
from meshwright.inbound.identity import Identity
from meshwright.origin import Origin
from meshwright.outbound.breaker import Breaker, tells
from meshwright.outbound.called import agent_called
from meshwright.outbound.farewell import Farewells
from meshwright.outbound.lost import unheard
from meshwright.outbound.retry import Retries
from meshwright.outbound.seen import Seen, data_of, text_of
from meshwright.outbound.wire import Json, wire_to
from meshwright.parts import MEDIA_TYPE
from meshwright.records import semconv
from meshwright.records.correlation import as_id
from meshwright.records.tracing import CLIENT, Attributes, span, trace_headers

if TYPE_CHECKING:
    import httpx
    from a2a.types import AgentCard

    from meshwright.records.minutes import Minutes

log = logging.getLogger(__name__)

#: How often a call comes back to a task whose stream broke off, and seconds before the first of them.
COME_BACK, PAUSE = 3, 0.1
#: Seconds between two looks at a task of a peer that does not stream: at first, and at most.
LOOK, LONGEST_LOOK = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer came back with: its data parts, its text, and what it noted under the mesh's extension.

    With `asks` it is no answer yet: its task waits for that.
    """

    task_id: str
    data: list[Any]
    text: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    asks: Asks | None = None


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
        retries: Retries | None = None,
    ) -> None:
        self.name = card.name
        #: Who it is to a policy: the name that its tokens are made for, else its address. What its card says anybody could say.
        self.process = audience or url
        self.retries = retries or Retries()
        #: The address it was found under.
        self.url = url
        self.breaker = breaker
        self._card = card
        self._wire = wire_to(card.name, card, http)
        self._identity = identity
        self._audience = audience
        self._farewells = Farewells(card.name, self.cancel)

    async def ask(
        self,
        content: dict[str, Any],
        *,
        by: Deadline,
        text: str = "",
        tokens: int | None = None,
        micros: int | None = None,
        origin: Origin | None = None,
        message_id: str = "",
        context_id: str = "",
        remote: str = "",
        answers: tuple[str, str] | None = None,
        hears: bool = False,
        began: Callable[[str], Awaitable[None]] | None = None,
        accepts: Callable[[Answer], object] | None = None,
        minutes: Minutes | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send `content` as a data part (and `text` beside it) and wait for the task's end, at most until `by`.

        With `hears` it may also come back with what the peer's task asks (`Answer.asks`); else a peer that asks back has failed, and
        its task is cancelled. What it asked is answered with `answers`, the ids of its task and of what it asked.

        `tokens` and `micros` are what it may spend; with None it has its own limits. `origin` is on whose behalf we ask; without
        it the chain of agents begins here.
        `began` hears the id of the peer's task as soon as it is known. With such an id as `remote` nothing is sent: the call
        comes back to that task; only if the peer does not know it any more is the message sent again.

        `accepts` reads the answer, and raises PeerAnsweredBadly for one that is not what was asked for: that counts as any failure.

        Each try that is made is an `agent_call` in the `minutes`; `about` are fields of it that the caller knows.

        Raises BreakerOpen, DeadlineExceeded (before sending), or a PeerError.
        """
        by.require()
        parts: list[Json] = [{"data": content, "mediaType": MEDIA_TYPE}]
        if text:
            parts.append({"text": text, "mediaType": "text/plain"})
        message: Json = {"messageId": message_id or uuid.uuid4().hex, "role": "ROLE_USER", "parts": parts}
        if context_id:
            message["contextId"] = context_id
        if answers is not None:
            message["taskId"] = answers[0]
        seen = Seen(self.name, *((answers[0], began, answers[1]) if answers else (remote, began)))

        def note(came: str | BaseException, start: float, left: int) -> None:
            if minutes is not None:
                known = {"deadline_ms": left, "tokens_given": tokens, "began": start, **(about or {})}
                # An answer has the name of its message: a try that failed before a crash must not stand in its place.
                failed = isinstance(came, BaseException)
                name = message["messageId"]
                known["key"] = minutes.nth("agent_call", name) if failed else name
                agent_called(minutes, self.name, seen.remote, seen.notes, came, **known)

        async def once() -> Answer:
            async with self.breaker.admit():
                start, left = time.time(), int(by.remaining * 1000)
                with span(
                    *(f"{semconv.INVOKE_AGENT} {self.name}", self._attributes(by)),
                    kind=CLIENT,
                    key=message_id,
                ) as told:
                    headers = self._headers(by, tokens, micros, origin)
                    try:
                        answer = await self._once(message, headers, seen, by, origin, accepts, hears)
                    except BaseException as error:
                        note(error, start, left)
                        raise
                    finally:
                        told.set_attribute(semconv.A2A_TASK, as_id(seen.remote) if seen.remote else "")
                    note("answered" if answer.asks is None else "asked", start, left)
                    return answer

        def safe(error: MeshError) -> bool:
            if answers is not None and self.takes_once:
                return True
            return not seen.there and (self.takes_once or unheard(error))

        # An answer has to come through: nobody else can go on with that task.
        return await self.retries.run(once, by, safe=safe, patient=answers is not None)

    @property
    def takes_once(self) -> bool:
        """Whether it declares the extension, which promises that the same message again is the same task."""
        return any(extension.uri == URI for extension in self._card.capabilities.extensions)

    async def _once(
        self,
        message: Json,
        headers: dict[str, str],
        seen: Seen,
        by: Deadline,
        origin: Origin | None,
        accepts: Callable[[Answer], object] | None,
        hears: bool,
    ) -> Answer:
        """One try, to its end."""
        given = by.require()
        # A task of its own, because who gives up may have to learn first what there is to cancel.
        call = asyncio.ensure_future(self._follow(message, headers, seen))
        try:
            async with asyncio.timeout(given):
                await asyncio.shield(call)
            if hears and (asks := seen.asks(of_the_mesh=self.takes_once)) is not None:
                return Answer(seen.remote, [], seen.reason, seen.notes, asks)
            seen.require_completed(given)
            answer = Answer(seen.remote, data_of(seen.parts), text_of(seen.parts), seen.notes)
            if accepts is not None:
                accepts(answer)
        except TimeoutError:
            self._farewells.say(seen, call)
            why = f"no answer within {given:.1f} s"
            raise PeerTimedOut(self.name, why, tells=tells(given, by)) from None
        except asyncio.CancelledError:
            if origin is not None and origin.moved():
                call.cancel()
            else:
                self._farewells.say(seen, call)
            raise
        except MeshError as error:
            error.notes = error.notes or seen.notes
            if seen.asks_back:  # and nobody will answer
                self._farewells.say(seen, call)
            raise
        return answer

    async def _follow(self, message: Json, headers: dict[str, str], seen: Seen) -> None:
        """Drive the call to its end, keeping what was seen; come back to the task while its stream breaks off."""
        if "taskId" in message or not seen.remote or not await self._came_back(seen):
            await self._stream(seen, self._wire.send(message, headers))
        pause = LOOK
        while not (self._wire.streams or seen.settled or not seen.there):
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_LOOK)
            await self._stream(seen, self._got(seen.remote))
        for attempt in range(COME_BACK):
            if seen.settled or not seen.there:
                return
            await asyncio.sleep(PAUSE * 2**attempt)
            await self._came_back(seen)

    async def _came_back(self, seen: Seen) -> bool:
        """See the task `seen.remote` again, to its end where it goes on. False if the peer does not know it."""
        try:
            await self._stream(seen, self._got(seen.remote))
            if not seen.settled and self._wire.streams:
                await self._stream(seen, self._wire.subscribe(seen.remote, self._known()))
        except PeerRefused as refusal:
            if refusal.unknown_task:
                return False
            if not refusal.over:
                raise
            await self._stream(seen, self._got(seen.remote))
        return True

    async def _got(self, task_id: str) -> AsyncIterator[Json]:
        yield {"task": await self._wire.get(task_id, self._known())}

    async def _stream(self, seen: Seen, events: AsyncIterator[Json]) -> None:
        """One request and what it streams. A stream that breaks off once the task is known is no error yet: one can come back."""
        try:
            async with aclosing(events):  # type: ignore[type-var]
                async for event in events:
                    await seen.take(event)
                    if seen.settled and seen.asks_back:
                        return  # a subscription goes on while its task waits for us
        except PeerUnreachable as lost:
            if not seen.there:
                raise
            log.info(
                "%s: the stream of task %s broke off (%s); coming back to it", self.name, seen.remote, lost
            )

    def _attributes(self, by: Deadline) -> Attributes:
        """What a trace tells of a call."""
        return {
            semconv.OPERATION: semconv.INVOKE_AGENT,
            semconv.AGENT: self.name,
            semconv.CALLER: self._identity.name,
            semconv.A2A_METHOD: "SendStreamingMessage" if self._wire.streams else "SendMessage",
            semconv.DEADLINE: int(by.remaining * 1000),
        }

    def _headers(
        self, by: Deadline, tokens: int | None, micros: int | None, origin: Origin | None
    ) -> dict[str, str]:
        return {
            **by.headers(),
            **({BUDGET_HEADER: str(tokens)} if tokens is not None else {}),
            **({HEADER_MONEY: str(micros)} if micros is not None else {}),
            **(origin.headers(self._identity, self._audience) if origin is not None else {}),
            **self._known(),
        }

    def _known(self) -> dict[str, str]:
        """Who asks, and in which trace. Made for each request: a token is good for a minute, and a task may take longer."""
        authorization = self._identity.authorization(self._audience) if self._audience else {}
        return {"a2a-extensions": URI, **trace_headers(), **authorization}

    async def cancel(self, task_id: str) -> None:
        """CancelTask. A task that has ended, or that the peer does not know, is as good as cancelled. Raises PeerError."""
        await self._wire.cancel(task_id, self._known())
