"""From findings that do not contradict each other any more to one Resolution."""

from __future__ import annotations

from meshwright.findings import Conflict, Finding, Gap, Proposal, Resolution

MAX_REPLY = 8000


def merge(
    findings: list[Finding], proposals: list[Proposal], conflicts: list[Conflict], gaps: list[Gap]
) -> Resolution:
    """The reply in the order of the findings, each sentence once; gaps of all; the least confidence of any part."""
    replies = list(dict.fromkeys(f.reply.strip() for f in findings if f.reply.strip()))
    all_gaps = [gap for finding in findings for gap in finding.gaps] + gaps
    confidences = [p.confidence for p in proposals] + [c.confidence for f in findings for c in f.claims]
    return Resolution(
        reply="\n".join(replies)[:MAX_REPLY],
        proposals=proposals,
        conflicts=conflicts,
        gaps=list({(g.what, g.why): g for g in all_gaps}.values())[:64],
        confidence=min(confidences, default=1.0),
    )
