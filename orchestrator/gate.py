"""No action without a verdict: each proposal is judged by the policy, on facts that the gate looks up itself."""

from __future__ import annotations

import uuid
from typing import Any

from langgraph.runtime import Runtime

from meshwright.extension import canonical
from meshwright.findings import Proposal, Verdict
from meshwright.policy.rules import Policy
from orchestrator.questions import so_far, to_be_judged
from orchestrator.work import SHARES, Drive, Work

#: The tag of skills that propose changes.
WRITES = "write"


async def gate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: a verdict for every proposal that has none yet. Reviews are written down where people find them."""
    drive = runtime.context
    rows = list(state["actions"])
    known = {row["key"] for row in rows}
    for content, asked_by in to_be_judged(state):
        proposal = Proposal.model_validate(content)
        key = action_key(state["id"], proposal)
        if key in known:
            continue
        known.add(key)
        verdict = await judge(drive, so_far(state) if asked_by else state, proposal)
        await drive.say(f"gate: {proposal.action}: {verdict.decision} ({verdict.why[:120]})")
        states = {"apply": "open", "review": "waiting", "reject": "rejected"}
        rows.append(
            {
                "key": key,
                "proposal": proposal.model_dump(mode="json"),
                "verdict": verdict.model_dump(mode="json"),
                "state": states[verdict.decision],
                **({"asked_by": asked_by} if asked_by else {}),
            }
        )
        if verdict.decision == "review":
            await drive.store.open_review(key, state["id"], proposal, verdict, drive.claim)
    return {"actions": rows}


async def judge(drive: Drive, state: Work, proposal: Proposal) -> Verdict:
    """The policy's verdict on one proposal."""
    policy: Policy = drive.policy
    tools = drive.toolbox.session(
        by=drive.by.share(SHARES.gate), ticket=state["id"], priority=drive.origin.priority
    )

    async def look_up(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await tools.call(tool, **arguments)

    known = {
        "proposal": proposal.arguments,
        "proposal_confidence": proposal.confidence,
        "subject": state["subject"],
        "request": {"unread": state["unread"], "topic": state["topic"], "open_ends": open_ends(drive, state)},
    }
    return await policy.judge(proposal.action, known, look_up)


def open_ends(drive: Drive, state: Work) -> list[str]:
    """What was asked of a skill that proposes changes, and is not answered. Questions left open hold no change back."""
    skills = {part["id"]: part["skill"] for part in state["plan"]}
    return [
        gap["what"] for gap in state["gaps"] if WRITES in drive.directory.tags(skills.get(gap["subtask"], ""))
    ]


def action_key(run: str, proposal: Proposal) -> str:
    """The idempotency key of an action: the same run, action and arguments give the same key, whenever it is asked."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, canonical([run, proposal.action, proposal.arguments])))
