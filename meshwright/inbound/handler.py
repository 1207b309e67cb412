"""The A2A operations: a2a-sdk's handler, plus what it lets through and should not.

Tasks live in this process's memory until the durable task core replaces this room.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore
from a2a.utils.errors import InvalidParamsError

from meshwright.parts import MAX_PARTS, text_in

if TYPE_CHECKING:
    from a2a.server.agent_execution import AgentExecutor
    from a2a.server.context import ServerCallContext
    from a2a.server.events import Event
    from a2a.types import AgentCard, Message, SendMessageRequest, Task

MAX_ID = 128
#: Seconds after which a task that waits for input stops holding memory; a follow-up finds it again in the store.
PARKED = 300.0


class MeshRequestHandler(DefaultRequestHandler):
    """Checks a message before a task exists, and infers the context of a follow-up, as the specification demands."""

    def __init__(self, executor: AgentExecutor, card: AgentCard) -> None:
        self._tasks = InMemoryTaskStore()
        super().__init__(
            agent_executor=executor,
            task_store=self._tasks,
            agent_card=card,
            validate_input_modes=True,
            interrupted_task_timeout=PARKED,
        )

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Message | Task:
        await self._check(params.message, context)
        result: Message | Task = await super().on_message_send(params, context)
        return result

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        await self._check(params.message, context)
        async for event in super().on_message_send_stream(params, context):
            yield event

    async def _check(self, message: Message, context: ServerCallContext) -> None:
        if not message.message_id:
            raise InvalidParamsError(message="the message needs a messageId")
        for name in ("message_id", "task_id", "context_id"):
            if len(getattr(message, name)) > MAX_ID:
                raise InvalidParamsError(message=f"{name} is longer than {MAX_ID} characters")
        if len(message.parts) > MAX_PARTS:
            raise InvalidParamsError(message=f"the message has more than {MAX_PARTS} parts")
        if not text_in(message.parts) and not any(part.HasField("data") for part in message.parts):
            raise InvalidParamsError(message="the message is empty: say in a text part what you need")
        if message.task_id and not message.context_id:
            task = await self._tasks.get(message.task_id, context)
            if task is not None:
                message.context_id = task.context_id
