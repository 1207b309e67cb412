"""The aggregator's card and function: validate, settle contradictions, merge."""

from __future__ import annotations

from typing import Any

from aggregator.conflicts import settle_claims, settle_proposals
from aggregator.merge import merge
from aggregator.validate import supported
from meshwright.agent import Agent, Job
from meshwright.errors import InvalidRequest
from meshwright.findings import Finding, Resolution, Subtask
from meshwright.parts import read_as


async def playbook(subtask: Subtask, job: Job) -> Resolution:
    """From `details.findings` (a list of Findings) to one Resolution."""
    listed: Any = subtask.details.get("findings")
    if not isinstance(listed, list):
        raise InvalidRequest("merge-findings needs details.findings: a list of findings")
    findings, gaps = supported([read_as(Finding, finding) for finding in listed])
    conflicts = settle_claims(findings)
    proposals, contradictions, contested = settle_proposals(findings)
    return merge(findings, proposals, [*conflicts, *contradictions], [*gaps, *contested])


AGENT = Agent("aggregator", playbook=playbook, answers=Resolution)
