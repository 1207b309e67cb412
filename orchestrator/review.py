"""The one place where a run waits: for people's decisions on its open reviews. Waiting costs a row, no memory."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from meshwright.findings import Gap
from orchestrator.questions import for_the_client, heard
from orchestrator.work import Drive, Work


async def review(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: park until every review of this run is decided; then open what was approved.

    What resumes it is only a signal. The decisions are read from the store, so nobody who can send a message can approve.
    """
    if (told := said_by_the_client(state, runtime.context)) is not None:
        return {"questions": told}
    waiting = [row["key"] for row in state["actions"] if row["state"] == "waiting"]
    decided = await runtime.context.store.decisions(waiting)
    if len(decided) < len(waiting) or (not waiting and for_the_client(state)):
        interrupt({"reviews": waiting})
        decided = await runtime.context.store.decisions(waiting)
    rows: list[dict[str, Any]] = []
    gaps = list(state["gaps"])
    for row in state["actions"]:
        decision = decided.get(row["key"]) if row["state"] == "waiting" else None
        if decision is None:
            rows.append(row)
            continue
        who = f"{decision['by']}{': ' + decision['reason'] if decision['reason'] else ''}"
        if decision["decision"] == "approve":
            rows.append({**row, "state": "open", "approved_by": decision["by"]})
        else:
            rows.append({**row, "state": "rejected", "why": f"rejected by {who}"})
            why = f"a person decided against it ({who})"[:4000]
            gaps.append(Gap(what=row["proposal"]["action"], why=why).model_dump(mode="json"))
    return {"actions": rows, "gaps": gaps}


def said_by_the_client(state: Work, drive: Drive) -> dict[str, Any] | None:
    """The questions with the client's answer to the one that was put to them, if that is what began this drive.

    It answers a question, and nothing else: a client's words never approve.
    """
    return heard(state, drive.word.about, drive.word.text) if drive.word is not None else None
