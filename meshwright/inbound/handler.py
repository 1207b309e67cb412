"""The A2A operations over the task core. They answer from the database, so any replica gives the answer that any other would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from a2a.types import (
    GetExtendedAgentCardRequest,
    Message,
    Task,
    TaskArtifactUpdateEvent,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import (
    ExtendedAgentCardNotConfiguredError,
    TaskNotCancelableError,
    UnsupportedOperationError,
)
from a2a.utils.task import apply_history_length, validate_history_length, validate_page_size

from meshwright.card import PROTOCOL_VERSION
from meshwright.deadline import Deadline
from meshwright.errors import AlreadyDecided, StoreUnavailable
from meshwright.inbound.ancestry import HEADER as ANCESTRY
from meshwright.inbound.context import VERSION, is_legacy
from meshwright.inbound.departure import Departures
from meshwright.inbound.places import Places, rank_of
from meshwright.inbound.pushdesk import PushDesk, owner_of
from meshwright.inbound.seen import note, seen_by
from meshwright.inbound.told import told
from meshwright.inbound.wellformed import (
    input_modes,
    require_filter,
    require_input_modes,
    require_message,
    require_task,
)
from meshwright.records.correlation import admitted
from meshwright.tasks import pushes
from meshwright.tasks.accept import Accepted, Ask
from meshwright.tasks.events import SETTLED, TERMINAL, state_name
from meshwright.tasks.modes import output_modes

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.types import (
        AgentCard,
        CancelTaskRequest,
        GetTaskRequest,
        ListTasksRequest,
        ListTasksResponse,
        SendMessageRequest,
        SubscribeToTaskRequest,
    )

    from meshwright.inbound.ancestry import Ancestry
    from meshwright.settings import Settings
    from meshwright.tasks.snapshot import Snapshot
    from meshwright.tasks.worker import Worker

#: Headers that go with a message to whoever works on it, now or after a crash. Never the caller's token.
CARRIED = ("x-mesh-", "traceparent", "tracestate", "baggage", "a2a-extensions")

Streamed = Task | Message | TaskStatusUpdateEvent | TaskArtifactUpdateEvent


class MeshRequestHandler(PushDesk):
    """All operations of A2A 1.0. `screen` says whether a push notification may go to an address, `ancestry` who may ask whom."""

    def __init__(
        self,
        card: AgentCard,
        settings: Settings,
        screen: pushes.Screen | None = None,
        ancestry: Ancestry | None = None,
    ) -> None:
        super().__init__(card, screen)
        self._input_modes = input_modes(card)
        self._settings = settings
        self._ancestry = ancestry
        self._departures = Departures(self._abandoned)
        #: There from the start of the server to its end.
        self.worker: Worker
        self.places = Places(settings.queue, settings.at_once)
        #: Whether a message whose turn cannot come in time is taken all the same, because it gets an answer without its work.
        self.patient = False
        #: Seconds that a turn which is taken up again may have beyond its deadline.
        self.revive = 0.0
        #: Whether a stranger's word on traces is taken: only where nobody is known.
        self.credulous = True

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Message | Task:
        with told(context):
            accepted, by = await self._accept(params, context)
            task = accepted.snapshot.task
            if not params.configuration.return_immediately:
                async with self._departures.minded(accepted.task_id, context):
                    task = await self._settled(accepted, by)
        return apply_history_length(task, params.configuration)

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Streamed, None]:
        self._require_streaming()
        with told(context):
            accepted, by = await self._accept(params, context)
            snapshot = accepted.snapshot
            async with self._departures.minded(accepted.task_id, context, streams=True):
                note(context, snapshot.version)
                yield apply_history_length(snapshot.task, params.configuration)
                if _is_settled(snapshot, accepted.turn):
                    return
                async with aclosing(self._turn_of(accepted, by)) as happening:
                    async for version, event in happening:
                        if not isinstance(event, Message):
                            note(context, version)
                            yield event

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Streamed, None]:
        """The task as it is, or as the client saw it last, and what happens to it from there on."""
        self._require_streaming()
        require_task(params.id)
        with told(context):
            snapshot = await self.book.get(params.id, owner_of(context))
            task, version = snapshot.task, snapshot.version
            if 0 < (seen := seen_by(context)) < version:
                task, version = await self.book.as_it_was(params.id, seen), seen
            elif task.status.state in TERMINAL:
                state = state_name(task.status.state)
                raise UnsupportedOperationError(
                    message=f"the task is {state}: nothing more will happen; get it instead"
                )
            note(context, version)
            yield task
            async with aclosing(self.book.follow(params.id, version)) as happening:  # type: ignore[type-var]
                async for version, _, event in happening:
                    if not isinstance(event, Message):
                        note(context, version)
                        yield event

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        require_task(params.id)
        validate_history_length(params)
        with told(context):
            snapshot = await self.book.get(params.id, owner_of(context))
        return apply_history_length(snapshot.task, params)

    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        validate_history_length(params)
        if params.HasField("page_size"):
            validate_page_size(params.page_size)
        require_filter(params)
        with told(context):
            page = await self.book.list(params, owner_of(context))
        for task in page.tasks:
            task.CopyFrom(apply_history_length(task, params))
        return page

    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task | None:
        require_task(params.id)
        with told(context):
            try:
                task = await self.book.cancel(params.id, owner_of(context))
            except AlreadyDecided as error:
                raise TaskNotCancelableError(message=str(error)) from None
        self.worker.let_go(params.id)
        return task

    async def _abandoned(self, task_id: str, context: ServerCallContext) -> None:
        """The caller has gone, and wanted that to be a cancel; what has ended meanwhile has ended."""
        with suppress(AlreadyDecided, StoreUnavailable):
            await self.book.cancel(task_id, owner_of(context))
        self.worker.let_go(task_id)

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        if not self._card.capabilities.extended_agent_card:
            raise UnsupportedOperationError(message="the agent has no extended card")
        raise ExtendedAgentCardNotConfiguredError

    async def _accept(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> tuple[Accepted, Deadline]:
        validate_history_length(params.configuration)
        require_message(params.message)
        require_input_modes(params.message, self._input_modes)
        push = None
        if params.configuration.HasField("task_push_notification_config"):
            push = params.configuration.task_push_notification_config
            await self._check_push(push)
        headers: dict[str, str] = context.state.get("headers", {})
        caller = context.user.user_name
        if self._ancestry is not None:
            self._ancestry.check(headers.get(ANCESTRY, ""), caller)
        settings = self._settings
        by = Deadline.from_headers(headers, default=settings.deadline, ceiling=settings.deadline_max)
        if (arrived := context.state.get("arrived")) is not None:
            by = by.at_most(by.remaining - (time.monotonic() - arrived))
        if not params.message.task_id:
            self._require_place(by, headers)
        carried = admitted(
            {name: value for name, value in headers.items() if name.startswith(CARRIED)},
            believed=bool(caller) or self.credulous,
        )
        if is_legacy(headers.get(VERSION, PROTOCOL_VERSION)):
            carried |= {pushes.LEGACY: ""}
        if params.configuration.accepted_output_modes:
            carried |= output_modes(params.configuration.accepted_output_modes)
        ask = Ask(owner_of(context), caller, params.message, carried, by.remaining, push)
        return await self.worker.accept(ask), by

    def _require_place(self, by: Deadline, headers: dict[str, str]) -> None:
        """Raises Overloaded, before anything is stored. A message to a task that is there already relieves more than it costs."""
        refusal = self.places.full(rank_of(headers))
        if refusal is None and not self.patient:
            refusal = self.places.hopeless(by)
        if refusal is not None:
            raise refusal

    async def _settled(self, accepted: Accepted, by: Deadline) -> Task:
        """The task once the message is worked off, wherever that happens; as it is, when this process has to stop, or waited too long."""
        if _is_settled(accepted.snapshot, accepted.turn):
            return accepted.snapshot.task
        task = await self.worker.settled(accepted)
        if task is not None:
            return task
        async with aclosing(self._turn_of(accepted, by)) as happening:
            async for _ in happening:
                pass
        return (await self.book.get(accepted.task_id, None)).task

    async def _turn_of(self, accepted: Accepted, by: Deadline) -> AsyncGenerator[tuple[int, Streamed], None]:
        """What happens until the message is worked off and the task has come to rest, each with the version that it made.

        For as long as that can take, a replica that dies over it included: where its end cannot be written, because the database is
        full, nothing happens any more, and the task goes on without whoever waits.
        """
        answered = accepted.snapshot.answered >= accepted.turn
        at_most = by.remaining + self.revive + 3 * self._settings.lease
        until = asyncio.get_running_loop().time() + at_most
        follow = self.book.follow(accepted.task_id, accepted.snapshot.version)
        async with aclosing(follow) as happening:  # type: ignore[type-var]
            while True:
                try:
                    async with asyncio.timeout_at(until):
                        version, turn, event = await anext(happening)
                except (TimeoutError, StopAsyncIteration):
                    return
                yield version, event
                answered = answered or turn >= accepted.turn
                if answered and isinstance(event, TaskStatusUpdateEvent) and event.status.state in SETTLED:
                    return

    def _require_streaming(self) -> None:
        if not self._card.capabilities.streaming:
            raise UnsupportedOperationError(message="the agent does not stream")


def _is_settled(snapshot: Snapshot, turn: int) -> bool:
    return snapshot.answered >= turn and snapshot.task.status.state in SETTLED
