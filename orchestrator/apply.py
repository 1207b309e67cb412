"""What the gate let through happens here, and only here: a write tool, a token bound to this one call, an idempotency key."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.runtime import Runtime

from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen, MeshError, PeerOverloaded, PeerUnreachable, ToolRefused
from meshwright.findings import Gap
from orchestrator.work import SHARES, Drive, Work

#: Seconds between two tries of the same effect: the first, and the longest.
PAUSE, LONGEST_PAUSE = 0.1, 1.0


async def apply(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: apply every open action, in the order proposed. One that cannot be reached now becomes a gap, not a hope."""
    drive = runtime.context
    rows: list[dict[str, Any]] = []
    gaps = list(state["gaps"])
    for row in state["actions"]:
        if row["state"] != "open":
            rows.append(row)
            continue
        proposal = row["proposal"]
        by = drive.by.share(SHARES.apply)
        try:
            receipt = await effect(
                drive, state["id"], proposal["action"], proposal["arguments"], row["key"], by
            )
        except ToolRefused as refusal:
            rows.append({**row, "state": "refused", "why": str(refusal)})
            gaps.append(_gap(proposal, f"refused when it was applied: {refusal}"))
        except MeshError as error:
            rows.append({**row, "state": "unknown", "why": str(error)})
            gaps.append(_gap(proposal, f"it is not known whether it was applied: {error}"))
        else:
            await drive.say(f"applied {proposal['action']}: {receipt.get('summary', '')}"[:300])
            rows.append({**row, "state": "applied", "receipt": receipt})
    return {"actions": rows, "gaps": gaps}


async def effect(
    drive: Drive, ticket: str, action: str, arguments: dict[str, Any], key: str, by: Deadline
) -> dict[str, Any]:
    """Apply one action, asking again while the tool server cannot be reached: with the same key that is the same effect.

    Raises ToolRefused, or the last PeerError once `by` leaves no time for another try.
    """
    pause = PAUSE
    while True:
        try:
            tools = drive.toolbox.session(by=by, ticket=ticket, priority=drive.origin.priority)
            return await tools.apply(action, arguments, key)
        except (PeerUnreachable, PeerOverloaded, BreakerOpen):
            if by.remaining < 2 * pause:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _gap(proposal: dict[str, Any], why: str) -> dict[str, Any]:
    return Gap(what=proposal["action"], why=why[:4000]).model_dump(mode="json")
