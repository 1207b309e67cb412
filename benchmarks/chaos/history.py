"""What was seen of a storm, and what it shows: lost, stuck, done twice, changed after the end. Judged from outside the mesh."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field

TERMINAL = {"completed", "failed", "canceled", "rejected"}
WAITING = {"input_required", "auth_required"}
#: Of these a ticket gets one, whatever their arguments are.
ONCE_A_TICKET = {"reply", "escalate", "close"}


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One line of the tool servers' journal: what really happened to the shop."""

    key: str
    tool: str
    arguments: str
    ticket: str


@dataclass(slots=True)
class History:
    """`accepted` is by task id: the messageId. `final` has a state for each of them, or None for a task nobody knows."""

    accepted: dict[str, str] = field(default_factory=dict)
    final: dict[str, str | None] = field(default_factory=dict)
    ended: dict[str, tuple[str, str]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    effects: list[EffectRow] = field(default_factory=list)
    #: Seconds from a kill until another process held the task; those during which no replica lived are `restarts`.
    takeovers: list[float] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)

    def accept(self, task_id: str, message_id: str) -> None:
        self.accepted[task_id] = message_id

    def saw(self, task_id: str, state: str, content: str, where: str) -> None:
        """Somebody's answer about a task. A terminal state, once seen, must be what everybody sees ever after."""
        before = self.ended.get(task_id)
        if before is None:
            if state in TERMINAL:
                self.ended[task_id] = (state, content)
        elif before != (state, content):
            self.changes.append(f"{task_id}: {before[0]}, then {state} at {where}")

    def lost(self) -> list[str]:
        return [task for task in self.accepted if self.final.get(task) is None]

    def stuck(self) -> list[str]:
        return [
            f"{task}: {state}"
            for task, state in self.final.items()
            if state is not None and state not in TERMINAL | WAITING
        ]

    def twice(self) -> list[str]:
        """One message, two tasks; one wish of one ticket, two effects; one order, cancelled more than once."""
        tasks: dict[str, list[str]] = defaultdict(list)
        for task, message in self.accepted.items():
            tasks[message].append(task)
        found = [f"message {m}: tasks {', '.join(t)}" for m, t in tasks.items() if len(t) > 1]
        wishes = Counter(
            (e.ticket, e.tool, "" if e.tool in ONCE_A_TICKET else e.arguments) for e in self.effects
        )
        found += [f"ticket {t}: {n} times {tool} {a[:80]}" for (t, tool, a), n in wishes.items() if n > 1]
        cancelled = Counter(e.arguments for e in self.effects if e.tool == "cancel_order")
        return found + [f"{n} times cancel_order {a[:80]}" for a, n in cancelled.items() if n > 1]

    def takeover_p95(self) -> float | None:
        """Seconds; None when no task was in the hands of a process that was killed."""
        return p95(self.takeovers)


def p95(seconds: list[float]) -> float | None:
    """The 95th percentile, None of nothing."""
    if len(seconds) < 2:
        return round(seconds[0], 2) if seconds else None
    return round(statistics.quantiles(seconds, n=20, method="inclusive")[-1], 2)
