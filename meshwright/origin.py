"""On whose behalf a piece of work is done: what travels with every call that is made for it, besides its time and its money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshwright.extension import HEADER_RUN
from meshwright.inbound.ancestry import HEADER as ANCESTRY
from meshwright.inbound.ancestry import handed_on
from meshwright.inbound.places import HEADER as PRIORITY
from meshwright.inbound.places import RANKS

if TYPE_CHECKING:
    from meshwright.inbound.identity import Identity


def _stays() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Origin:
    """The task that the work is done for, its run, how urgent it is, and the chain of agents above it.

    `moved` says whether the work goes on in another process by now: then what it asked of others is still wanted.
    """

    task: str = ""
    run: str = ""
    priority: str = ""
    ancestry: str = field(default="", repr=False)
    moved: Callable[[], bool] = field(default=_stays, compare=False, repr=False)

    @classmethod
    def from_headers(
        cls, headers: Mapping[str, str], task: str, moved: Callable[[], bool] = _stays
    ) -> Origin:
        """From the headers that came with a task's message, which were checked at the door."""
        priority = headers.get(PRIORITY, "").strip().lower()
        known = priority if priority in RANKS else ""
        return cls(task, headers.get(HEADER_RUN, "")[:64], known, headers.get(ANCESTRY, ""), moved)

    def of(self, run: str) -> Origin:
        """The same, as part of `run`."""
        return replace(self, run=run)

    def headers(self, identity: Identity, to: str) -> dict[str, str]:
        """For a call to the process `to`. The chain is for servers of this mesh only: others (an empty `to`) get none."""
        return {
            **({HEADER_RUN: self.run} if self.run else {}),
            **({PRIORITY: self.priority} if self.priority else {}),
            **self._ancestry(identity, to),
        }

    def _ancestry(self, identity: Identity, to: str) -> dict[str, str]:
        if not (self.task and to):
            return {}
        return {ANCESTRY: handed_on(self.ancestry, identity, to, task=self.task, run=self.run)}
