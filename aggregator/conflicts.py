"""Contradictions between agents: found, settled where evidence settles them, and always written down."""

from __future__ import annotations

from collections import defaultdict

from meshwright.extension import canonical
from meshwright.findings import Claim, Conflict, Finding, Gap, Proposal


def settle_claims(findings: list[Finding]) -> list[Conflict]:
    """A conflict for each subject that two findings give different values; the better supported one is chosen."""
    said: dict[str, list[tuple[str, Claim]]] = defaultdict(list)
    for finding in findings:
        for claim in finding.claims:
            if claim.about and claim.value:
                said[claim.about].append((finding.agent, claim))
    conflicts = []
    for about, claims in said.items():
        if len({claim.value for _, claim in claims}) < 2:
            continue
        ranked = sorted(claims, key=lambda pair: _weight(pair[1]), reverse=True)
        (winner, best), (_, second) = ranked[0], next(p for p in ranked if p[1].value != ranked[0][1].value)
        tied = _weight(best) == _weight(second)
        conflicts.append(
            Conflict(
                about=about,
                candidates=[f"{agent}: {claim.value}" for agent, claim in ranked],
                chosen="" if tied else best.value,
                why="equally supported: a person decides" if tied else f"{winner} has the better evidence",
            )
        )
    return conflicts


def _weight(claim: Claim) -> tuple[int, float]:
    """A tool's result outweighs a citation, a citation outweighs the customer's words; then confidence."""
    kinds = {"tool": 3, "handbook": 2, "ticket": 1}
    return max((kinds.get(e.source.split(":")[0], 0) for e in claim.evidence), default=0), claim.confidence


def settle_proposals(findings: list[Finding]) -> tuple[list[Proposal], list[Conflict], list[Gap]]:
    """The proposals without duplicates and without those that contradict one another; neither side of those passes.

    Two agents that want different things of the same object contradict each other, and so does one that wants the same
    action on it with two sets of arguments.
    """
    distinct: dict[str, tuple[str, Proposal]] = {}
    for finding in findings:
        for proposal in finding.proposals:
            signed = proposal.model_copy(update={"proposed_by": finding.agent})
            distinct.setdefault(canonical([proposal.action, proposal.arguments]), (finding.subtask, signed))
    by_target: dict[str, list[tuple[str, Proposal]]] = defaultdict(list)
    for subtask, proposal in distinct.values():
        by_target[target(proposal)].append((subtask, proposal))
    kept: list[Proposal] = []
    conflicts: list[Conflict] = []
    gaps: list[Gap] = []
    for about, group in by_target.items():
        actions = [proposal.action for _, proposal in group]
        agents = {proposal.proposed_by for _, proposal in group}
        if about and (len(agents) > 1 or len(set(actions)) < len(actions)):
            why = "they contradict each other: a person decides"
            candidates = [f"{p.proposed_by}: {p.action} {canonical(p.arguments)}"[:4000] for _, p in group]
            conflicts.append(Conflict(about=about, candidates=candidates, why=why))
            gaps += [Gap(what=f"{p.action} on {about}", why=why, subtask=subtask) for subtask, p in group]
        else:
            kept += [proposal for _, proposal in group]
    return kept, conflicts, gaps


def target(proposal: Proposal) -> str:
    """What a proposal changes: what it says itself, else every object that its arguments name by id."""
    ids = sorted(
        f"{k}:{v}" for k, v in proposal.arguments.items() if k.endswith("_id") and isinstance(v, str)
    )
    return proposal.about or " ".join(ids)
