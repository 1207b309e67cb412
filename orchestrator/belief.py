"""What of a Resolution is believed: the aggregator may choose among what agents found, and nothing else.

It cannot add or change a proposal, say that somebody else made it, show evidence that nobody gave, drop one without a word, hide
that two of them exclude each other, or take a gap away. Nobody's word is taken for who said something: that is known by whom
we asked. What the customer did not ask for, as far as the table can tell, waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshwright.contradictions import Contradictions, against_the_words, distinct, unsettled
from meshwright.evidence import Words, standing
from meshwright.findings import Conflict, Finding, Gap, Proposal, Resolution, Verdict
from orchestrator.questions import undecided
from orchestrator.work import Work

#: What becomes of an action when another one, which excludes it, was or may have been carried out.
OTHER_SIDE = "the other side was chosen"
#: States of an action that may be done, and is not.
UNDECIDED = ("open", "approved", "waiting")


@dataclass(frozen=True, slots=True)
class Believed:
    """The Resolution as it goes to the gate, and the proposals in it that nobody had made, each with the reason."""

    resolution: Resolution
    dropped: list[tuple[Proposal, str]]


def believed(heard: Resolution, findings: Sequence[Finding], words: str, table: Contradictions) -> Believed:
    """What is true of `heard`, by the findings that were sent, each stamped with whom it came from."""
    made = _made(findings, Words(words))
    proposals, dropped = [], []
    for proposal in distinct(heard.proposals):
        true = made.get(proposal.fingerprint)
        if true is None:
            dropped.append((proposal, "no agent proposed this, with evidence that holds"))
        else:
            proposals.append(_narrowed(true, proposal))
    conflicts = [_true(conflict, made) for conflict in heard.conflicts]
    marked = {name for conflict in conflicts if not conflict.chosen for name in conflict.proposals}
    for group in table.groups(proposals):
        if any(proposal.fingerprint not in marked for proposal in group):
            about = group[0].about or group[0].action
            conflicts.append(unsettled(about, group, "they exclude each other, and nobody had noticed"))
    for proposal in proposals:
        if why := table.unasked(proposal, words):
            conflicts.append(against_the_words(proposal, words, why))
    gaps = [
        *heard.gaps,
        *(gap for finding in findings for gap in finding.gaps),
        *(Gap(what=proposal.action, why=f"left out: {why}") for proposal, why in dropped),
        *_silently_lost(made, heard),
    ]
    update = {"proposals": proposals, "conflicts": conflicts, "gaps": _once(gaps)}
    return Believed(heard.model_copy(update=update), dropped)


def _made(findings: Iterable[Finding], words: Words) -> dict[str, Proposal]:
    """By fingerprint, what was really proposed, by whom, for which subtask, with the evidence that holds."""
    supported = [
        proposal.model_copy(update={"evidence": held})
        for finding in findings
        for proposal in finding.proposals
        if (held := standing(proposal.evidence, set(finding.usage.tools), words))
    ]
    return {proposal.fingerprint: proposal for proposal in distinct(supported)}


def _narrowed(true: Proposal, heard: Proposal) -> Proposal:
    """The proposal as its agents made it; the aggregator may be less sure of it, never more."""
    return true.model_copy(update={"confidence": min(true.confidence, heard.confidence)})


def _true(conflict: Conflict, made: Mapping[str, Proposal]) -> Conflict:
    """A conflict of actions with its sides as they were proposed; one side alone is no conflict, and settles nothing."""
    if conflict.kind == "claims":
        return conflict
    sides = [
        side.model_copy(update={"action": one.action, "arguments": one.arguments})
        for side in conflict.sides
        if (one := made.get(side.fingerprint)) is not None
    ]
    return conflict.model_copy(update={"sides": sides})


def _silently_lost(made: Mapping[str, Proposal], heard: Resolution) -> list[Gap]:
    """A gap for each proposal that is neither passed on, nor a side of a conflict, nor named in a gap."""
    known = {proposal.fingerprint for proposal in heard.proposals}
    known |= {side.fingerprint for conflict in heard.conflicts for side in conflict.sides}
    told = [gap.what for gap in heard.gaps]
    return [
        Gap(what=one.action, why="the final check left it out and does not say why", subtask=one.subtask)
        for one in made.values()
        if one.fingerprint not in known and not any(what.startswith(one.action) for what in told)
    ]


def _once(gaps: Iterable[Gap]) -> list[Gap]:
    return list({(gap.what, gap.why, gap.subtask): gap for gap in gaps}.values())


def contested(state: Work, proposal: Proposal) -> dict[str, Any] | None:
    """The conflict that a proposal is in and that nobody has settled; one of actions before one of claims."""
    found = [
        conflict
        for conflict in state["resolution"].get("conflicts", [])
        if not conflict.get("chosen") and proposal.fingerprint in conflict.get("proposals", [])
    ]
    return min(found, key=lambda conflict: conflict["kind"] != "actions", default=None)


def in_the_middle(proposal: Proposal, state: Work, table: Contradictions) -> dict[str, Any] | None:
    """The conflict that a proposal in the middle of work is in, which no aggregator saw: with another that is not done yet, or with
    what the customer wrote."""
    others = [
        *(row["asks"]["proposal"] for row in undecided(state).values()),
        *(row["proposal"] for row in state["actions"] if row["state"] in UNDECIDED),
    ]
    others = [Proposal.model_validate(other) for other in others]
    for group in table.groups(distinct([proposal, *others])):
        if any(one.fingerprint == proposal.fingerprint for one in group):
            return unsettled(group[0].about or group[0].action, group).model_dump(mode="json")
    why = table.unasked(proposal, state["request"])
    return against_the_words(proposal, state["request"], why).model_dump(mode="json") if why else None


def cautious(verdict: Verdict, conflict: Mapping[str, Any] | None, approvals: int) -> Verdict:
    """The verdict on a proposal in a conflict: what the policy would apply waits for a person, who sees both sides."""
    if conflict is None or verdict.decision == "reject" or approvals > 0:
        return verdict
    sides = " or ".join(
        dict.fromkeys(
            f"{s['agent'] or 'an agent'}: {s['action'] or s['value'][:200]}" for s in conflict["sides"]
        )
    )
    why = f"there is disagreement about {conflict['about']} ({sides}): {conflict['why']}"[:4000]
    stricter = {"decision": "review", "risk": "high", "approvals": max(verdict.approvals, 1)}
    if verdict.decision == "apply":
        stricter |= {"policy": "conflict", "why": why}
    return verdict.model_copy(update=stricter)


def given_up(row: dict[str, Any], rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An action row that is not decided yet, rejected if another side of its conflict was applied, or may have been."""
    names = _sides(row)
    if row["state"] not in UNDECIDED or not names:
        return row
    lost = any(
        other["key"] != row["key"]
        and other["state"] in ("applied", "unknown")
        # one that a person has edited is no side any more, but it stands for one
        and (_sides(other) & names or Proposal.model_validate(other["proposal"]).fingerprint in names)
        for other in rows
    )
    return {**row, "state": "rejected", "why": OTHER_SIDE} if lost else row


def _sides(row: Mapping[str, Any]) -> set[str]:
    """The fingerprints of the actions that exclude one another in the conflict of a row; none without one."""
    conflict = row.get("conflict") or {}
    return {s["fingerprint"] for s in conflict["sides"]} if conflict.get("kind") == "actions" else set()
