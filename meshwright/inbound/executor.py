"""Where a message becomes work, and where its deadline is enforced.

The work runs as a task of its own that is watched, not awaited: one that swallows its cancellation cannot hold the answer back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from a2a.types import Message, Role, TaskArtifactUpdateEvent, TaskState, TaskStatusUpdateEvent

from meshwright.budget import Amount, Budget
from meshwright.deadline import Deadline
from meshwright.errors import (
    CallerError,
    DeadlineExceeded,
    LeaseLost,
    MeshError,
    Overloaded,
    StoreUnavailable,
    wire_of,
)
from meshwright.extension import URI
from meshwright.inbound.places import Places, Seat, rank_of
from meshwright.origin import Origin
from meshwright.parts import TEXT, data_in, data_part, put_data, text_in, text_part
from meshwright.protojson import from_dict
from meshwright.records import correlation, semconv, tracing
from meshwright.records.decision import BELOW
from meshwright.records.metrics import Worked
from meshwright.records.minutes import Minutes
from meshwright.tasks.events import COMPLETED, WORKING, Event, ends_in, status
from meshwright.tasks.ids import new_id
from meshwright.tasks.modes import fit
from meshwright.tasks.turn import Postponed

if TYPE_CHECKING:
    from a2a.types import Part
    from pydantic import BaseModel

    from meshwright.settings import Settings
    from meshwright.tasks.snapshot import Claim
    from meshwright.tasks.turn import Turn

log = logging.getLogger(__name__)

#: These are about our hold on the task, not about the work: they end the turn here without a word in its log.
_OURS = (LeaseLost, StoreUnavailable, Postponed)
#: How many are told at the same time that there is no place for them: what has a place goes first.
APOLOGIES = 3
#: Seconds that work which is stopped has to say what it was at; what swallows its cancellation is not waited for longer.
LAST_WORDS = 0.02


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message, as the work sees it. `say` streams a line of progress to whoever listens.

    `claim` proves that the task is ours; it is None where there is no task. `resumed` says that the task was taken up
    again: after a crash, a drain or a wait.
    """

    text: str
    data: list[Any]
    by: Deadline
    budget: Budget
    say: Callable[[str], Awaitable[None]]
    task_id: str = ""
    context_id: str = ""
    caller: str = ""
    origin: Origin = field(default_factory=Origin)
    message_id: str = ""
    follow_up: bool = False
    resumed: bool = False
    claim: Claim | None = None
    minutes: Minutes = field(default_factory=lambda: Minutes(""))

    @property
    def run(self) -> str:
        return self.origin.run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the work came to. `waits` says what for, when something has to be decided first; `notice` says it to machines."""

    text: str = ""
    data: BaseModel | dict[str, Any] | None = None
    name: str = "answer"
    waits: str = ""
    #: What it waits for, for machines: goes with the words as a data part.
    notice: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


Work = Callable[[Incoming], Awaitable[Outcome]]
#: What is said instead of the work, to whom, and why there was no place for it.
Unheard = Callable[[Incoming, Overloaded], Awaitable[Outcome]]


class Executor:
    """Runs `work` for each turn of a task: progress, then exactly one end.

    `revive` is the least time, in seconds, for a turn that is taken up again. Who answers for a request to its end needs some, even when
    the caller's deadline passed meanwhile, and no word on what waits ends it for want of time; a specialist needs none: its caller has gone.
    `unheard` answers where no place can be had in time; without it the task fails and says so. `operation` is what the work is called
    in a trace.
    """

    def __init__(
        self,
        work: Work,
        settings: Settings,
        name: str,
        places: Places | None = None,
        *,
        revive: float = 0.0,
        unheard: Unheard | None = None,
        operation: str = semconv.INVOKE_AGENT,
    ) -> None:
        self._work = work
        self._operation = operation
        #: What the work came to, for `/metrics`.
        self.worked = Worked()
        self._places = places or Places(settings.queue, settings.at_once)
        self._unheard = unheard
        self._apologies = asyncio.Semaphore(APOLOGIES)
        self._settings = settings
        self._per_call = Amount(settings.budget_call_tokens, settings.budget_call_micros)
        self._name = name
        self._revive = revive

    async def perform(self, turn: Turn) -> Sequence[Event]:
        """The events that end the turn. Raises LeaseLost, StoreUnavailable, Postponed."""
        began = time.monotonic()
        envelope, task = turn.envelope, turn.task
        with tracing.turn(
            *(f"{self._operation} {self._name}", envelope.headers, task.id, envelope.turn, task.context_id),
            lambda: self._attributes(turn),
            envelope.caller,
        ) as span:
            result = await self._watched(turn)
            if isinstance(result, BaseException):
                tracing.failed(span, result)
                if isinstance(result, _OURS):
                    raise result
                result = [self._failed(turn, result, int((time.monotonic() - began) * 1000))]
            if (end := ends_in(result)) is not None:
                state = TaskState.Name(end.status.state)
                span.set_attribute(semconv.A2A_STATE, state)
                self.worked.note(state, time.monotonic() - began)
        return result

    def _attributes(self, turn: Turn) -> tracing.Attributes:
        """What a trace tells of a turn."""
        workflow = self._operation == semconv.INVOKE_WORKFLOW
        return {
            semconv.OPERATION: self._operation,
            semconv.AGENT: self._name,
            semconv.CALLER: turn.envelope.caller,
            semconv.CONVERSATION: correlation.as_id(turn.task.context_id),
            semconv.A2A_TASK: turn.task.id,
            semconv.ATTEMPT: turn.attempt,
            semconv.DEADLINE: int(turn.envelope.seconds * 1000),
            **({semconv.WORKFLOW: self._name, semconv.KIND: semconv.CHAIN} if workflow else {}),
        }

    async def _watched(self, turn: Turn) -> list[Event] | BaseException:
        """What the work came to, or the error in its place; DeadlineExceeded when time ran out first."""
        try:
            incoming = self._incoming(turn)
            if (left := max(incoming.by.remaining, self._revive if incoming.follow_up else 0.0)) <= 0:
                incoming.by.require()  # else work that is quick is done for a caller that has gone
        except MeshError as error:
            return error
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        # The seat is the watch's: what swallows its cancellation has no place any more, however long it goes on.
        with Seat(self._places) as seat:
            work = loop.create_task(self._done(turn, incoming, over, seat))
            time_is_up, stopped = loop.call_later(left, _set, over), False
            try:
                await over
            finally:
                time_is_up.cancel()
                if stopped := not work.done():
                    work.cancel()
                    await asyncio.wait({work}, timeout=LAST_WORDS)
        if stopped:
            return DeadlineExceeded("the deadline passed before the work was done")
        if work.cancelled():
            return DeadlineExceeded("the work was cancelled")
        return work.exception() or work.result()

    async def _done(
        self, turn: Turn, incoming: Incoming, over: asyncio.Future[None], seat: Seat
    ) -> list[Event]:
        """The work, and what it came to as events: an outcome that cannot be told, because it is no JSON, is an error of the work.

        Sets `over` as the last thing it does: who waits for that goes on in the next turn of the loop, and not in the one after it.
        """
        began = time.monotonic()
        try:
            outcome = await self._placed(incoming, turn.envelope.headers, seat)
            return _told(turn, outcome, int((time.monotonic() - began) * 1000))
        finally:
            _set(over)

    async def _placed(self, incoming: Incoming, headers: Mapping[str, str], seat: Seat) -> Outcome:
        """The work, once it has a place. What was begun before goes first."""
        rank = 0 if incoming.follow_up or incoming.resumed else rank_of(headers)
        try:
            await seat.take(incoming.by, rank)
        except Overloaded as error:
            if self._unheard is None:
                raise
            async with self._apologies:
                return await self._unheard(incoming, error)
        return await self._work(incoming)

    def _incoming(self, turn: Turn) -> Incoming:
        envelope, task, settings = turn.envelope, turn.task, self._settings
        seconds = envelope.left if envelope.fresh else max(envelope.left, self._revive)

        async def say(line: str) -> None:
            message = _message(turn, [text_part(line)])
            await turn.record(status(task.id, task.context_id, WORKING, message))

        budget = Budget.from_headers(
            envelope.headers,
            default=settings.budget_tokens,
            micros=settings.budget_micros,
            call=self._per_call,
        )
        budget.minutes = turn.minutes
        return Incoming(
            text=text_in(envelope.message.parts),
            data=data_in(envelope.message.parts),
            by=Deadline.after(seconds),
            budget=budget,
            say=say,
            task_id=task.id,
            context_id=task.context_id,
            caller=envelope.caller,
            origin=Origin.from_headers(envelope.headers, task.id, lambda: turn.held.moved),
            message_id=envelope.message.message_id,
            follow_up=envelope.turn > 1,
            resumed=not envelope.fresh,
            claim=turn.claim,
            minutes=turn.minutes,
        )

    def _failed(self, turn: Turn, error: BaseException, ms: int) -> Event:
        code, text = self._explain(error)
        rejected = isinstance(error, CallerError)
        state = TaskState.TASK_STATE_REJECTED if rejected else TaskState.TASK_STATE_FAILED
        end = status(turn.task.id, turn.task.context_id, state, _message(turn, [text_part(text)]))
        usage = error.notes.get("usage") if isinstance(error, MeshError) else None
        return _noted(end, turn, {"code": code, "ms": ms, **({"usage": usage} if usage else {})})

    def _explain(self, error: BaseException) -> tuple[str, str]:
        """A code and a sentence for the caller. What is internal stays in our log, under the reference given out."""
        if isinstance(error, MeshError):
            words = str(error).encode(errors="replace").decode()  # they may be the author's
            return wire_of(error).code, words
        reference = secrets.token_hex(4)
        log.error("internal error %s", reference, exc_info=error)
        return "INTERNAL", f"internal error; the log of {self._name} has it under {reference}"


def _told(turn: Turn, outcome: Outcome, ms: int) -> list[Event]:
    task = turn.task
    notes = {"ms": ms, **outcome.metadata}
    happened: list[Event] = []
    if outcome.text or outcome.data is not None:
        event = TaskArtifactUpdateEvent(task_id=task.id, context_id=task.context_id, last_chunk=True)
        artifact = event.artifact
        artifact.artifact_id, artifact.name = new_id(), outcome.name
        if outcome.text:
            artifact.parts.add(text=outcome.text, media_type=TEXT)
        if outcome.data is not None:
            put_data(outcome.data, artifact.parts.add())
        fit(artifact, turn.envelope.headers)
        happened.append(event)
    if outcome.waits:
        data = [data_part(dict(outcome.notice))] if outcome.notice is not None else []
        asks = _message(turn, [text_part(outcome.waits), *data])
        fit(asks, turn.envelope.headers)
        end = status(task.id, task.context_id, TaskState.TASK_STATE_INPUT_REQUIRED, asks)
    else:
        end = status(task.id, task.context_id, COMPLETED)
    return [*happened, _noted(end, turn, notes)]


def _set(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def _message(turn: Turn, parts: list[Part]) -> Message:
    task = turn.task
    return Message(
        message_id=new_id(),
        role=Role.ROLE_AGENT,
        task_id=task.id,
        context_id=task.context_id,
        parts=parts,
    )


def _noted(event: TaskStatusUpdateEvent, turn: Turn, notes: Mapping[str, Any]) -> TaskStatusUpdateEvent:
    decided = {"decisions": turn.minutes.ids[:BELOW]} if turn.minutes.ids else {}
    from_dict({URI: {"correlation": correlation.in_hand.get(), **decided, **notes}}, event.metadata)
    return event
