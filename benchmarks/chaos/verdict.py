"""The judgement: what was lost, stuck, done twice, or changed after its end. Pure: it reads a history and a journal, and asks nobody."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from benchmarks.chaos.authority import Line, decided_twice, ungated, words_lost
from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.history import TERMINAL, WAITING, Final, History
from benchmarks.chaos.journal import EffectRow, Money, applied_twice, moved_twice
from benchmarks.chaos.telling import untold


@dataclass(frozen=True, slots=True)
class Verdict:
    """Offences, in words that name the task, or what else it is about."""

    lost: list[str]
    stuck: list[str]
    twice: list[str]
    changed: list[str]
    #: Writes without a gate, faults of the audit log as a whole, and what is missing in the decisions of runs that ended.
    ungated: list[str]
    unsound: list[str]
    untold: list[str]

    @property
    def counts(self) -> dict[str, int]:
        return {each.name: len(getattr(self, each.name)) for each in fields(self)}

    @property
    def lines(self) -> list[str]:
        return [f"{each.name}: {line}" for each in fields(self) for line in getattr(self, each.name)]


def judge(
    history: History,
    journal: list[EffectRow],
    before: Money,
    after: Money,
    evidence: Evidence,
    replicas: int = 1,
) -> Verdict:
    """`replicas` is how many were asked about each task in the end."""
    log = evidence.log
    return Verdict(
        lost=[*lost(history, journal, replicas), *unheard(history, log), *words_lost(history.told, log)],
        stuck=stuck(history),
        twice=[
            *history.doubled,
            *applied_twice(journal),
            *moved_twice(before, after),
            *heard_twice(history),
            *decided_twice(log),
        ],
        changed=changed(history),
        ungated=ungated(journal, log),
        unsound=evidence.unsound,
        untold=untold(evidence.tellings),
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


def unheard(history: History, log: Sequence[Line]) -> list[str]:
    """Questions in the middle of work whose run ended well, as if it had got an answer, without one that the client gave.

    The reply of a run whose action a person edited has that instead of what the agent said, so it shows no answer.
    """
    edited = {line.run for line in log if line.kind == "review.edited"}
    return [
        f"{task}: it asked, and ended without what its client answered"
        for task in history.asked
        for word in history.final.get(task, [])[:1]
        if word.outcome == "done"
        and run_of(task) not in edited
        and not history.said.get(task, set()) & set(word.heard)
    ]


def heard_twice(history: History) -> list[str]:
    """One message answers one question."""
    return [
        f"{task}: {text} is the answer to {times} questions"
        for task, words in history.final.items()
        for text, times in Counter(words[0].heard if words else ()).items()
        if times > 1
    ]


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
    if word.asks:
        return f"{word.state}, and nobody could answer what it asks"
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
