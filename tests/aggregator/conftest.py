"""Findings made quickly, and the aggregator asked about them without a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aggregator.agent import playbook
from meshwright.agent import Alone, Job
from meshwright.deadline import Deadline
from meshwright.findings import Claim, Evidence, Finding, Proposal, Resolution, Subtask, Usage

TOOL = [{"source": "tool:book.get", "quote": "it says so"}]
WORDS = "Please cancel order W1 because I no longer need it."


class NoTools:
    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        raise AssertionError("the aggregator has no tools")


def finding(agent: str, *, subtask: str = "", tools: tuple[str, ...] = ("book.get",), **more: Any) -> Finding:
    return Finding(agent=agent, subtask=subtask or agent, usage=Usage(tools=list(tools)), **more)


def claim(about: str, value: str, confidence: float = 1.0, source: str = "tool:book.get") -> Claim:
    evidence = [Evidence(source=source, quote=WORDS if source == "ticket" else "it says so")]
    return Claim(text=value, about=about, value=value, confidence=confidence, evidence=evidence)


def propose(action: str, confidence: float = 1.0, amount: int | None = None, **arguments: Any) -> Proposal:
    given = [Evidence.model_validate(piece) for piece in TOOL]
    return Proposal(action=action, arguments=arguments, confidence=confidence, amount=amount, evidence=given)


Merge = Callable[..., Awaitable[Resolution]]


@pytest.fixture
def merge() -> Merge:
    """`await merge(*findings, table=..., asked=..., model=...)`: the Resolution."""

    async def merged(*findings: Any, model: Any = None, **details: Any) -> Resolution:
        sent = [f.model_dump(mode="json") if isinstance(f, Finding) else f for f in findings]
        details = {"words": WORDS, **details, "findings": sent}
        subtask = Subtask(id="merge", skill="merge-findings", instruction="merge", details=details)
        job = Job(Deadline.after(60), NoTools(), peers=Alone(), model=model)
        answer = await playbook(subtask, job)
        return Resolution.model_validate_json(answer.model_dump_json())

    return merged


@pytest.fixture
def say() -> Any:
    """How findings are made here."""

    class Say:
        finding = staticmethod(finding)
        claim = staticmethod(claim)
        propose = staticmethod(propose)

    return Say
