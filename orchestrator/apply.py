"""What the gate let through happens here, and only here: a write tool, a token bound to this one call, an idempotency key."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from meshwright.errors import MeshError, ToolRefused
from meshwright.findings import Gap
from orchestrator.belief import given_up
from orchestrator.work import SHARES, Drive, Work


async def apply(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: apply every open action, in the order proposed. One that cannot be reached now becomes a gap, not a hope."""
    drive = runtime.context
    rows: list[dict[str, Any]] = []
    gaps = list(state["gaps"])
    for row in state["actions"]:
        row = given_up(row, [*rows, *state["actions"]])
        if row["state"] != "open":
            rows.append(row)
            continue
        proposal = row["proposal"]
        by = drive.by.share(SHARES.apply)
        try:
            tools = drive.toolbox.session(by=by, ticket=state["id"], priority=drive.origin.priority)
            receipt = await tools.apply(proposal["action"], proposal["arguments"], row["key"])
        except ToolRefused as refusal:
            rows.append({**row, "state": "refused", "why": str(refusal)})
            gaps.append(_gap(proposal, f"refused when it was applied: {refusal}"))
        except MeshError as error:
            rows.append({**row, "state": "unknown", "why": str(error)})
            gaps.append(_gap(proposal, f"it is not known whether it was applied: {error}"))
        else:
            await drive.say(f"applied {proposal['action']}: {receipt.get('summary', '')}"[:300])
            rows.append({**row, "state": "applied", "receipt": receipt})
    return {"actions": [given_up(row, rows) for row in rows], "gaps": gaps}


def _gap(proposal: dict[str, Any], why: str) -> dict[str, Any]:
    return Gap(what=proposal["action"], why=why[:4000]).model_dump(mode="json")
