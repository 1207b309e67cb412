"""What is to be done: the request is split by whoever has that skill, and each part is matched to the cards by its skill."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any

from langgraph.runtime import Runtime

from meshwright.errors import MeshError, NoPeer
from meshwright.findings import Gap, Split, Subtask
from orchestrator import told
from orchestrator.explained import not_planned, plan_id, planned, planned_again
from orchestrator.inquiry import ask, unanswered
from orchestrator.work import SHARES, Drive, Work

#: The skill that splits a request. Any agent may offer it; none needs to be called triage.
SPLIT = "split-request"
#: Characters of a request that whoever splits it reads: an instruction has no more.
READ = 8_000
#: How many marks of who is writing are looked at, and characters of each: whoever splits may say what it likes, and each is searched for.
MARKS, MARK = 16, 200


async def plan(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: ask for a split (first round), or take up again what was refused (later rounds)."""
    drive, began = runtime.context, time.time()
    if state["round"] > 0:
        return _again(state, drive)
    await drive.say("reading the request")
    part = Subtask(id="split", skill=SPLIT, instruction=state["request"][:READ])
    this = plan_id(drive.minutes, 1)
    try:
        asked = await ask(
            drive,
            part,
            drive.by.share(SHARES.plan),
            parent=this,
            context=lambda given: told.to_split(given, state["request"], part.instruction),
            answers=Split,
            stand_in=False,
            share=SHARES.plan,
        )
    except asyncio.CancelledError:
        not_planned(drive.minutes, began, "it took longer than there was time", "called-off")
        raise
    if asked.answer is None:
        why = f"the request could not be read: {asked.why}"
        gap = Gap(what="the whole request", why=why, subtask="split")
        not_planned(drive.minutes, began, why)
        unread = {"gaps": [gap.model_dump()], "unread": [state["request"]]}
        return {"round": 1, "steps": [asked.step], "decided": {"plan": this}, **unread}
    split = asked.answer
    assert isinstance(split, Split)
    if rest := state["request"][READ:].strip():
        # nobody has read it, and it may take back what was
        split = split.model_copy(update={"unread": [*split.unread, rest[:READ]]})
    subtasks, gaps = _matched(split.subtasks, drive)
    planned(drive.minutes, began, asked.agent, split, subtasks, gaps)
    parts = {part.id: part for part in split.subtasks}
    for subtask in subtasks:
        await drive.say(f"plan: {subtask.skill}: {subtask.instruction[:120]}")
    return {
        "round": 1,
        "decided": {"plan": this},
        "topic": split.topic,
        "urgency": split.urgency,
        "subject": stated(split.subject, state["request"]),
        "unread": split.unread,
        "plan": [s.model_dump(mode="json") for s in subtasks],
        "gaps": [g.model_dump() for g in gaps],
        "steps": [asked.step, *(unanswered(parts[g.subtask], g.why).step for g in gaps)],
    }


def _matched(subtasks: list[Subtask], drive: Drive) -> tuple[list[Subtask], list[Gap]]:
    """Subtasks that can be asked for, in an order that respects `needs`; and a gap for each that cannot."""
    gaps: list[Gap] = []
    ids = {s.id for s in subtasks}
    for subtask in subtasks:
        try:
            drive.directory.candidates(subtask.skill)
        except NoPeer as error:
            if not drive.directory.fallbacks(subtask.skill):
                gaps.append(Gap(what=subtask.instruction[:400], why=str(error), subtask=subtask.id))
        except MeshError as error:
            gaps.append(Gap(what=subtask.instruction[:400], why=str(error), subtask=subtask.id))
    lost = {gap.subtask for gap in gaps}
    ordered: list[Subtask] = []
    left = [s for s in subtasks if s.id not in lost]
    while left:
        ready = [
            s for s in left if all(n not in ids or n in lost or n in {o.id for o in ordered} for n in s.needs)
        ]
        if not ready:
            names = ", ".join(s.id for s in left)
            gaps += [
                Gap(what=s.instruction[:400], why=f"the parts {names} need each other", subtask=s.id)
                for s in left
            ]
            break
        ordered += ready
        left = [s for s in left if s not in ready]
    return ordered, gaps


def stated(subject: Mapping[str, str], request: str) -> dict[str, str]:
    """What of a subject really stands in the customer's words, whole words: nobody else may say who the customer is."""
    words = request.casefold()
    return {
        name: value
        for name, value in islice(subject.items(), MARKS)
        if 0 < len(value) <= MARK and all(_stands(piece, words) for piece in value.casefold().split())
    }


def _stands(piece: str, words: str) -> bool:
    """Whether `piece` stands in `words`, and not only as a part of another word. The end of an e-mail address is somebody else's."""
    before, after = (r"(?<!\w[.+%'-])", r"(?![.-]\w)") if "@" in piece else ("", "")
    return re.search(rf"(?<![\w@]){before}{re.escape(piece)}(?![\w@]){after}", words) is not None


def _again(state: Work, drive: Drive) -> dict[str, Any]:
    """Another round for the parts whose action was refused when it was applied: the world had changed meanwhile."""
    refused = [row for row in state["actions"] if row["state"] == "refused" and not row.get("seen")]
    again = {row["proposal"].get("subtask", "") for row in refused}
    plan = [
        {**part, "context": {**part["context"], "refused": [row["why"] for row in refused]}}
        for part in state["plan"]
        if part["id"] in again
    ]
    actions = [{**row, "seen": True} if row in refused else row for row in state["actions"]]
    findings = {key: value for key, value in state["findings"].items() if key not in again}
    number = state["round"] + 1
    this = planned_again(drive.minutes, number, plan, refused)
    return {
        "round": number,
        "decided": {**(state.get("decided") or {}), "plan": this},
        "actions": actions,
        "findings": findings,
        "plan": [part for part in state["plan"] if part["id"] not in again] + plan,
    }
