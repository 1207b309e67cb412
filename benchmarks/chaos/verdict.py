"""The judgement: what was lost, stuck, done twice, or changed after its end. Pure: it reads a history and a journal, and asks nobody."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.chaos.history import TERMINAL, WAITING, Final, History
from benchmarks.chaos.journal import EffectRow, Money, applied_twice, moved_twice


@dataclass(frozen=True, slots=True)
class Verdict:
    """Offences, in words that name the task."""

    lost: list[str]
    stuck: list[str]
    twice: list[str]
    changed: list[str]

    @property
    def lines(self) -> list[str]:
        kinds = {"lost": self.lost, "stuck": self.stuck, "twice": self.twice, "changed": self.changed}
        return [f"{kind}: {line}" for kind, lines in kinds.items() for line in lines]


def judge(
    history: History, journal: list[EffectRow], before: Money, after: Money, replicas: int = 1
) -> Verdict:
    """`replicas` is how many were asked about each task in the end."""
    return Verdict(
        lost=lost(history, journal, replicas),
        stuck=stuck(history),
        twice=[*history.doubled, *applied_twice(journal), *moved_twice(before, after)],
        changed=changed(history),
    )


def lost(history: History, journal: list[EffectRow], replicas: int) -> list[str]:
    """Accepted tasks that somebody does not know, acknowledged follow-ups that are gone, effects that were only claimed."""
    found: list[str] = []
    keys = {row.key for row in journal}
    for task in history.accepted:
        words = history.final.get(task, [])
        if len(words) < replicas:
            found.append(f"{task}: {replicas - len(words)} of {replicas} replicas do not know it")
        elif task in history.unknown:
            found.append(f"{task}: {history.unknown[task]} did not know it for a while")
        claimed = {key for word in words for key in word.receipts}
        found += [
            f"{task}: it says {key} was applied; the journal has no such effect" for key in claimed - keys
        ]
    for message, task in history.followed.items():
        words = history.final.get(task, [])
        if words and any(message not in word.messages for word in words):
            found.append(f"{task}: the message {message} was acknowledged and is not in its history")
    return found


def stuck(history: History) -> list[str]:
    """Tasks that neither ended nor wait for something that can still happen; subscribers and agents left behind."""
    found: list[str] = []
    for task, words in history.final.items():
        for word in words:
            why = _stuck(task, word, history.reviewed)
            if why:
                found.append(f"{task}: {why} at {word.replica}")
                break
    accused = [line.split(":")[0] for line in found]
    behind = [line for line in history.unfinished if not any(task in line for task in accused)]
    return [*found, *history.hung, *behind]


def _stuck(task: str, word: Final, reviewed: Iterable[str]) -> str:
    if word.state in TERMINAL:
        return ""
    if word.state not in WAITING:
        return word.state or "no state"
    if not word.reason:
        return f"{word.state} without a reason"
    if run_of(task) not in reviewed:
        return f"{word.state}, but there is nothing to decide"
    return ""


def changed(history: History) -> list[str]:
    """Ends that were not the end, and replicas that tell different ones."""
    found = list(dict.fromkeys(history.changes))
    for task, words in history.final.items():
        told = {(word.state, word.content) for word in words}
        if len(told) > 1:
            found.append(f"{task}: the replicas differ: {', '.join(sorted({word.state for word in words}))}")
    return found


def run_of(task_id: str) -> str:
    """The ticket under which the tool servers know a task: as `orchestrator.driver.run_id` derives it."""
    return hashlib.sha256(task_id.encode()).hexdigest()[:12]


def p95(seconds: Iterable[float]) -> float | None:
    """The nearest rank, rounded; None of nothing."""
    ranked = sorted(seconds)
    return round(ranked[math.ceil(0.95 * len(ranked)) - 1], 2) if ranked else None
