"""Contradictions between agents, and within one: two values of one subject, or two actions that exclude each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from aggregator.case import Case
from aggregator.sameness import same
from meshwright.contradictions import PERSON, distinct, folded, side_of
from meshwright.evidence import weight
from meshwright.findings import Claim, Conflict, Finding, Proposal, Side

#: Of each kind of conflict, how many are written down; and of one subject, how many values.
MOST = 32
#: Said of a conflict in which there is more than that: who says enough could else have a contradiction forgotten.
TOO_MUCH = "more stands against each other than can be weighed: a person decides"


@dataclass(slots=True)
class Option:
    """One of the things that may be true, or be done: who stands for it, and with what."""

    key: str
    subject: str
    skills: set[str] = field(default_factory=set)
    sides: list[Side] = field(default_factory=list)

    @property
    def weight(self) -> int:
        return max(weight(side.evidence) for side in self.sides)

    @property
    def confidence(self) -> float:
        return max(side.confidence for side in self.sides)

    @property
    def named(self) -> str:
        """Who stands for it."""
        return ", ".join(dict.fromkeys(side.agent or "an agent" for side in self.sides))


@dataclass(slots=True)
class Dispute:
    """A contradiction before anybody has settled it. `proposals` are the fingerprints of what depends on it.

    One that is not `whole` has more sides than are looked at, so nobody settles it.
    """

    about: str
    kind: Literal["claims", "actions"]
    options: list[Option]
    proposals: list[str]
    whole: bool = True

    def settled(self, strategy: str, chosen: Option | None, why: str) -> Conflict:
        """The dispute as it is written down; without a chosen option a person has to decide."""
        return Conflict(
            about=self.about,
            kind=self.kind,
            sides=[side for option in self.options for side in option.sides][:64],
            strategy=strategy if chosen else "person",
            chosen=chosen.key if chosen else "",
            why=(why if chosen else why or PERSON)[:4000],
            proposals=[] if chosen else self.proposals[:64],
        )


def disputed_claims(case: Case, proposals: Sequence[Proposal]) -> list[Dispute]:
    """A dispute for each subject that is given two values; the last one stands for all for which there is no room."""
    said: dict[str, list[tuple[Finding, Claim]]] = {}
    for finding in case.findings:
        for claim in finding.claims:
            if claim.about.strip() and claim.value.strip():
                said.setdefault(folded(claim.about), []).append((finding, claim))
    disputes = []
    for subject, claims in said.items():
        options: list[Option] = []
        whole = True
        for finding, claim in claims:
            option = next((o for o in options if same(o.key, claim.value)), None)
            if option is None:
                if len(options) == MOST:
                    whole = False
                    continue
                options.append(option := Option(claim.value, subject.partition(":")[0]))
            option.skills.add(case.skill_of(finding.subtask))
            side = Side(agent=finding.agent, value=claim.value, confidence=claim.confidence)
            option.sides.append(side.model_copy(update={"evidence": claim.evidence}))
        if len(options) > 1:
            hit = [p.fingerprint for p in proposals if _touches(case, subject, p)]
            disputes.append(Dispute(claims[0][1].about, "claims", options, hit, whole))
    return disputes if len(disputes) <= MOST else [*disputes[: MOST - 1], _rest(disputes[MOST - 1 :])]


def _rest(disputes: Sequence[Dispute]) -> Dispute:
    """Many disputes as one, which everything waits for that waits for any of them."""
    options = [option for dispute in disputes for option in dispute.options]
    hit = dict.fromkeys(proposal for dispute in disputes for proposal in dispute.proposals)
    return Dispute(f"{len(disputes)} more subjects", "claims", options, list(hit), whole=False)


def _touches(case: Case, subject: str, proposal: Proposal) -> bool:
    """Whether a proposal is about a subject: it says so, or its arguments name it."""
    name = subject.partition(":")[2] or subject
    targets = {target.partition(":")[2] or target for target in case.table.targets_of(proposal)}
    return subject == folded(proposal.about) or name in targets


def disputed_actions(case: Case, proposals: Sequence[Proposal]) -> list[Dispute]:
    """A dispute for each set of proposals that exclude one another. `proposals` are distinct."""
    made: dict[str, list[Proposal]] = {}
    for finding in case.findings:
        for proposal in finding.proposals:
            made.setdefault(proposal.fingerprint, []).append(proposal)
    disputes = []
    for group in case.table.groups(proposals):
        options = [
            Option(
                key=one.fingerprint,
                subject=one.action,
                skills={case.skill_of(each.subtask) for each in made[one.fingerprint]},
                sides=[side_of(each) for each in made[one.fingerprint]],
            )
            for one in group
        ]
        about = group[0].about or " ".join(sorted(case.table.targets_of(group[0])))
        disputes.append(Dispute(about[:8000], "actions", options, [one.fingerprint for one in group]))
    return disputes[:MOST]


def proposed(case: Case) -> list[Proposal]:
    """All that was proposed and that something supports, each once."""
    return distinct(proposal for finding in case.findings for proposal in finding.proposals)
