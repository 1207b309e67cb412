"""The minutes of one turn of a task: every decision taken in it, until the transaction that ends the turn, or a step of it, keeps them.

An id is derived from what is decided where, so work that is done again after a crash writes down the same decisions, not more.

A turn that calls tools without end has MOST rows, and then one more that counts what is not there. What changes the world (a verdict,
a person's word, an effect) is always there.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING, Any

from meshwright.records import correlation, tracing
from meshwright.records.decision import Decision, Kind
from meshwright.records.redact import reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshwright.records.metrics import Decided

#: Rows of one turn; of these kinds none is written beyond that, they are counted.
MOST = 1_000
_COUNTED: frozenset[Kind] = frozenset({"tool_call", "model_call", "agent_call", "context", "budget"})

_DATED = re.compile(r"[0-9a-f]{10}")


class Minutes:
    """What was decided in one turn. `agent` is who decides; `caller` is who asked for the work."""

    def __init__(
        self,
        agent: str,
        task: str = "",
        turn: int = 1,
        *,
        run: str = "",
        caller: str = "",
        tally: Decided | None = None,
    ) -> None:
        self.agent, self.task, self.turn, self.run, self.caller = agent, task, turn, run, caller
        self._tally = tally
        #: The ids of all that was taken, kept or not, in their order.
        self.ids: list[str] = []
        self._open: dict[str, Decision] = {}
        self._seen: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        #: The row that counts what was dropped; another once one was kept.
        self._count = 1

    def take(self, kind: Kind, *, key: str = "", began: float | None = None, **said: Any) -> str:
        """Write a decision down, as the fields of `Decision`; its id. It hangs on the span in hand.

        `key` names it among those of its kind in this turn, so that doing it again is the same decision; without one it is their number.
        `began` is when it began, by `time.time()`: its `ms` is the time since then. Empty is the id of one that is only counted.
        """
        name = self.id_of(kind, key)
        if kind in _COUNTED and len(self.ids) >= MOST and name not in self._open:
            self._dropped[kind] = self._dropped.get(kind, 0) + 1
            if self._tally is not None:
                self._tally.dropped += 1
            self._note(self._id(f"dropped/{self._count}"), "context", None, self._drops())
            return ""
        decision = self._note(name, kind, began, said)
        tracing.decided(decision)
        return name

    def _note(self, name: str, kind: Kind, began: float | None, said: dict[str, Any]) -> Decision:
        now = time.time()
        at = now if began is None else began
        place = tracing.place()
        if "reason" in said:
            said["reason"] = reason(said["reason"])
        decision = Decision(
            id=name,
            kind=kind,
            at=at,
            ms=max(int((now - at) * 1000), 0),
            agent=self.agent,
            correlation=correlation.in_hand.get() or self.task,
            run=self.run,
            task=self.task,
            turn=self.turn,
            trace=place.trace,
            span=place.span,
            above=place.above,
            caller=self.caller,
            **said,
        )
        if name not in self._open:
            self.ids.append(name)
        self._open[name] = decision
        return decision

    def _drops(self) -> dict[str, Any]:
        total = sum(self._dropped.values())
        why = f"{total} more were decided in this turn than the {MOST} that are written down"
        return {"outcome": "dropped", "reason": why, "more": {"dropped": dict(self._dropped)}}

    def id_of(self, kind: Kind, key: str = "") -> str:
        """The id that `take` will give, for what has to name it before; without a key each call counts."""
        name = f"{kind}/{key}"
        if not key:
            name = f"{kind}#{self._time(kind)}"
        return self._id(name)

    def nth(self, kind: Kind, what: str) -> str:
        """A key for what may happen more than once in a turn with nothing to tell it by: `what`, and which time it is."""
        name = hashlib.sha256(what.encode(errors="replace")).hexdigest()[:16]
        return f"{name}/{self._time(f'{kind}/{name}')}"

    def _time(self, what: str) -> int:
        """Which time it is, from 1 on."""
        self._seen[what] = times = self._seen.get(what, 0) + 1
        return times

    def _id(self, name: str) -> str:
        return decision_id(self.agent, self.task, self.turn, name)

    @property
    def open(self) -> list[Decision]:
        """What no transaction has kept yet. Give them back to `kept` once one has."""
        return list(self._open.values())

    def kept(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            if self._open.get(decision.id) is decision:
                del self._open[decision.id]
                if self._tally is not None:
                    self._tally.note(decision)
        if self._dropped:
            self._dropped.clear()
            self._count += 1


def decision_id(agent: str, task: str, turn: int, name: str) -> str:
    """The id of a decision by its place: `d` and 24 hexadecimal digits.

    It begins as the id of its task does, which begins with a time: what is written at one time lies together in the index of ids.
    """
    place = f"{agent}\0{task}\0{turn}\0{name}"
    when = task[:10] if _DATED.match(task) else ""
    return f"d{when}{hashlib.sha256(place.encode(errors='replace')).hexdigest()}"[:25]
