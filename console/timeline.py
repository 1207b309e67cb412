"""The hops of a run on one axis of time: who worked when, for how long, with how much time left.

Three things would make such a picture lie, and are dealt with here. While a person thinks it over for a day, the work itself would be a
dot: where nothing happened for long, the axis has a fold. Clocks of processes differ: what an agent did lies within the call that asked
it, moved there if need be, and the hop says so. A run of hundreds of hops shows those that took longest.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from meshwright.explaining.plain import duration
from meshwright.explaining.steps import Step

#: Kinds that take time of their own.
TIMED = ("agent_call", "tool_call", "model_call", "gate", "review", "effect")
#: Hops that are drawn at most.
MOST = 60
#: Units of the axis: what a bar's place and width are counted in. Width of a fold, and of the shortest bar.
WIDTH, FOLD, LEAST = 1000.0, 36.0, 4.0
#: Folds at most.
FOLDS = 6
#: A pause is folded from this many seconds on, if it is also longer than all the work.
PAUSE = 5.0
#: Seconds by which clocks may differ before anybody is told.
TOLERANCE = 0.05
TICKS = 4
#: Characters that a quarter of the axis has room for.
QUARTER = 18


@dataclass(frozen=True, slots=True)
class Hop:
    """One bar: from `x`, `width` wide, of WIDTH; moved by `shifted` seconds because its process has another clock."""

    step: Step
    depth: int
    begins: float
    ends: float
    x: float = 0.0
    width: float = 0.0
    shifted: float = 0.0


@dataclass(frozen=True, slots=True)
class Fold:
    """A pause that is not drawn at its length: where it stands, how wide, and how many seconds it was."""

    x: float
    width: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """`ticks` are labels of TICKS + 1 places, evenly from 0 to WIDTH, empty where there is no room; `left_out` hops are not drawn."""

    hops: tuple[Hop, ...]
    folds: tuple[Fold, ...]
    ticks: tuple[str, ...]
    left_out: int
    began: float
    seconds: float


def timeline(steps: Sequence[Step]) -> Timeline:
    """Of an outline: see `explaining.steps.outline`."""
    hops = _placed(steps)
    if not hops:
        return Timeline((), (), (), 0, 0.0, 0.0)
    axis = _Axis(hops)
    chosen = _chosen(hops)
    drawn = tuple(_drawn(hop, axis) for hop in hops if id(hop) in chosen)
    ticks = [f"+{duration(axis.time_at(WIDTH * n / TICKS))}" for n in range(TICKS + 1)]
    if len(ticks[-2]) + len(ticks[-1]) > QUARTER:  # the last one ends where the axis does: they would meet
        ticks[-2] = ""
    return Timeline(drawn, axis.folds, tuple(ticks), len(hops) - len(drawn), axis.began, axis.seconds)


def _placed(steps: Sequence[Step]) -> list[Hop]:
    """The timed ones, by when they began; what is below a call of another process is moved into that call."""
    shifts = _shifts(steps)
    hops: list[Hop] = []
    #: Of each decision, the call it was made in the work of, and how deep that is.
    within: dict[str, tuple[Step | None, int]] = {}
    for step in steps:
        call, depth = within.get(step.above, (None, 0))
        if call is not None and step.said.agent == call.said.agent:
            call, depth = None, depth - 1  # it follows from the call, and is no part of the peer's work
        within[step.said.id] = (step, depth + 1) if step.kind == "agent_call" else (call, depth)
        if step.kind in TIMED and step.at:
            shift = shifts.get(step.said.id, 0.0)
            hops.append(Hop(step, min(depth, 4), step.begins + shift, step.ends + shift, shifted=shift))
    return [hop for _, group in sorted(_groups(hops), key=lambda each: each[0]) for hop in group]


def _groups(hops: Sequence[Hop]) -> list[tuple[float, list[Hop]]]:
    """Each with those within it, and when it began."""
    groups: list[tuple[float, list[Hop]]] = []
    for hop in hops:
        if hop.depth == 0 or not groups:
            groups.append((hop.begins, []))
        groups[-1][1].append(hop)
    return groups


def _shifts(steps: Sequence[Step]) -> dict[str, float]:
    """Seconds to move what a peer did, by the decision's id: none as long as it lies within the call that asked for it."""
    calls = {step.said.id: step for step in steps if step.kind == "agent_call"}
    over: dict[str, str] = {}
    below: dict[str, list[Step]] = {}
    for step in steps:
        call = step.above if step.above in calls else over.get(step.above, "")
        over[step.said.id] = call
        if call and step.at and step.said.agent != calls[call].said.agent:
            below.setdefault(call, []).append(step)
    found: dict[str, float] = {}
    for name, theirs in below.items():
        shift = found.get(name, 0.0)
        begins, ends = calls[name].at + shift, calls[name].ends + shift
        first, last = min(step.at for step in theirs), max(step.ends for step in theirs)
        # who ends after the call is over is late; who begins before it, or after its end, has another clock
        if first < begins - TOLERANCE or first > ends + TOLERANCE:
            spare = max((ends - begins) - (last - first), 0.0)
            found |= {step.said.id: begins + spare / 2 - first for step in theirs}
    return found


