"""A claim or a proposal without a tool result, a citation or the customer's words behind it is not passed on."""

from __future__ import annotations

from meshwright.findings import Finding, Gap


def supported(findings: list[Finding]) -> tuple[list[Finding], list[Gap]]:
    """The findings without what nothing supports, and a gap for each proposal that was dropped."""
    gaps: list[Gap] = []
    kept: list[Finding] = []
    for finding in findings:
        for proposal in finding.proposals:
            if not proposal.supported:
                why = f"{finding.agent or 'an agent'} proposed {proposal.action} without evidence"
                gaps.append(Gap(what=proposal.action, why=why, subtask=finding.subtask))
        kept.append(
            finding.model_copy(
                update={
                    "claims": [claim for claim in finding.claims if claim.evidence],
                    "proposals": [proposal for proposal in finding.proposals if proposal.supported],
                }
            )
        )
    return kept, gaps
