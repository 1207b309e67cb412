"""The work that is measured, and its log: when each stage of each trial began and when it ended, on the system's one clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds of a piece of work, after each of which it could be stopped.
PIECE = 0.005
#: Every stage's log, in the working directory.
LOG = Path("toil.log")


@contextmanager
def noted(stage: str, trial: str) -> Iterator[None]:
    """Log the begin and the end of the body."""
    _note(stage, trial, "begin")
    try:
        yield
    finally:
        _note(stage, trial, "end")


async def toil(trial: str, seconds: float) -> int:
    """Work for so many seconds, a fifth of them on the CPU. Returns the pieces done."""
    pieces, until = 0, time.monotonic() + seconds
    with noted("tool", trial):
        while time.monotonic() < until:
            busy = time.monotonic() + PIECE / 5
            while time.monotonic() < busy:
                pass
            pieces += 1
            await asyncio.sleep(PIECE * 4 / 5)
    return pieces


def _note(stage: str, trial: str, what: str) -> None:
    with LOG.open("a") as log:  # one short line at a time: written whole
        log.write(f"{trial} {stage} {what} {time.monotonic()}\n")


def reached_by(stage: str, text: str) -> set[str]:
    """The trials in which this stage began."""
    rows = (line.split() for line in text.splitlines())
    return {trial for trial, at, what, _ in rows if (at, what) == (stage, "begin")}


def last_work(text: str) -> dict[str, float]:
    """When the last stage of each trial ended. Raises ValueError for one that never did."""
    ends: dict[str, float] = {}
    open_stages: set[tuple[str, str]] = set()
    for line in text.splitlines():
        trial, stage, what, at = line.split()
        if what == "begin":
            open_stages.add((trial, stage))
        else:
            open_stages.discard((trial, stage))
            ends[trial] = max(ends.get(trial, 0.0), float(at))
    if open_stages:
        raise ValueError(f"these stages never ended: {sorted(open_stages)[:5]}")
    return ends
