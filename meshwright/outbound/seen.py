"""What a call has shown so far: the events of a peer's stream, folded into the one task they are about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from meshwright.errors import (
    DelegationLoop,
    InvalidRequest,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerTaskFailed,
    PeerTimedOut,
    PeerUnreachable,
)
from meshwright.extension import URI
from meshwright.findings import Asks, Question
from meshwright.outbound.breaker import FLOOR
from meshwright.outbound.lost import refused
from meshwright.parts import read_as, whole_numbers

#: A2A's states, less their prefix.
GOING_ON = ("", "UNSPECIFIED", "SUBMITTED", "WORKING")
ASKING_BACK = ("INPUT_REQUIRED", "AUTH_REQUIRED")


class Seen:
    """What a call to `peer` has shown so far. `remote` is the task's id, known before it in a call that comes back.

    `answered` is the id of the question that the call brings the answer to: a task that is seen to wait for that still has
    not taken it up yet.
    """

    def __init__(
        self,
        peer: str,
        remote: str,
        began: Callable[[str], Awaitable[None]] | None,
        answered: str = "",
    ) -> None:
        self.peer = peer
        self.remote = remote
        self._answered = answered
        #: Whether the peer has shown the task.
        self.there = False
        self.state = ""
        #: The text of the task's status, and what the peer notes under the mesh's extension.
        self.reason = ""
        self._message: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}
        #: Set once the task's id is known.
        self.known = asyncio.Event()
        if remote:
            self.known.set()
        #: Hears the id when it is known.
        self.began = began
        self._artifacts: dict[str, list[Any]] = {}

    @property
    def settled(self) -> bool:
        return self.there and self.state not in GOING_ON and not self._takes_it_up

    @property
    def asks_back(self) -> bool:
        """Whether the task waits for more from us."""
        return self.there and self.state in ASKING_BACK

    @property
    def _takes_it_up(self) -> bool:
        return self.asks_back and bool(self._answered) and self._asks_id() == self._answered

    def asks(self, *, of_the_mesh: bool) -> Asks | None:
        """What the task waits for, where it can be answered; from a peer that is not of the mesh, its words as a question.

        Raises PeerAnsweredBadly.
        """
        if not (self.there and self.state == "INPUT_REQUIRED") or self._takes_it_up:
            return None
        content = self._asks_part() if of_the_mesh else None
        try:
            if content is not None:
                return read_as(Asks, content)
            words = self.reason[:8_000] or "it asks for more, without a word"
            return Asks(id=self._asks_id(), question=Question(text=words))
        except (InvalidRequest, ValidationError) as error:
            raise PeerAnsweredBadly(self.peer, f"what it asks is off: {error}") from None

    def _asks_id(self) -> str:
        content = self._asks_part()
        name = content.get("id") if isinstance(content, dict) else None
        # The status of a stranger's task has a message of its own each time that it asks.
        return str(name or self._message.get("messageId") or self.reason)[:120] or "?"

    def _asks_part(self) -> Any:
        parts = data_of(self._message.get("parts", ()))
        return next((part["asks"] for part in parts if isinstance(part, dict) and "asks" in part), None)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The parts of all artifacts, as A2A's JSON."""
        return [part for parts in self._artifacts.values() for part in parts if isinstance(part, dict)]

    def require_completed(self, given: float) -> None:
        """Raises the PeerError that says why the task was not completed; the call had `given` seconds."""
        peer, reason = self.peer, self.reason
        if not self.there:
            raise PeerAnsweredBadly(peer, "no task and no message came back")
        if self.state == "COMPLETED":
            return
        if self.asks_back:
            raise PeerTaskFailed(peer, f"it asks back: {reason[:400]}")
        if not self.settled:
            raise PeerUnreachable(peer, "the stream ended before its task did")
        code = self.notes.get("code") if self.state == "FAILED" else None
        if code == "OVERLOADED":
            raise PeerOverloaded(peer, reason[:200])
        if code == "WORKER_FAILED":  # asked again, it would most likely lose another worker over it
            raise PeerAnsweredBadly(peer, reason[:200])
        if code == "INTERNAL":
            raise PeerUnreachable(peer, reason[:200])
        if code == "DEADLINE_EXCEEDED":
            # That its own server noticed first that it was slow does not make it well.
            raise PeerTimedOut(peer, "its deadline passed before it was done", tells=given >= FLOOR)
        if isinstance(loop := refused(peer, reason, self.notes.get("code")), DelegationLoop):
            raise loop
        raise PeerTaskFailed(peer, reason[:400] or "its task failed without a reason")

    async def take(self, event: dict[str, Any]) -> None:
        """One event, as JSON of a StreamResponse. Raises PeerAnsweredBadly if it is none, or one of another task."""
        before = self.remote
        try:
            self._fold(event)
        except (AttributeError, KeyError, TypeError):
            raise PeerAnsweredBadly(self.peer, "an event of its stream is not one of A2A") from None
        if self.remote and self.remote != before:
            self.known.set()
            if self.began is not None:
                await self.began(self.remote)

    def _fold(self, event: dict[str, Any]) -> None:
        if "task" in event:
            task = event["task"]
            self._about(task["id"])
            self.there, self.remote = True, str(task["id"])
            self._artifacts = {}
            for artifact in task.get("artifacts", ()):
                self._artifact(artifact, append=False)
            self._status(task.get("status", {}), task.get("metadata"))
        elif "message" in event:
            message = event["message"]
            self.there, self.state = True, "COMPLETED"
            self.remote = str(message.get("taskId", ""))
            self._artifacts = {"": list(message["parts"])}
        elif "statusUpdate" in event and self.there:
            update = event["statusUpdate"]
            self._about(update.get("taskId"))
            self._status(update["status"], update.get("metadata"))
        elif "artifactUpdate" in event and self.there:
            update = event["artifactUpdate"]
            self._about(update.get("taskId"))
            self._artifact(update["artifact"], append=bool(update.get("append")))

    def _about(self, task_id: Any) -> None:
        if self.there and task_id not in (None, "", self.remote):
            raise PeerAnsweredBadly(self.peer, "it speaks of another task than the one it began")

    def _status(self, status: dict[str, Any], metadata: Any) -> None:
        self.state = str(status.get("state", "")).removeprefix("TASK_STATE_")
        self._message = status.get("message") or {}
        self.reason = text_of(self._message.get("parts", ()))
        notes = (metadata or {}).get(URI)
        if isinstance(notes, dict):
            self.notes |= whole_numbers(notes)

    def _artifact(self, artifact: dict[str, Any], *, append: bool) -> None:
        key, parts = str(artifact.get("artifactId", "")), list(artifact["parts"])
        if append and key in self._artifacts:
            self._artifacts[key].extend(parts)
        else:
            self._artifacts[key] = parts


def text_of(parts: Any) -> str:
    """The text parts of A2A's JSON, joined by newlines."""
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part).strip()


def data_of(parts: Any) -> list[Any]:
    """The JSON of every data part. A peer with protobuf behind it sends all numbers as floats; whole ones become ints here."""
    return [whole_numbers(part["data"]) for part in parts if "data" in part]
