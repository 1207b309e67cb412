"""How asking for one subtask went, for the record: whom, why they, how long, with which tools, what it was told, and
the decision that it was."""

from __future__ import annotations

import time
from typing import Any

from meshwright.errors import BreakerOpen, DeadlineExceeded, MeshError, PeerCold, PeerTimedOut
from meshwright.findings import Part, Subtask
from orchestrator.work import Trail


def step_of(
    subtask: Subtask,
    peer: str | None,
    outcome: str,
    why: str,
    trail: Trail,
    ms: int,
    part: Part | None = None,
    call: str = "",
) -> dict[str, Any]:
    usage = getattr(part, "usage", None)
    return {
        "subtask": subtask.id,
        "skill": subtask.skill,
        "peer": peer or "",
        "outcome": outcome,
        "why": why[:600],
        "mode": getattr(part, "mode", ""),
        "ms": ms,
        "attempts": trail.attempts,
        "degraded": trail.degraded,
        "tools": list(usage.tools) if usage else [],
        "told": sorted(subtask.context),
        "decision": call,
    }


def outcome_of(error: MeshError) -> str:
    """An error as a step tells it."""
    if isinstance(error, BreakerOpen):
        return "breaker open"
    if isinstance(error, PeerTimedOut | DeadlineExceeded):
        return "timed out"
    if isinstance(error, PeerCold):
        return "cold"
    return str(error)


def ms_since(began: float) -> int:
    """Milliseconds since `began`, a time of the monotonic clock."""
    return int((time.monotonic() - began) * 1000)
