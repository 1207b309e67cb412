"""What the phases of the incident came to, in numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

from benchmarks.incident.load import Workflow


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the story: its waves, each the requests that were sent together."""

    name: str
    waves: list[list[Workflow]]

    @property
    def workflows(self) -> list[Workflow]:
        return [workflow for each in self.waves for workflow in each]

    def of(self, kind: str) -> list[Workflow]:
        return [workflow for workflow in self.workflows if workflow.kind == kind]


def p99(workflows: list[Workflow]) -> float:
    """The 99th percentile of their seconds, by nearest rank."""
    return quantile(workflows, 0.99)


def quantile(workflows: list[Workflow], part: float) -> float:
    seconds = sorted(workflow.seconds for workflow in workflows)
    return seconds[max(0, math.ceil(len(seconds) * part) - 1)]


def table(phases: list[Phase], deadline: float) -> str:
    """One row per phase and kind of request."""
    head = ("phase", "kind", "sent", "done", "degraded", "not answered", "hung", "p50 s", "p99 s", "max s")
    rows: list[tuple[str, ...]] = [head]
    for phase in phases:
        for kind in ("affected", "bystander"):
            some = phase.of(kind)
            ended = Counter(workflow.ended for workflow in some)
            answered = sum(workflow.answered for workflow in some)
            rows.append(
                (
                    phase.name,
                    kind,
                    str(len(some)),
                    str(ended["done"]),
                    str(answered - ended["done"]),
                    str(len(some) - answered - ended["hung"]),
                    str(ended["hung"]),
                    *(f"{quantile(some, part):.2f}" for part in (0.5, 0.99, 1.0)),
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    reasons = Counter(
        workflow.ended for phase in phases for workflow in phase.workflows if not workflow.answered
    )
    lines += [f"{number} x {why}" for why, number in reasons.most_common(5)]
    whys = Counter((phase.name, _kind_of(w.why)) for phase in phases for w in phase.workflows if w.why)
    lines += [f"{number} x {name}: {why}" for (name, why), number in whys.most_common(12)]
    return "\n".join([f"deadline {deadline:g} s", *lines])


def _kind_of(why: str) -> str:
    """A reason without its numbers, so that like can be counted with like."""
    return re.sub(r"\d+(\.\d+)?", "N", why)[:110]
