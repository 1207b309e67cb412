"""The aggregator's card and function: opens the case, settles contradictions as declared, merges."""

from __future__ import annotations

from aggregator.case import opened
from aggregator.judge import judge_by
from aggregator.merge import merged
from meshwright.agent import Agent, Job
from meshwright.findings import Resolution, Subtask


async def playbook(subtask: Subtask, job: Job) -> Resolution:
    """From `details.findings` (a list of Findings) to one Resolution. With a model configured, it is the judge that may be asked."""
    case = opened(subtask)
    return await merged(case, judge_by(job.model, job, case.words) if job.model else None)


AGENT = Agent("aggregator", playbook=playbook, answers=Resolution)
