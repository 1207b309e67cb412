"""What a request must hold before anybody looks for it in the store: the fields that A2A requires, and ids that a database can keep.

protobuf takes a message without them, an enum's number that has no name, and a zero character in a text, which PostgreSQL does not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from a2a.types import Role, TaskState
from a2a.utils.errors import ContentTypeNotSupportedError, InvalidParamsError, TaskNotFoundError

from meshwright.mediatypes import essence, names
from meshwright.parts import MAX_PARTS, text_in

if TYPE_CHECKING:
    from a2a.types import AgentCard, ListTasksRequest, Message, TaskPushNotificationConfig

MAX_ID = 128
MAX_URL = 2048
_ROLES = frozenset({Role.ROLE_USER, Role.ROLE_AGENT})
_STATES, _STATE_NAMES = frozenset(TaskState.values()), tuple(TaskState.keys())
#: What may stand in a header (RFC 9110, 5.5 and 5.6.2): a value, and a token such as the name of a scheme.
_VALUE, _TOKEN = re.compile(r"[\x20-\x7e]*"), re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def require_task(task_id: str, name: str = "id") -> None:
    """Raises InvalidParamsError for an id that is missing, TaskNotFoundError for one that no task can have."""
    if not task_id:
        raise InvalidParamsError(message=f"{name} is missing: it names the task")
    if not task_id.isprintable():
        raise TaskNotFoundError(message=f"there is no task {task_id[:MAX_ID]!r}")


def require_text(value: str, name: str) -> None:
    """Raises InvalidParamsError for an id, or what stands like one, that is too long or cannot be printed."""
    if len(value) > MAX_ID:
        raise InvalidParamsError(message=f"{name} is longer than {MAX_ID} characters")
    if not value.isprintable():
        raise InvalidParamsError(message=f"{name} holds characters that cannot be printed")


def require_message(message: Message) -> None:
    """Raises InvalidParamsError for what no task should be made of."""
    if not message.message_id:
        raise InvalidParamsError(message="the message needs a messageId")
    require_text(message.message_id, "messageId")
    require_text(message.task_id, "taskId")
    require_text(message.context_id, "contextId")
    if message.role not in _ROLES:
        raise InvalidParamsError(message="the message needs a role: ROLE_USER or ROLE_AGENT")
    if len(message.parts) > MAX_PARTS:
        raise InvalidParamsError(message=f"the message has more than {MAX_PARTS} parts")
    if not text_in(message.parts) and not any(
        part.WhichOneof("content") not in (None, "text") for part in message.parts
    ):
        raise InvalidParamsError(message="the message is empty: say in a text part what you need")


def require_filter(request: ListTasksRequest) -> None:
    """Raises InvalidParamsError for a list of what there cannot be."""
    if request.status not in _STATES:
        raise InvalidParamsError(message=f"status is none of {', '.join(_STATE_NAMES)}")
    if not request.context_id.isprintable():
        raise InvalidParamsError(message="contextId holds characters that cannot be printed")


def require_config(config_id: str) -> None:
    """Raises InvalidParamsError for the id of a push notification configuration that is missing, or that none can have."""
    if not config_id:
        raise InvalidParamsError(message="id is missing: it names the push notification configuration")
    require_text(config_id, "id")


def require_state(name: object) -> None:
    """Raises InvalidParamsError for the name of a state that there is none of; JSON's numbers are for `require_filter`."""
    if isinstance(name, str) and name not in _STATE_NAMES:
        raise InvalidParamsError(message=f"status is none of {', '.join(_STATE_NAMES)}")


def require_push(config: TaskPushNotificationConfig) -> None:
    """Raises InvalidParamsError for a configuration that no notification could be sent by."""
    require_text(config.id, "the configuration's id")
    if not config.url:
        raise InvalidParamsError(message="url is missing: where notifications go")
    if len(config.url) > MAX_URL or not config.url.isprintable() or " " in config.url:
        raise InvalidParamsError(message=f"url is no URL of at most {MAX_URL} characters")
    if config.HasField("authentication") and not _TOKEN.fullmatch(config.authentication.scheme):
        raise InvalidParamsError(message="authentication.scheme is no name of a scheme, like Bearer")
    for name, value in (
        ("token", config.token),
        ("authentication.credentials", config.authentication.credentials),
    ):
        if not _VALUE.fullmatch(value):
            raise InvalidParamsError(message=f"{name} holds what no header can: it must be printable ASCII")


def input_modes(card: AgentCard) -> frozenset[str]:
    """The media types that an agent takes, for one of its skills at least; empty if it declares none, and takes all."""
    declared = [*card.default_input_modes, *(mode for skill in card.skills for mode in skill.input_modes)]
    return frozenset(essence(mode) for mode in declared)


def require_input_modes(message: Message, known: frozenset[str]) -> None:
    """Raises ContentTypeNotSupportedError for a part that says itself that it is of a type which is not among `known`."""
    for part in message.parts:
        if part.media_type and known and not known.intersection(names(essence(part.media_type))):
            raise ContentTypeNotSupportedError(
                message=f"{part.media_type[:MAX_ID]} is not taken here; these are: {', '.join(sorted(known))}"
            )
