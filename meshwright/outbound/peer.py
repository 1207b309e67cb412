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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

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
from meshwright.outbound.lost import translated
from meshwright.outbound.seen import Seen
from meshwright.parts import data_in, data_part, text_in, text_part
from meshwright.records.tracing import span, trace_headers

if TYPE_CHECKING:
    from a2a.client import Client
    from a2a.types import AgentCard, SendMessageRequest, StreamResponse

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
        self._card = card
        self._http = http
        self._identity = identity
        self._audience = audience
        self._client: Client | None = None
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
        from a2a.types import Message, Role, SendMessageRequest

        given = by.require()
        message = Message(
            message_id=message_id or uuid.uuid4().hex, role=Role.ROLE_USER, context_id=context_id
        )
        message.parts.append(data_part(content))
        if text:
            message.parts.append(text_part(text))
        with self.breaker.admit() as attempt:
            with span(f"invoke_agent {self.name}", agent=self.name):
                seen = Seen(remote, began)
                headers = self._headers(by, tokens, micros, run)
                try:
                    async with asyncio.timeout(given):
                        await self._follow(SendMessageRequest(message=message), headers, seen)
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
                except httpx.HTTPError as error:
                    attempt.unwell()
                    raise PeerUnreachable(self.name, f"cannot be reached ({type(error).__name__})") from None
                except MeshError as error:
                    if error.indicts:
                        attempt.unwell()
                    error.notes = error.notes or seen.notes
                    raise
                return answer

    async def _follow(self, request: SendMessageRequest, headers: dict[str, str], seen: Seen) -> None:
        """Drive the call to its end, keeping what was seen; come back to the task while its stream breaks off."""
        if not seen.remote or not await self._came_back(headers, seen):
            await self._stream(seen, self._connected().send_message, request, headers)
        for attempt in range(COME_BACK):
            if seen.settled or seen.task is None:
                return
            await asyncio.sleep(PAUSE * 2**attempt)
            await self._came_back(headers, seen)

    async def _came_back(self, headers: dict[str, str], seen: Seen) -> bool:
        """See the task `seen.remote` again, to its end where it goes on. False if the peer does not know it."""
        from a2a.types import GetTaskRequest, SubscribeToTaskRequest

        client = self._connected()

        async def get(request: Any, context: Any) -> AsyncIterator[StreamResponse]:
            from a2a.types import StreamResponse

            yield StreamResponse(task=await client.get_task(request, context=context))

        def subscribe(request: Any, context: Any) -> AsyncIterator[StreamResponse]:
            return client.subscribe(request, context=context)

        try:
            await self._stream(seen, get, GetTaskRequest(id=seen.remote), headers)
            if not seen.settled:
                await self._stream(seen, subscribe, SubscribeToTaskRequest(id=seen.remote), headers)
        except PeerRefused as refusal:
            if refusal.unknown_task:
                return False
            if not refusal.over:
                raise
            await self._stream(seen, get, GetTaskRequest(id=seen.remote), headers)
        return True

    async def _stream(
        self,
        seen: Seen,
        call: Callable[..., AsyncIterator[StreamResponse]],
        request: Any,
        headers: dict[str, str],
    ) -> None:
        """One request and what it streams. SDK errors become ours here and nowhere else."""
        from a2a.client import ClientCallContext
        from a2a.client.errors import A2AClientError, A2AClientTimeoutError
        from a2a.utils.errors import A2AError, InternalError, TaskNotFoundError, UnsupportedOperationError

        try:
            async for event in call(request, context=ClientCallContext(service_parameters=headers)):
                await seen.take(event)
        except A2AClientTimeoutError:
            raise PeerTimedOut(self.name, "no connection in time") from None
        except A2AClientError as error:
            lost = translated(self.name, error)
            if not (seen.task is not None and isinstance(lost, PeerUnreachable | PeerAnsweredBadly)):
                raise lost from None
            log.info("%s: the stream of task %s broke off; coming back to it", self.name, seen.remote)
        except httpx.HTTPError:
            if seen.task is None:
                raise
            log.info("%s: the stream of task %s broke off; coming back to it", self.name, seen.remote)
        except InternalError:
            raise PeerUnreachable(self.name, "reported an internal error") from None
        except A2AError as error:
            refusal = PeerRefused(self.name, str(error)[:300])
            refusal.unknown_task = isinstance(error, TaskNotFoundError)
            refusal.over = isinstance(error, UnsupportedOperationError)
            raise refusal from None

    def _judge(self, seen: Seen, attempt: Attempt) -> Answer:
        from a2a.types import TaskState

        task = seen.task
        if task is None:
            attempt.unwell()
            raise PeerAnsweredBadly(self.name, "no task and no message came back")
        reason = text_in(task.status.message.parts) if task.status.HasField("message") else ""
        match task.status.state:
            case TaskState.TASK_STATE_COMPLETED:
                attempt.well()
            case TaskState.TASK_STATE_FAILED if seen.notes.get("code") == "OVERLOADED":
                raise PeerOverloaded(self.name, reason[:200])
            case TaskState.TASK_STATE_FAILED if seen.notes.get("code") in ("DEADLINE_EXCEEDED", "INTERNAL"):
                # It was slow, or broke: that its own server noticed first does not make it well.
                attempt.unwell()
                if seen.notes["code"] == "INTERNAL":
                    raise PeerUnreachable(self.name, reason[:200])
                raise PeerTimedOut(self.name, "its deadline passed before it was done")
            case TaskState.TASK_STATE_FAILED if seen.notes.get("code") == "WORKER_FAILED":
                # Asked again, it would most likely lose another worker over it.
                raise PeerAnsweredBadly(self.name, reason[:200])
            case TaskState.TASK_STATE_FAILED | TaskState.TASK_STATE_REJECTED | TaskState.TASK_STATE_CANCELED:
                attempt.well()
                raise PeerTaskFailed(self.name, reason[:400] or "its task failed without a reason")
            case TaskState.TASK_STATE_INPUT_REQUIRED | TaskState.TASK_STATE_AUTH_REQUIRED:
                attempt.well()
                self._cancel(seen)
                raise PeerTaskFailed(self.name, f"it asks back: {reason[:400]}")
            case _:
                attempt.unwell()
                raise PeerUnreachable(self.name, "the stream ended before its task did")
        parts = [part for artifact in task.artifacts for part in artifact.parts]
        return Answer(task.id, data_in(parts), text_in(parts), seen.notes)

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

    def _connected(self) -> Client:
        if self._client is None:
            from a2a.client import ClientConfig, ClientFactory

            config = ClientConfig(
                streaming=True, httpx_client=self._http, supported_protocol_bindings=["JSONRPC", "HTTP+JSON"]
            )
            self._client = ClientFactory(config).create(self._card)
        return self._client

    def _cancel(self, seen: Seen) -> None:
        """Tell the peer to stop, without waiting: our own time is up."""
        if seen.remote and self._client is not None:
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
        from a2a.client import ClientCallContext
        from a2a.client.errors import A2AClientError
        from a2a.types import CancelTaskRequest
        from a2a.utils.errors import A2AError, TaskNotCancelableError, TaskNotFoundError

        headers = self._identity.authorization(self._audience) if self._audience else {}
        try:
            context = ClientCallContext(service_parameters=headers)
            await self._connected().cancel_task(CancelTaskRequest(id=task_id), context=context)
        except (TaskNotFoundError, TaskNotCancelableError):
            return
        except A2AError as error:
            raise PeerRefused(self.name, str(error)[:300]) from None
        except A2AClientError as error:
            raise translated(self.name, error) from None
        except httpx.HTTPError as error:
            raise PeerUnreachable(self.name, f"cannot be reached ({type(error).__name__})") from None
