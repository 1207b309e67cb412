"""Whether a client's message answers a question: only if that question had been put to them when the message was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a.types import Message, TaskStatusUpdateEvent

from meshwright.extension import URI
from meshwright.parts import data_in
from meshwright.protojson import to_dict
from meshwright.tasks.events import INTERRUPTED, since

if TYPE_CHECKING:
    from meshwright.database import Database


async def came_after(database: Database, task_id: str, message_id: str, asked: str) -> bool:
    """Whether `message_id` came after the question `asked` had been put to the client.

    A message that came before waits in the inbox as any other; it must not become the answer to a question that its sender has not
    seen.
    """
    put = False
    for _, _, event in await database.read(lambda tx: since(tx, task_id, 0)):
        if isinstance(event, TaskStatusUpdateEvent) and event.status.state in INTERRUPTED:
            put = put or asked in _put_with(event)
        elif isinstance(event, Message) and event.message_id == message_id:
            return put
    return False


def _put_with(event: TaskStatusUpdateEvent) -> set[str]:
    """The ids of what a status asks: in its notes, and in its data, which a client may not take. Builds before had the data only."""
    noted = to_dict(event.metadata).get(URI) or {}
    said = [c.get("asks") for c in data_in(event.status.message.parts) if isinstance(c, dict)]
    return {str(noted.get("asks", "")), *(str(asks.get("id", "")) for asks in said if isinstance(asks, dict))}
