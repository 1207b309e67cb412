"""The parts of a request, in waves: every part whose needs are met is asked for at once, and what came of it is a finding."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.runtime import Runtime

from meshwright.deadline import Deadline
from meshwright.findings import Finding, Gap, Subtask
from orchestrator import told
from orchestrator.explained import not_asked
from orchestrator.gate import action_key
from orchestrator.inquiry import Asked, ask, tell, unanswered
from orchestrator.questions import (
    MAX_QUESTIONS,
    answerable,
    entry,
    open_questions,
    rejected,
    withheld,
)
from orchestrator.work import SHARES, Drive, Work


async def delegate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: ask for every subtask whose needs are met, and answer what was asked of us, all at once; again while some are left."""
    drive = runtime.context
    wave = ready(state)
    known = {part["id"]: part for part in state["plan"]}
    answers = [known[name] for name in answerable(state) if name in known]
    by = drive.by.share(SHARES.delegate)
    share = SHARES.delegate / max(len(wave) + len(answers), 1)
    results = await asyncio.gather(
        *(_one(drive, state, part, by, share) for part in wave),
        *(tell(drive, state, part, by, share) for part in answers),
    )
    findings, steps, questions = dict(state["findings"]), list(state["steps"]), open_questions(state)
    decided = dict(state.get("decided") or {})
    for part, result in zip([*wave, *answers], results, strict=True):
        steps.append(result.step)
        if result.call:
            decided[f"part:{part['id']}"] = result.call
        before = questions.pop(part["id"], None)
        if result.asks is None:
            findings[part["id"]] = _finding(part, result).model_dump(mode="json")
        elif (before or {}).get("number", 0) >= MAX_QUESTIONS:
            await drive.outbox.let_go(result.peer["letter"])
            why = f"{result.peer['name']} asked {MAX_QUESTIONS} times in the middle of it, and once more"
            gap = Asked(None, why, result.step)
            findings[part["id"]] = _finding(part, gap).model_dump(mode="json")
        else:
            proposal = result.asks.proposal
            key = action_key(state["id"], proposal) if proposal is not None else ""
            placed = {**state, "questions": questions}
            questions[part["id"]] = entry(placed, part["id"], result.peer, result.asks, before, key)
            await drive.say(f"{result.peer['name']}: {result.step['why']}")
    gaps = list(state["gaps"])
    for name, why in withheld({**state, "questions": questions}).items():
        what = questions[name]["asks"]["proposal"]["action"]
        gaps.append(
            Gap(
                what=what, why=f"{questions[name]['agent']} proposed it: {why}"[:8000], subtask=name
            ).model_dump()
        )
        questions[name] = rejected(questions[name], why)
    return {"findings": findings, "steps": steps, "questions": questions, "gaps": gaps, "decided": decided}


def ready(state: Work) -> list[dict[str, Any]]:
    """The subtasks that are not answered yet and whose needs are; not those that wait for an answer from us."""
    findings, ids = state["findings"], {part["id"] for part in state["plan"]}
    return [
        part
        for part in state["plan"]
        if part["id"] not in {*findings, *open_questions(state)}
        and all(n in findings or n not in ids for n in part["needs"])
    ]


async def _one(drive: Drive, state: Work, part: dict[str, Any], by: Deadline, share: float) -> Asked:
    """One subtask with the facts it needs; everything else that was found stays here, and the step says so."""
    subtask = Subtask.model_validate(part)
    context = {
        need: state["findings"][need].get("facts", {}) for need in subtask.needs if need in state["findings"]
    }
    missing = [need for need in subtask.needs if context.get(need) == {} and _critical(state, need)]
    parent = (state.get("decided") or {}).get("plan", "")
    if missing:
        why = f"it needs {', '.join(missing)}, which was not answered"
        not_asked(drive.minutes, subtask, state["round"], parent, why)
        return unanswered(subtask, why)
    whole = subtask.model_copy(update={"context": {**subtask.context, **context}})
    await drive.say(f"asking for {subtask.skill}")
    return await ask(
        drive,
        whole,
        by,
        parent=parent,
        context=lambda given: told.to_part(given, state, whole),
        text=state["request"],
        turn=state["round"],
        share=share,
        hears=True,
    )


def _critical(state: Work, need: str) -> bool:
    return any(part["id"] == need and part["critical"] for part in state["plan"])


def _finding(part: dict[str, Any], result: Asked) -> Finding:
    """The finding of a subtask; where there is none, one that consists of a gap. A stand-in's answer leaves one too."""
    subtask, what = part["id"], part["instruction"][:400]
    if result.answer is None:
        return Finding(subtask=subtask, gaps=[Gap(what=what, why=result.why, subtask=subtask)])
    finding = result.answer
    assert isinstance(finding, Finding)
    gaps = [gap.model_copy(update={"subtask": subtask}) for gap in finding.gaps]
    whose = {"proposed_by": result.agent, "subtask": subtask}  # what it says of that itself is not believed
    proposals = [proposal.model_copy(update=whose) for proposal in finding.proposals]
    if result.stand_in:
        gaps.append(Gap(what=what, why=str(result.step["why"]), subtask=subtask))
        proposals = []  # whoever stands in reads; it does not propose
    return finding.model_copy(
        update={"subtask": subtask, "agent": result.agent, "gaps": gaps, "proposals": proposals}
    )
