"""What the aggregator is given: findings, who was asked for what, the customer's words, and the table of what contradicts what.

Only the findings are needed; what else is missing makes the aggregator more careful, never less. A finding that cannot be read
is a named gap and takes no other down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from meshwright.contradictions import Contradictions
from meshwright.errors import InvalidRequest
from meshwright.evidence import Words, standing
from meshwright.findings import Finding, Gap, Part, Proposal, Subtask, Text
from meshwright.parts import read_as


class Asked(Part):
    """One subtask as it was asked for. `skill` is empty when somebody answered who only stands in: such a word is no authority."""

    id: str
    skill: str = ""
    instruction: Text = ""
    critical: bool = False


class Given(Part):
    """The details of a `merge-findings` subtask."""

    findings: Annotated[list[Any], Field(max_length=64)]
    words: str = ""
    asked: list[Asked] = Field(default_factory=list, max_length=64)
    table: Contradictions = Field(default_factory=Contradictions)


@dataclass(slots=True)
class Case:
    """The findings without what nothing supports, and everything that was lost on the way."""

    words: str
    asked: dict[str, Asked]
    table: Contradictions
    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def skill_of(self, subtask: str) -> str:
        """The skill that a finding was asked for; empty when that is not known."""
        return self.asked[subtask].skill if subtask in self.asked else ""


def opened(subtask: Subtask) -> Case:
    """The case of a subtask's details. Raises InvalidRequest only when there is no list of findings at all."""
    given = read_as(Given, subtask.details)
    case = Case(given.words, {part.id: part for part in given.asked}, given.table)
    words = Words(given.words)
    for content in given.findings:
        try:
            finding = read_as(Finding, content)
        except InvalidRequest as error:
            name = str(content.get("subtask", "")) if isinstance(content, dict) else ""
            why = f"the answer cannot be read: {error}"
            case.gaps.append(Gap(what=_what(case, name), why=why[:4000], subtask=name[:120]))
            continue
        case.findings.append(_supported(case, finding, words))
    return case


def _supported(case: Case, finding: Finding, words: Words) -> Finding:
    """The finding with the claims and proposals that something supports; each proposal that is left out leaves a gap."""
    tools = set(finding.usage.tools)
    claims = []
    for claim in finding.claims:
        if held := standing(claim.evidence, tools, words):
            claims.append(claim.model_copy(update={"evidence": held}))
    proposals: list[Proposal] = []
    for proposal in finding.proposals:
        if held := standing(proposal.evidence, tools, words):
            signed = {"evidence": held, "proposed_by": finding.agent, "subtask": finding.subtask}
            proposals.append(proposal.model_copy(update=signed))
            continue
        lacks = "with evidence that does not hold" if proposal.evidence else "without evidence"
        why = f"{finding.agent or 'an agent'} proposed {proposal.action} {lacks}"
        case.gaps.append(Gap(what=proposal.action, why=why, subtask=finding.subtask))
    return finding.model_copy(update={"claims": claims, "proposals": proposals})


def _what(case: Case, subtask: str) -> str:
    part = case.asked.get(subtask)
    return (part.instruction[:400] if part else "") or "a part of the request"
