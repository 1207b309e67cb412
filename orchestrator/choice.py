"""Whom to ask for one part of a request, as it is written down: who could be asked, in which order, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from meshwright.records.context import Context
from meshwright.records.decision import Option

if TYPE_CHECKING:
    from meshwright.deadline import Deadline
    from meshwright.findings import Subtask
    from meshwright.outbound.peer import Peer
    from orchestrator.work import Drive, Trail

#: How one is chosen: the owners of the skill as the directory ranks them, then those who stand in for them.
STRATEGY = "owners-then-stand-ins"
#: How one is chosen who asked: the answer goes where the question came from.
SAME_TASK = "same-task"


class Choice:
    """One `route` decision. What is not said of it by the end is said for it: whoever was not reached was not needed."""

    def __init__(
        self, drive: Drive, subtask: Subtask, by: Deadline, turn: int, parent: str, *, about: str = ""
    ) -> None:
        key = f"{turn}/{subtask.id}/{about}" if about else f"{turn}/{subtask.id}"
        self.id = drive.minutes.id_of("route", key)
        self.context = Context(drive.minutes, key)
        self._known: dict[str, Any] = {
            "subtask": subtask.id,
            "parent": parent,
            "deadline_ms": int(by.remaining * 1000),
            "strategy": SAME_TASK if about else STRATEGY,
        }
        self._more: dict[str, Any] = {"skill": subtask.skill, "round": turn, "critical": subtask.critical}
        self._options: dict[str, Option] = {}
        self._waiting: set[str] = set()
        self._outcome, self._selected, self._reason = "gap", "", "nobody offers it"

    @property
    def call(self) -> dict[str, Any]:
        """What each call that follows from it says of itself."""
        return {"subtask": self._known["subtask"], "parent": self.id}

    def given(self, tokens: int) -> None:
        self._known["tokens_given"] = tokens

    def passes_over(self, name: str, why: str) -> None:
        self._options[f"over:{name}"] = Option(name=name, why_not=why)

    def may_ask(self, queue: Sequence[tuple[Peer, bool]]) -> None:
        """Those who can be asked, in their order; each with whether it only stands in."""
        names = [peer.name for peer, _ in queue]
        for place, (peer, spare) in enumerate(queue, 1):
            alone = names.count(peer.name) == 1
            # one that was passed over comes again at its place, which is behind the others
            over = self._options.pop(f"over:{peer.name}", None)
            why = over.why_not if over else "it only stands in" if spare else "one before it was asked"
            name = peer.name if alone else f"{peer.name} at {peer.url}"
            self._options[peer.url] = Option(name=name, score=place, why_not=why)
            self._waiting.add(peer.url)

    def failed(self, peer: Peer, why: str) -> None:
        """One was asked, or could not be, and the next is."""
        known = self._options.get(peer.url) or Option(name=peer.name)
        self._options[peer.url] = known.model_copy(update={"why_not": why[:200]})
        self._waiting.discard(peer.url)
        self._reason = why

    def came(self, peer: Peer, outcome: str, why: str) -> None:
        """Who it was in the end."""
        known = self._options.get(peer.url) or Option(name=peer.name)
        self._options[peer.url] = known.model_copy(update={"why_not": ""})
        self._outcome, self._selected, self._reason = outcome, peer.name, why

    def nobody(self, why: str) -> None:
        """Nobody answered; for the same reason those were not asked who would have been next."""
        self._reason = why
        for url in self._waiting:
            self._options[url] = self._options[url].model_copy(update={"why_not": why[:200]})

    @contextmanager
    def noted(self, trail: Trail) -> Iterator[None]:
        """Around the asking: what it came to is written down, also when it is cut off."""
        over = False
        try:
            yield
            over = True
        finally:
            if not over:
                self._outcome, self._reason = "called-off", "nobody waits for it any more"
            if trail.degraded:
                self._more["degraded"] = list(trail.degraded)
            options = tuple(self._options.values())
            self.context.note(
                self._outcome,
                kind="route",
                selected=self._selected,
                reason=self._reason,
                options=options,
                more=self._more,
                **self._known,
            )
