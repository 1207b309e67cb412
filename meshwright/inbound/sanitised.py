"""No caller learns what broke inside: an error that is not meant for them becomes a reference into our log.

The SDK puts `str(exc)` into its answer on JSON-RPC, and the type's name too on gRPC.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING

from a2a.server.request_handlers import RequestHandler
from a2a.utils.errors import A2AError, InternalError

from meshwright.errors import MeshError

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.server.events import Event
    from a2a.types import (
        AgentCard,
        CancelTaskRequest,
        DeleteTaskPushNotificationConfigRequest,
        GetExtendedAgentCardRequest,
        GetTaskPushNotificationConfigRequest,
        GetTaskRequest,
        ListTaskPushNotificationConfigsRequest,
        ListTaskPushNotificationConfigsResponse,
        ListTasksRequest,
        ListTasksResponse,
        Message,
        SendMessageRequest,
        SubscribeToTaskRequest,
        Task,
        TaskPushNotificationConfig,
    )

log = logging.getLogger(__name__)


class Discretion:
    """A context manager that lets A2A's own errors through, and turns every other into InternalError and a line in the log."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, A2AError):
            return
        if isinstance(error, MeshError):
            raise InternalError(message=str(error)) from None
        raise internal_error(error) from None


def internal_error(error: Exception) -> InternalError:
    """What a caller is told of `error`, which is in the log under the same reference."""
    reference = secrets.token_hex(4)
    log.error("internal error; reference %s", reference, exc_info=error)
    return InternalError(message=f"internal error; reference {reference}")


class Sanitised(RequestHandler):
    """The operations of `handler`, discreetly."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler
        self._discretion = Discretion()

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Task | Message:
        with self._discretion:
            return await self._handler.on_message_send(params, context)

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        with self._discretion:
            async with aclosing(self._handler.on_message_send_stream(params, context)) as events:
                async for event in events:
                    yield event

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        with self._discretion:
            async with aclosing(self._handler.on_subscribe_to_task(params, context)) as events:
                async for event in events:
                    yield event

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        with self._discretion:
            return await self._handler.on_get_task(params, context)

    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        with self._discretion:
            return await self._handler.on_list_tasks(params, context)

    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task | None:
        with self._discretion:
            return await self._handler.on_cancel_task(params, context)

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        with self._discretion:
            return await self._handler.on_create_task_push_notification_config(params, context)

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        with self._discretion:
            return await self._handler.on_get_task_push_notification_config(params, context)

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        with self._discretion:
            return await self._handler.on_list_task_push_notification_configs(params, context)

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        with self._discretion:
            await self._handler.on_delete_task_push_notification_config(params, context)

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        with self._discretion:
            return await self._handler.on_get_extended_agent_card(params, context)
