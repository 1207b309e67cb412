"""A request that lacks what A2A requires, or holds what no database keeps, is refused in A2A's words, on each store alike."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from a2a.server.context import ServerCallContext
from a2a.types import (
    AgentCard,
    AgentSkill,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import ContentTypeNotSupportedError, InvalidParamsError, TaskNotFoundError

from meshwright.inbound.wellformed import input_modes, require_input_modes

ZERO = "a\0b"
HOOK = "https://example.com/hook"


def token(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode()


async def call(handler: Any, operation: str, request: Any, tenant: str = "") -> Any:
    answer = getattr(handler, f"on_{operation}")(request, ServerCallContext(tenant=tenant))
    if operation == "subscribe_to_task":
        return [event async for event in answer]
    return await answer


def about(task_id: str) -> list[tuple[str, Any]]:
    """Each operation on a task that there is, for the task with this id."""
    return [
        ("get_task", GetTaskRequest(id=task_id)),
        ("cancel_task", CancelTaskRequest(id=task_id)),
        ("subscribe_to_task", SubscribeToTaskRequest(id=task_id)),
        (
            "create_task_push_notification_config",
            TaskPushNotificationConfig(task_id=task_id, url=HOOK),
        ),
        (
            "get_task_push_notification_config",
            GetTaskPushNotificationConfigRequest(task_id=task_id, id="c"),
        ),
        (
            "list_task_push_notification_configs",
            ListTaskPushNotificationConfigsRequest(task_id=task_id),
        ),
        (
            "delete_task_push_notification_config",
            DeleteTaskPushNotificationConfigRequest(task_id=task_id, id="c"),
        ),
    ]


async def test_without_the_id_of_a_task_no_operation_on_one_is_tried(start: Any) -> None:
    one = await start()
    for operation, request in about(""):
        with pytest.raises(InvalidParamsError, match="is missing"):
            await call(one.handler, operation, request)


@pytest.mark.parametrize("task_id", [ZERO, "x" * 300, "tâche-✓", "../x", "'; --"])
async def test_an_id_that_no_task_has_is_not_found_whatever_it_holds(start: Any, task_id: str) -> None:
    one = await start()
    for operation, request in about(task_id):
        with pytest.raises(TaskNotFoundError):
            await call(one.handler, operation, request)


@pytest.mark.parametrize("tenant", [ZERO, "t" * 5000])
async def test_a_tenant_that_cannot_be_kept_is_refused(start: Any, tenant: str) -> None:
    one = await start()
    task = await one.send("ask")
    for operation, request in about(task.id):
        with pytest.raises(InvalidParamsError, match="tenant"):
            await call(one.handler, operation, request, tenant)
    with pytest.raises(InvalidParamsError, match="tenant"):
        await one.send("hi", tenant=tenant)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": 99},
        {"status": -5},
        {"context_id": ZERO},
        {"page_token": token('[1.0, "\\u0000"]')},
        {"page_token": token('[NaN, "a"]')},
        {"page_token": token('[1e999, "a"]')},
        {"page_token": token("[" * 5000)},
        {"page_token": "é"},
    ],
)
async def test_a_list_of_what_cannot_be_is_refused(start: Any, fields: Any) -> None:
    one = await start()
    await one.send("hi")
    with pytest.raises(InvalidParamsError):
        await one.list(**fields)


@pytest.mark.parametrize("seconds", [10**17, -(10**17), 2**63 - 1])
async def test_a_moment_that_no_calendar_has_is_compared_all_the_same(start: Any, seconds: int) -> None:
    one = await start()
    await one.send("hi")
    page = await one.list(status_timestamp_after={"seconds": seconds})
    assert page.total_size == (1 if seconds < 0 else 0)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"message_id": ""}, "messageId"),
        ({"message_id": "m" * 129}, "messageId"),
        ({"role": Role.ROLE_UNSPECIFIED}, "role"),
        ({"role": 77}, "role"),
        ({"context_id": "c" * 129}, "contextId"),
        ({"context_id": ZERO}, "contextId"),
        ({"task_id": ZERO}, "taskId"),
        ({"parts": []}, "empty"),
        ({"parts": [Part()]}, "empty"),
        ({"parts": [Part(text=" ")]}, "empty"),
    ],
)
async def test_a_message_that_lacks_something_is_refused_by_its_name(
    start: Any, fields: Any, named: str
) -> None:
    one = await start()
    whole = {"message_id": "m", "role": Role.ROLE_USER, "parts": [Part(text="hi")]}
    request = SendMessageRequest(message=Message(**{**whole, **fields}))
    with pytest.raises(InvalidParamsError, match=named):
        await call(one.handler, "message_send", request)
    assert (await one.list()).total_size == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"url": ""},
        {"url": "https://example.com/\t"},
        {"url": "https://example.com/" + "x" * 2048},
        {"id": ZERO},
        {"id": "i" * 129},
        {"token": "a\r\nx: y"},
        {"token": "schlüssel"},
        {"authentication": {}},
        {"authentication": {"scheme": "Be arer"}},
        {"authentication": {"scheme": "Bearer", "credentials": "a\nb"}},
    ],
)
async def test_a_configuration_that_nothing_could_be_sent_by_is_refused(start: Any, fields: Any) -> None:
    one = await start()
    task = await one.send("ask")
    config = TaskPushNotificationConfig(**{"task_id": task.id, "url": HOOK, **fields})
    with pytest.raises(InvalidParamsError):
        await call(one.handler, "create_task_push_notification_config", config)
    request = ListTaskPushNotificationConfigsRequest(task_id=task.id)
    assert not (await call(one.handler, "list_task_push_notification_configs", request)).configs


async def test_each_configuration_without_an_id_gets_one_of_its_own(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("ask")
    made = [
        await call(
            replica.handler,
            "create_task_push_notification_config",
            TaskPushNotificationConfig(task_id=task.id, url=f"{HOOK}/{number}"),
        )
        for number, replica in enumerate((one, two))
    ]
    request = ListTaskPushNotificationConfigsRequest(task_id=task.id)
    kept = (await call(one.handler, "list_task_push_notification_configs", request)).configs
    assert {each.id: each.url for each in kept} == {each.id: each.url for each in made}
    assert len({each.id for each in made} - {""}) == 2


async def test_configurations_are_listed_in_pages_each_once(start: Any) -> None:
    one = await start()
    task = await one.send("ask")
    for name in ("b", "B", "a", "ä", "1"):
        config = TaskPushNotificationConfig(task_id=task.id, id=name, url=HOOK)
        await call(one.handler, "create_task_push_notification_config", config)
    seen, more = [], ""
    while not seen or more:
        request = ListTaskPushNotificationConfigsRequest(task_id=task.id, page_size=2, page_token=more)
        page = await call(one.handler, "list_task_push_notification_configs", request)
        assert len(page.configs) <= 2
        seen += [config.id for config in page.configs]
        more = page.next_page_token
    assert sorted(seen) == seen == ["1", "B", "a", "b", "ä"]
    with pytest.raises(InvalidParamsError):
        await call(
            one.handler,
            "list_task_push_notification_configs",
            ListTaskPushNotificationConfigsRequest(task_id=task.id, page_size=-1),
        )


async def test_a_configuration_is_not_asked_for_or_deleted_without_its_id(start: Any) -> None:
    one = await start()
    task = await one.send("ask")
    for operation, request in (
        ("get", GetTaskPushNotificationConfigRequest(task_id=task.id)),
        ("delete", DeleteTaskPushNotificationConfigRequest(task_id=task.id)),
        ("delete", DeleteTaskPushNotificationConfigRequest(task_id=task.id, id=ZERO)),
    ):
        with pytest.raises(InvalidParamsError):
            await call(one.handler, f"{operation}_task_push_notification_config", request)


CARD = AgentCard(default_input_modes=["text/plain", "Image/*"], skills=[AgentSkill(input_modes=["a/b+json"])])


@pytest.mark.parametrize(
    "kind", ["text/plain", "Text/Plain", "text/plain; charset=utf-8", "image/png", "a/b+json", ""]
)
def test_a_media_type_is_known_by_any_way_to_write_it(kind: str) -> None:
    require_input_modes(Message(parts=[Part(text="hi", media_type=kind)]), input_modes(CARD))


@pytest.mark.parametrize("kind", ["video/mp4", "text", "text/*", "plain", ";", "imagery/png"])
def test_a_media_type_that_no_skill_takes_is_refused(kind: str) -> None:
    with pytest.raises(ContentTypeNotSupportedError):
        require_input_modes(Message(parts=[Part(text="hi", media_type=kind)]), input_modes(CARD))


def test_an_agent_that_declares_no_media_types_takes_all() -> None:
    require_input_modes(Message(parts=[Part(text="hi", media_type="video/mp4")]), input_modes(AgentCard()))


def test_what_is_json_by_its_suffix_is_taken_where_json_is() -> None:
    """AG2 sends what was said before as a part of a type of its own."""
    message = Message(parts=[Part(media_type="application/vnd.ag2.history+json")])
    require_input_modes(message, input_modes(AgentCard(default_input_modes=["application/json"])))
    with pytest.raises(ContentTypeNotSupportedError):
        require_input_modes(message, input_modes(CARD))
