"""The operations about push notifications: where word of a task goes, and whose tasks they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a.server.request_handlers import RequestHandler
from a2a.types import (
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import InvalidParamsError, PushNotificationNotSupportedError, TaskNotFoundError

from meshwright.inbound.told import told
from meshwright.inbound.wellformed import require_config, require_push, require_task, require_text
from meshwright.tasks import pushes

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.types import AgentCard

    from meshwright.tasks.book import TaskBook


class PushDesk(RequestHandler):
    """Part of the A2A operations. `screen` says whether a notification may go to an address."""

    def __init__(self, card: AgentCard, screen: pushes.Screen | None) -> None:
        self._card = card
        self._screen = screen
        #: There from the start of the server to its end.
        self.book: TaskBook

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        self._require_pushes()
        require_task(params.task_id, "taskId")
        await self._check_push(params)
        with told(context):
            return await pushes.add(self.book, params, owner_of(context))

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        configs = await self._configs(params.task_id, context)
        require_config(params.id)
        for config in configs:
            if config.id == params.id:
                return config
        raise TaskNotFoundError(message=f"the task has no push notification configuration {params.id!r}")

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        if params.page_size < 0:
            raise InvalidParamsError(message="pageSize is negative")
        return pushes.page(await self._configs(params.task_id, context), params.page_size, params.page_token)

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        await self._configs(params.task_id, context)
        require_config(params.id)
        with told(context):
            await self.book.database.write(lambda tx: pushes.forget(tx, params.task_id, params.id))

    async def _configs(self, task_id: str, context: ServerCallContext) -> list[TaskPushNotificationConfig]:
        self._require_pushes()
        require_task(task_id, "taskId")
        with told(context):
            await self.book.get(task_id, owner_of(context))
            return await self.book.database.read(lambda tx: pushes.kept(tx, task_id))

    async def _check_push(self, config: TaskPushNotificationConfig) -> None:
        self._require_pushes()
        require_push(config)
        if self._screen is not None and (why := await self._screen(config.url)):
            raise InvalidParamsError(message=f"no push notification goes to that address: {why}")

    def _require_pushes(self) -> None:
        if not self._card.capabilities.push_notifications:
            raise PushNotificationNotSupportedError


def owner_of(context: ServerCallContext) -> str:
    """Whose tasks a caller sees: those of the same user in the same tenant. Raises InvalidParamsError."""
    require_text(context.tenant, "tenant")
    return f"{context.tenant}\x1f{context.user.user_name}"
