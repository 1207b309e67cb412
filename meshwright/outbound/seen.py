"""What a call has shown so far: the events of a peer's stream, folded into the one task they are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from meshwright.errors import PeerAnsweredBadly
from meshwright.extension import URI
from meshwright.parts import whole_numbers

GOING_ON = ("", "TASK_STATE_UNSPECIFIED", "TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")


class Seen:
    """What a call has shown so far. `remote` is the task's id, known before it in a call that comes back."""

    def __init__(self, peer: str, remote: str, began: Callable[[str], Awaitable[None]] | None) -> None:
        self.remote = remote
        #: Whether the peer has shown the task.
        self.there = False
        self.state = ""
        #: What the task's status says, and the parts of its artifacts, as A2A's JSON.
        self.reason = ""
        self.notes: dict[str, Any] = {}
        self._peer = peer
        self._artifacts: dict[str, list[Any]] = {}
        self._began = began

    @property
    def settled(self) -> bool:
        return self.there and self.state not in GOING_ON

    @property
    def parts(self) -> list[dict[str, Any]]:
        return [part for parts in self._artifacts.values() for part in parts if isinstance(part, dict)]

    async def take(self, event: dict[str, Any]) -> None:
        """One event, as JSON of a StreamResponse. Raises PeerAnsweredBadly if it is none."""
        before = self.remote
        try:
            self._fold(event)
        except (AttributeError, KeyError, TypeError):
            raise PeerAnsweredBadly(self._peer, "an event of its stream is not one of A2A") from None
        if self.remote and self.remote != before and self._began is not None:
            await self._began(self.remote)

    def _fold(self, event: dict[str, Any]) -> None:
        if "task" in event:
            task = event["task"]
            self.there, self.remote = True, str(task["id"])
            self._artifacts = {}
            for artifact in task.get("artifacts", ()):
                self._artifact(artifact, append=False)
            self._status(task.get("status", {}), task.get("metadata"))
        elif "message" in event:
            message = event["message"]
            self.there, self.state = True, "TASK_STATE_COMPLETED"
            self.remote = str(message.get("taskId", ""))
            self._artifacts = {"": list(message["parts"])}
        elif "statusUpdate" in event and self.there:
            self._status(event["statusUpdate"]["status"], event["statusUpdate"].get("metadata"))
        elif "artifactUpdate" in event and self.there:
            update = event["artifactUpdate"]
            self._artifact(update["artifact"], append=bool(update.get("append")))

    def _status(self, status: dict[str, Any], metadata: Any) -> None:
        self.state = str(status.get("state", ""))
        self.reason = text_of(status.get("message", {}).get("parts", ()))
        notes = (metadata or {}).get(URI)
        if isinstance(notes, dict):
            self.notes |= whole_numbers(notes)

    def _artifact(self, artifact: dict[str, Any], *, append: bool) -> None:
        key, parts = str(artifact.get("artifactId", "")), list(artifact["parts"])
        self._artifacts[key] = [*self._artifacts.get(key, ()), *parts] if append else parts


def text_of(parts: Any) -> str:
    """The text parts of A2A's JSON, joined by newlines."""
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part).strip()


def data_of(parts: Any) -> list[Any]:
    """The JSON of every data part. A peer with protobuf behind it sends all numbers as floats; whole ones become ints here."""
    return [whole_numbers(part["data"]) for part in parts if "data" in part]
