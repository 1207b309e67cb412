"""Is every run told completely? Its decisions held against the audit log and against one another. Pure.

`meshwright.records.complete` holds rows against spans; here each has its other telling in the log, because spans of a killed process die with it.
What is excused is in `_excused`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.chaos.authority import KINDS, Line
from benchmarks.chaos.journal import EffectRow
from meshwright.records import chain

Row = Mapping[str, Any]
SELF = "orchestrator"
#: Of a run's ends, those that come from outside of it, at any moment: a step that was not finished by then left no checkpoint.
CUT_OFF = ("canceled", "failed")
#: Verdicts, as the log and as the rows call them.
VERDICTS = {"apply": "allow", "review": "review", "reject": "block"}
#: What must have led to a change of the shop.
LED = ("plan", "route", "agent_call", "gate", "effect")


@dataclass(frozen=True, slots=True)
class Telling:
    """A run that has ended, as `state`, and all that is told of it: its own decisions, and those of the agents that it asked. `intact` is
    whether its own are those that its end was sealed with; None without a seal."""

    run: str
    state: str
    intact: bool | None
    rows: Sequence[Row]
    log: Sequence[Line] = ()
    journal: Sequence[EffectRow] = ()


def untold(tellings: Sequence[Telling]) -> list[str]:
    """What is missing, by run."""
    return [f"run {told.run} ({told.state}): {why}" for told in tellings for why in _missing(told)]


def _missing(told: Telling) -> Iterator[str]:
    own = [row for row in told.rows if row.get("agent") == SELF]
    ids = {str(row["id"]) for row in told.rows}
    if told.intact is None:
        yield "its end has no seal"
    if told.intact is False:
        yield "its decisions are not those it was sealed with"
    finals = [row.get("outcome") for row in own if row["kind"] == "final"]
    if finals != [told.state]:
        yield f"it ends as {finals}"
    for row in told.rows:
        if row.get("parent") and row["parent"] not in ids and not _excused(row, told):
            yield f"{_named(row)} follows from {row['parent']}, which is not there"
        yield from (
            f"{_named(row)} names {below}, which is not there"
            for below in row.get("below", ())
            if below not in ids
        )
    yield from _against_the_log(own, told)
    yield from _against_the_journal(own, told)


def _excused(row: Row, told: Telling) -> bool:
    """Whether what a decision follows from need not be there: in a run that was cancelled, or given up. A call is written with its answer, and
    why that one was asked with the checkpoint of the step; what is said at the end follows from an end that did not come, and who was asked for the
    plan from a plan that did not."""
    return told.state in CUT_OFF and row["kind"] in ("agent_call", "budget", "gate", "route")


def _against_the_log(own: Sequence[Row], told: Telling) -> Iterator[str]:
    """Verdicts, words of people and effects are written in one transaction with their entry; but for the step that a cancel stops, whose
    decisions are written down afterwards, when the log of the run is closed."""
    logged = Counter(key for line in told.log if (key := _key(line)))
    rows = Counter(
        (row["kind"], str(row.get("action", "")), str(row["outcome"]))
        for row in own
        if row["kind"] in ("gate", "review", "effect") and row.get("policy") != "as-approved"
    )
    for (kind, action, outcome), times in logged.items():
        if rows[kind, action, outcome] < (times if kind == "review" else 1):
            yield f"the log has {kind} {action}: {outcome}, the decisions have not"
    for kind, action, outcome in rows:
        stopped = told.state == "canceled" and kind != "review"
        if not logged[kind, action, outcome] and not stopped:
            yield f"the decisions have {kind} {action}: {outcome}, the log has not"


def _key(line: Line) -> tuple[str, str, str] | None:
    words = {kind: word for word, kind in KINDS.items()}
    room, _, what = line.kind.partition(".")
    if line.kind == "gate.verdict":
        return "gate", line.action, VERDICTS[line.body["decision"]]
    if room == "effect":
        return "effect", line.action, what
    if line.kind in words or line.kind in ("review.expired", "review.withdrawn"):
        return "review", line.action, words.get(line.kind, what)
    return None


def _against_the_journal(own: Sequence[Row], told: Telling) -> Iterator[str]:
    """What the log says of an effect is what the shop has; and what led to a change is told from the plan on."""
    done = {row.key for row in told.journal}
    for line in told.log:
        if line.kind == "effect.applied" and line.action not in done:
            yield f"{line.action} was applied, says the log; the journal has no such effect"
        if line.kind == "effect.refused" and line.action in done:
            yield f"{line.action} was refused, says the log; the journal has it"
    for effect in told.journal:
        outcomes = {
            row["outcome"] for row in own if row["kind"] == "effect" and row.get("action") == effect.key
        }
        if not outcomes and told.state not in CUT_OFF:
            yield f"nothing is told of {effect.tool} {effect.key}"
        if "applied" in outcomes and effect.order:
            led = {row["kind"] for row in chain.why(told.rows, effect.key)}
            yield from (f"no {kind} led to {effect.tool} {effect.key}" for kind in LED if kind not in led)


def _named(row: Row) -> str:
    return f"{row['kind']} {row['id']} of {row.get('agent')} ({row.get('outcome')})"
