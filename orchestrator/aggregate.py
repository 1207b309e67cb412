"""Many findings to one answer, by whoever has that skill. Without that last check nothing is proposed to the gate.

What comes back is held against what was sent (`belief.py`); what nobody had proposed is dropped, and the audit log says so.
"""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from meshwright.audit.log import Entry
from meshwright.audit.privacy import arguments, redacted
from meshwright.findings import Finding, Gap, Resolution, Subtask
from orchestrator import told
from orchestrator.belief import Believed, believed
from orchestrator.disputes import disputed, dropped
from orchestrator.gate import SELF, action_key
from orchestrator.inquiry import ask
from orchestrator.work import SHARES, Drive, Work

#: The skill that merges findings.
MERGE = "merge-findings"


async def aggregate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: ask for one Resolution of all findings."""
    drive = runtime.context
    findings = stamped(state)
    if not findings:
        return {"resolution": Resolution().model_dump(mode="json")}
    await drive.say("putting the answers together")
    part = Subtask(
        id="merge",
        skill=MERGE,
        instruction="Merge these findings into one answer.",
        details={
            "findings": [finding.model_dump(mode="json") for finding in findings],
            "words": state["request"],
            "asked": _asked(state),
            "table": drive.contradictions.model_dump(mode="json"),
        },
    )
    asked = await ask(
        drive,
        part,
        drive.by.share(SHARES.aggregate),
        parent=(state.get("decided") or {}).get("plan", ""),
        context=lambda given: told.to_merge(given, state, part.details),
        answers=Resolution,
        stand_in=False,
        turn=state["round"],
        share=SHARES.aggregate,
    )
    steps = [*state["steps"], asked.step]
    if asked.answer is None:
        gap = Gap(
            what="the final check of the answers", why=f"{asked.why}; so nothing is changed", subtask="merge"
        )
        heard = Resolution(
            reply="\n".join(f.reply for f in findings if f.reply)[:8000], gaps=[gap], confidence=0
        )
        return {"steps": steps, "resolution": heard.model_dump(mode="json"), "gaps": _gaps(state, heard)}
    assert isinstance(asked.answer, Resolution)
    true = believed(asked.answer, findings, state["request"], drive.contradictions)
    _note(drive, state, findings, true, asked.call)
    await _record(drive, state, true)
    return {
        "steps": steps,
        "resolution": true.resolution.model_dump(mode="json"),
        "gaps": _gaps(state, true.resolution),
    }


def stamped(state: Work) -> list[Finding]:
    """The findings in the order of the plan; each proposal says who made it, and for which part: as it was heard, not as it says."""
    findings = []
    for part in state["plan"]:
        if part["id"] in state["findings"]:
            finding = Finding.model_validate(state["findings"][part["id"]])
            whose = {"proposed_by": finding.agent, "subtask": part["id"]}
            proposals = [proposal.model_copy(update=whose) for proposal in finding.proposals]
            findings.append(finding.model_copy(update={"subtask": part["id"], "proposals": proposals}))
    return findings


def _asked(state: Work) -> list[dict[str, Any]]:
    """The plan, with the skill of each part; who only stood in for it has none."""
    spare = {step["subtask"] for step in state["steps"] if step["outcome"] == "stand-in"}
    return [
        {
            "id": part["id"],
            "skill": "" if part["id"] in spare else part["skill"],
            "instruction": part["instruction"],
            "critical": part["critical"],
        }
        for part in state["plan"]
    ]


def _note(drive: Drive, state: Work, findings: list[Finding], true: Believed, call: str) -> None:
    """What was dropped, and each disagreement with both sides, as decisions that follow from the `call` of whoever merged."""
    run, turn = state["id"], state["round"]
    for one, why in true.dropped:
        key = f"{turn}/dropped/{one.fingerprint}"
        dropped(drive.minutes, key, action_key(run, one), one, why, call)
    made = [proposal for finding in findings for proposal in finding.proposals]
    keys = {proposal.fingerprint: action_key(run, proposal) for proposal in made}
    for number, conflict in enumerate(true.resolution.conflicts):
        disputed(drive.minutes, f"{turn}/{number}", conflict, keys, call)


async def _record(drive: Drive, state: Work, true: Believed) -> None:
    """Write down what was dropped and how each conflict was settled. Raises LeaseLost."""
    run, turn = state["id"], state["round"]
    entries = [
        Entry(
            kind="proposal.dropped",
            actor=SELF,
            body={"tool": one.action, "arguments": arguments(one.arguments), "why": why},
            run=run,
            once=f"dropped:{run}:{turn}:{one.fingerprint}",
        )
        for one, why in true.dropped
    ]
    for number, conflict in enumerate(true.resolution.conflicts):
        sides = [
            {
                "agent": side.agent,
                "tool": side.action,
                "arguments": arguments(side.arguments),
                "value": redacted(side.value),
                "fingerprint": side.fingerprint,
                "confidence": side.confidence,
            }
            for side in conflict.sides
        ]
        body = {
            "about": redacted(conflict.about),
            "kind": conflict.kind,
            "strategy": conflict.strategy,
            "chosen": redacted(conflict.chosen),
            "why": redacted(conflict.why),
            "sides": sides,
        }
        once = f"conflict:{run}:{turn}:{number}"
        entries.append(Entry(kind="conflict.settled", actor=SELF, body=body, run=run, once=once))
    if entries:
        await drive.store.record(drive.claim, *entries, minutes=drive.minutes)


def _gaps(state: Work, resolution: Resolution) -> list[dict[str, Any]]:
    """All gaps so far, each once."""
    fresh = [gap.model_dump(mode="json") for gap in resolution.gaps]
    both = [*state["gaps"], *fresh]
    return list({(gap["what"], gap["why"], gap["subtask"]): gap for gap in both}.values())
