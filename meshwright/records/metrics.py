"""What `/metrics` says, in Prometheus' text format. Whoever counts keeps its own count; here it is gathered when somebody asks.

The format is https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4). No client library: what it adds are counters of
its own, and ours are there already. Labels name peers and reasons, never a customer, a run or a caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from meshwright.inbound.places import Places
    from meshwright.outbound.breaker import Breaker
    from meshwright.outbound.hedge import Hedge
    from meshwright.outbound.retry import Retries
    from meshwright.records.decision import Decision

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: What there is: its kind, and what it says.
FAMILIES: dict[str, tuple[Literal["gauge", "counter"], str]] = {
    "meshwright_breaker_state": ("gauge", "1 for the state that the breaker is in, 0 for the others."),
    "meshwright_breaker_changes_total": ("counter", "Changes of the breaker, by the state they led to."),
    "meshwright_calls_total": ("counter", "Requests sent, by what they told of whoever was called."),
    "meshwright_calls_refused_total": ("counter", "Calls not sent: the breaker was open, or the peer busy."),
    "meshwright_retries_total": ("counter", "Requests that repeated one that failed."),
    "meshwright_retries_refused_total": ("counter", "Retries not made: no budget, or no time."),
    "meshwright_retry_budget": ("gauge", "Retries that could be made now."),
    "meshwright_hedges_total": ("counter", "Second requests for a slow read, by whether they won."),
    "meshwright_places_limit": ("gauge", "Tasks that may be worked on at the same time."),
    "meshwright_places_taken": ("gauge", "Tasks that are worked on."),
    "meshwright_places_waiting": ("gauge", "Tasks that wait for a place."),
    "meshwright_work_total": ("counter", "Messages that were worked off, by the state the task came to."),
    "meshwright_work_seconds_total": (
        "counter",
        "Seconds from the beginning of that work to its end, together.",
    ),
    "meshwright_queue_waiting": ("gauge", "Tasks of this agent in the database that no process works on."),
    "meshwright_queue_oldest_seconds": ("gauge", "For how long the first of them could have been taken."),
    "meshwright_leases": ("gauge", "Tasks of this agent that are leased, by whether the lease still holds."),
    "meshwright_outbox_waiting": ("gauge", "What this agent's courier has not delivered yet, by kind."),
    "meshwright_budget_day_limit": ("gauge", "What this agent may spend in a day, where there is a limit."),
    "meshwright_budget_day_used": ("gauge", "What is spent of that today, or held for calls under way."),
    "meshwright_tasks_held": ("gauge", "Tasks whose lease this process keeps."),
    "meshwright_decisions_total": ("counter", "Decisions that were kept, by kind."),
    "meshwright_decisions_dropped_total": (
        "counter",
        "Decisions that were only counted: their turn had too many.",
    ),
    "meshwright_model_tokens_total": ("counter", "Tokens that models read and wrote for this process."),
    "meshwright_model_micros_total": ("counter", "Micro-dollars for that, where prices are set."),
    "meshwright_budget_refused_total": (
        "counter",
        "Reservations that a budget did not allow, or not all of.",
    ),
    "meshwright_spans_total": ("counter", "Spans of this process, by what became of them."),
    "meshwright_scores_total": ("counter", "Scores for Langfuse, by what became of them."),
    "meshwright_shed_total": ("counter", "Tasks turned away, or answered without their work, by why."),
    "meshwright_audit_entries": ("gauge", "Entries of the audit log, as last looked at."),
    "meshwright_audit_signed_entries": (
        "gauge",
        "Entries under the last checkpoint that this process knows.",
    ),
    "meshwright_audit_checkpoint_age_seconds": ("gauge", "How old that checkpoint is."),
    "meshwright_audit_lag_seconds": ("gauge", "How long the first entry has waited for its checkpoint."),
    "meshwright_audit_broken": (
        "gauge",
        "1 if the log does not continue what was signed, and is signed no more.",
    ),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a family's name, its labels, its value."""

    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


Source = Callable[[], Iterable[Sample]]