def _chosen(hops: Sequence[Hop]) -> set[int]:
    """Those that are drawn: calls of agents and changes before all else, then what took longest."""
    first = ("agent_call", "effect", "review")
    ranked = sorted(hops, key=lambda hop: (hop.step.kind not in first, hop.begins - hop.ends))
    return {id(hop) for hop in ranked[:MOST]}


def _drawn(hop: Hop, axis: _Axis) -> Hop:
    x, end = axis.place_of(hop.begins), axis.place_of(hop.ends)
    width = min(max(end - x, LEAST), WIDTH)
    return replace(hop, x=round(min(x, WIDTH - width), 1), width=round(width, 1))


class _Axis:
    """Moments as places: in proportion, but for the folds."""

    def __init__(self, hops: Sequence[Hop]) -> None:
        self.began = min(hop.ends if hop.step.kind == "review" else hop.begins for hop in hops)
        self.seconds = max(hop.ends for hop in hops) - self.began
        # a review is no work: while it waits nothing happens
        busy = _busy([(h.ends if h.step.kind == "review" else h.begins, h.ends) for h in hops])
        worked = sum(end - begin for begin, end in busy)
        between = [(end, begin) for (_, end), (begin, _) in itertools.pairwise(busy)]
        longest = sorted(between, key=lambda pause: pause[0] - pause[1])[:FOLDS]
        pauses = sorted(pause for pause in longest if pause[1] - pause[0] > max(PAUSE, worked))
        folded = sum(end - begin for begin, end in pauses)
        room = WIDTH - FOLD * len(pauses)
        per_second = room / max(self.seconds - folded, 1e-9)
        #: (moment, place), rising: between two of them time is in proportion.
        self._points: list[tuple[float, float]] = [(self.began, 0.0)]
        folds: list[Fold] = []
        for begin, end in pauses:
            moment, place = self._points[-1]
            x = place + (begin - moment) * per_second
            folds.append(Fold(round(x, 1), FOLD, end - begin))
            self._points += [(begin, x), (end, x + FOLD)]
        self._points.append((self.began + max(self.seconds, 1e-9), WIDTH))
        self.folds = tuple(folds)

    def place_of(self, moment: float) -> float:
        if moment <= self.began:
            return 0.0
        for (t0, x0), (t1, x1) in itertools.pairwise(self._points):
            if moment <= t1:
                return x0 + (x1 - x0) * (moment - t0) / max(t1 - t0, 1e-9)
        return WIDTH

    def time_at(self, place: float) -> float:
        """Seconds after the beginning."""
        for (t0, x0), (t1, x1) in itertools.pairwise(self._points):
            if place <= x1:
                return t0 + (t1 - t0) * (place - x0) / max(x1 - x0, 1e-9) - self.began
        return self.seconds


def _busy(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The spans of time in which something happened, without overlaps."""
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
