"""Many findings as one Resolution: what was chosen goes on, what nobody chose goes on marked, and what is missing is said."""

from __future__ import annotations

from collections.abc import Sequence

from aggregator.case import Case
from aggregator.conflicts import disputed_actions, disputed_claims, proposed
from aggregator.strategies import Judge, settle
from meshwright.findings import Conflict, Gap, Proposal, Resolution

MAX_REPLY, MAX_GAPS, MAX_PROPOSALS = 8_000, 64, 64


async def merged(case: Case, judge: Judge | None = None) -> Resolution:
    """The Resolution. Both sides of a conflict that nobody settled are in it: the conflict marks them for a person."""
    everything = proposed(case)
    proposals = everything[:MAX_PROPOSALS]
    conflicts = [
        await settle(dispute, case.table, judge)
        for dispute in [*disputed_claims(case, proposals), *disputed_actions(case, proposals)]
    ]
    lost = _lost(conflicts)
    kept = [proposal for proposal in proposals if proposal.fingerprint not in lost]
    gaps = [
        *case.gaps,
        *(gap for finding in case.findings for gap in finding.gaps),
        *missing(case),
        *(_said(conflict) for conflict in conflicts if conflict.kind == "claims" and not conflict.chosen),
        *(Gap(what=_call(p), why=lost[p.fingerprint]) for p in proposals if p.fingerprint in lost),
        *(Gap(what=_call(p), why="more was proposed than can be looked at") for p in everything[64:]),
    ]
    replies = list(dict.fromkeys(f.reply.strip() for f in case.findings if f.reply.strip()))
    return Resolution(
        reply="\n".join(replies)[:MAX_REPLY],
        proposals=kept,
        conflicts=conflicts,
        gaps=_first(case, gaps),
        confidence=confidence(case, kept, conflicts),
    )


def missing(case: Case) -> list[Gap]:
    """A gap for each subtask that was asked for and has neither answer nor gap. Who looked and found nothing to do has answered."""
    heard = {gap.subtask for gap in case.gaps}
    for f in case.findings:
        if f.reply or f.claims or f.proposals or f.gaps or f.facts or f.usage.tools:
            heard.add(f.subtask)
    return [
        Gap(
            what=part.instruction[:400] or part.id,
            why="nobody answered it, and nobody says why",
            subtask=part.id,
        )
        for part in case.asked.values()
        if part.id not in heard
    ]


def confidence(case: Case, proposals: Sequence[Proposal], conflicts: Sequence[Conflict]) -> float:
    """How sure the whole is: the least sure thing that is passed on, times the share of what was asked that is answered.

    Of a subject that agents disagree on, the value that was chosen counts; one that nobody chose makes the whole 0.
    """
    if any(not conflict.chosen for conflict in conflicts):
        return 0.0
    dropped = {
        (conflict.about, side.value)
        for conflict in conflicts
        for side in conflict.sides
        if conflict.kind == "claims" and side.value != conflict.chosen
    }
    sure = [p.confidence for p in proposals]
    sure += [c.confidence for f in case.findings for c in f.claims if (c.about, c.value) not in dropped]
    open_parts = {gap.subtask for gap in [*case.gaps, *missing(case)]}
    open_parts |= {finding.subtask for finding in case.findings if finding.gaps}
    answered = sum(name not in open_parts for name in case.asked)
    return min(sure, default=1.0) * (answered / len(case.asked) if case.asked else 1.0)


def _lost(conflicts: Sequence[Conflict]) -> dict[str, str]:
    """Of the conflicts that were settled: what was not chosen, by fingerprint, and why."""
    return {
        side.fingerprint: f"something else was chosen on {conflict.about}: {conflict.why}"[:4000]
        for conflict in conflicts
        if conflict.kind == "actions" and conflict.chosen
        for side in conflict.sides
        if side.fingerprint != conflict.chosen
    }


def _said(conflict: Conflict) -> Gap:
    values = " or ".join(dict.fromkeys(side.value for side in conflict.sides))
    return Gap(what=f"{conflict.about}: {values}"[:8000], why=conflict.why)


def _call(proposal: Proposal) -> str:
    return f"{proposal.action} on {proposal.about}" if proposal.about else proposal.action


def _first(case: Case, gaps: Sequence[Gap]) -> list[Gap]:
    """Each gap once: that a part is open before how much of it, and what is critical first, so that this is not what there is no room for."""
    unique = list({(gap.what, gap.why, gap.subtask): gap for gap in gaps}.values())
    critical = {name for name, part in case.asked.items() if part.critical}
    opening = {gap.subtask: gap for gap in reversed(unique)}
    unique.sort(key=lambda gap: (gap is not opening[gap.subtask], gap.subtask not in critical))
    return unique[:MAX_GAPS]
