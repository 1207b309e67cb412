"""Many findings to one answer, by whoever has that skill. Without that last check nothing is proposed to the gate."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from meshwright.findings import Gap, Resolution, Subtask
from orchestrator.delegate import ask
from orchestrator.work import SHARES, Drive, Work

#: The skill that merges findings.
MERGE = "merge-findings"


async def aggregate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: ask for one Resolution of all findings."""
    drive = runtime.context
    findings = [state["findings"][part["id"]] for part in state["plan"] if part["id"] in state["findings"]]
    if not findings:
        return {"resolution": Resolution().model_dump(mode="json")}
    await drive.say("putting the answers together")
    part = Subtask(
        id="merge",
        skill=MERGE,
        instruction="Merge these findings into one answer.",
        details={"findings": findings},
    )
    by = drive.by.share(SHARES.aggregate)
    asked = await ask(
        *(drive, part, by), answers=Resolution, stand_in=False, turn=state["round"], share=SHARES.aggregate
    )
    steps = [*state["steps"], asked.step]
    if asked.answer is None:
        gap = Gap(
            what="the final check of the answers", why=f"{asked.why}; so nothing is changed", subtask="merge"
        )
        heard = Resolution(
            reply="\n".join(f["reply"] for f in findings if f["reply"]), gaps=[gap], confidence=0
        )
        return {"steps": steps, "resolution": heard.model_dump(mode="json"), "gaps": _gaps(state, heard)}
    resolution = asked.answer
    assert isinstance(resolution, Resolution)
    return {
        "steps": steps,
        "resolution": resolution.model_dump(mode="json"),
        "gaps": _gaps(state, resolution),
    }


def _gaps(state: Work, resolution: Resolution) -> list[dict[str, Any]]:
    """All gaps so far, each once."""
    fresh = [gap.model_dump(mode="json") for gap in resolution.gaps]
    return list({(gap["what"], gap["why"]): gap for gap in [*state["gaps"], *fresh]}.values())