def of_target(breaker: Breaker, retries: Retries, hedge: Hedge | None = None) -> Iterator[Sample]:
    """What is known of one peer or tool server."""
    who = (("kind", str(breaker.kind)), ("peer", breaker.peer), ("address", breaker.address))
    for state in ("closed", "open", "half-open"):
        yield Sample("meshwright_breaker_state", state == breaker.state, (*who, ("state", state)))
    counted = (
        ("meshwright_breaker_changes_total", "to", breaker.changes),
        ("meshwright_calls_total", "outcome", breaker.calls),
        ("meshwright_calls_refused_total", "why", breaker.refusals),
        ("meshwright_retries_refused_total", "why", retries.refused),
        ("meshwright_hedges_total", "it", hedge.sent if hedge else {}),
    )
    for name, label, counts in counted:
        for value, count in sorted(counts.items()):
            yield Sample(name, count, (*who, (label, str(value))))
    yield Sample("meshwright_retries_total", retries.spent, who)
    yield Sample("meshwright_retry_budget", retries.budget.left, who)


def of_places(places: Places) -> Iterator[Sample]:
    """How full this server is."""
    yield Sample("meshwright_places_limit", int(places.limit))
    yield Sample("meshwright_places_taken", places.taken)
    yield Sample("meshwright_places_waiting", places.waiting)
    for why, count in sorted(places.shed.items()):
        yield Sample("meshwright_shed_total", count, (("why", why),))


def of_log(entries: int, signed: int, age: float, lag: float, *, broken: bool) -> Iterator[Sample]:
    """How long the audit log is, how much of it is signed and since how many seconds, for how many more something new has waited, and
    whether that has come to an end."""
    yield Sample("meshwright_audit_entries", entries)
    yield Sample("meshwright_audit_signed_entries", signed)
    yield Sample("meshwright_audit_checkpoint_age_seconds", age)
    yield Sample("meshwright_audit_lag_seconds", lag)
    yield Sample("meshwright_audit_broken", broken)


@dataclass(slots=True)
class Worked:
    """What a server's work came to. The mean latency of a while is the growth of its seconds by that of its count."""

    ended: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def note(self, state: str, seconds: float) -> None:
        self.ended[state] += 1
        self.seconds += seconds

    def samples(self) -> Iterator[Sample]:
        for state, count in sorted(self.ended.items()):
            yield Sample("meshwright_work_total", count, (("state", state),))
        yield Sample("meshwright_work_seconds_total", self.seconds)


@dataclass(slots=True)
class Decided:
    """The decisions that a process has kept, by kind; those it only counted; and what they say of tokens, money and budgets."""

    kept: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    micros: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def note(self, decision: Decision) -> None:
        """A decision was kept: its transaction is committed."""
        self.kept[decision.kind] += 1
        if decision.kind == "model_call":  # the rows of who asked for the work have these numbers once more
            self.tokens["in"] += decision.tokens_in
            self.tokens["out"] += decision.tokens_out
            self.micros += decision.micros
        elif decision.kind == "budget":
            self.refused[decision.outcome] += 1

    def samples(self) -> Iterator[Sample]:
        for kind, count in sorted(self.kept.items()):
            yield Sample("meshwright_decisions_total", count, (("kind", kind),))
        yield Sample("meshwright_decisions_dropped_total", self.dropped)
        for way in ("in", "out"):
            yield Sample("meshwright_model_tokens_total", self.tokens[way], (("way", way),))
        yield Sample("meshwright_model_micros_total", self.micros)
        for how, count in sorted(self.refused.items()):
            yield Sample("meshwright_budget_refused_total", count, (("how", how),))


def exposition(sources: Iterable[Source]) -> str:
    """All samples, family by family as the format wants them."""
    lines: dict[str, list[str]] = {}
    for source in sources:
        for sample in source():
            lines.setdefault(sample.name, []).append(_line(sample))
    parts: list[str] = []
    for name, samples in lines.items():
        kind, says = FAMILIES[name]
        parts += [f"# HELP {name} {says}", f"# TYPE {name} {kind}", *samples]
    return "\n".join([*parts, ""])


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
    return (
        f"{sample.name}{{{labels}}} {float(sample.value):.15g}"
        if labels
        else f"{sample.name} {float(sample.value):.15g}"
    )


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
