"""Whom to ask: the owners of a skill in order, then whoever stands in, then a named gap. Never a hang, never a silent hole."""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from langgraph.runtime import Runtime

from meshwright.deadline import Deadline
from meshwright.errors import LeaseLost, MeshError, NoPeer, StoreUnavailable
from meshwright.extension import canonical
from meshwright.findings import Asks, Finding, Gap, Part, Subtask
from meshwright.outbound.answers import read
from meshwright.outbound.peer import Answer, Peer
from orchestrator.gate import action_key
from orchestrator.letters import sent
from orchestrator.questions import (
    MAX_QUESTIONS,
    answer_to,
    answerable,
    entry,
    open_questions,
    rejected,
    withheld,
)
from orchestrator.steps import ms_since, outcome_of, step_of
from orchestrator.work import SHARES, Drive, Trail, Work, code_of

#: Kept back from the first peer's time while there is another to ask, so that asking it still makes sense.
FIRST_SHARE = 0.6
#: Codes of degradation an agent may note of its own, and characters of each.
NOTES, NOTE = 8, 40
#: Below this many seconds nobody is asked any more.
FLOOR = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """How asking for one subtask went: the answer or None, the reason when there is none, the step for the record.

    `asks` is what the peer has to know first, and `peer` where that is to be answered: {agent, name, url, remote, letter}.
    """

    answer: Part | None
    why: str
    step: dict[str, Any]
    stand_in: bool = False
    asks: Asks | None = None
    peer: dict[str, str] = field(default_factory=dict)
    #: Who answered, as policies name it.
    agent: str = ""


async def delegate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: ask for every subtask whose needs are met, and answer what was asked of us, all at once; again while some are left."""
    drive = runtime.context
    wave = ready(state)
    known = {part["id"]: part for part in state["plan"]}
    told = [known[name] for name in answerable(state) if name in known]
    by = drive.by.share(SHARES.delegate)
    share = SHARES.delegate / max(len(wave) + len(told), 1)
    results = await asyncio.gather(
        *(_one(drive, state, part, by, share) for part in wave),
        *(_told(drive, state, part, by, share) for part in told),
    )
    findings, steps, questions = dict(state["findings"]), list(state["steps"]), open_questions(state)
    for part, result in zip([*wave, *told], results, strict=True):
        steps.append(result.step)
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
    return {"findings": findings, "steps": steps, "questions": questions, "gaps": gaps}


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
    if missing:
        return unanswered(subtask, f"it needs {', '.join(missing)}, which was not answered")
    subtask = subtask.model_copy(update={"context": {**subtask.context, **context}})
    await drive.say(f"asking for {subtask.skill}")
    return await ask(drive, subtask, by, text=state["request"], turn=state["round"], share=share, hears=True)


async def _told(drive: Drive, state: Work, part: dict[str, Any], by: Deadline, share: float) -> Asked:
    """The answer to what a peer asked, on its own task; and what it came to then: its finding, or the next that it asks."""
    subtask, row, said = (
        Subtask.model_validate(part),
        open_questions(state)[part["id"]],
        answer_to(state, part["id"]),
    )
    assert said is not None
    trail, began = Trail(), time.monotonic()
    names = [drive.run, state["round"], subtask.id, row["url"], row["remote"], said.id]
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, canonical(names)))
    body = {"content": {"answers": said.model_dump(mode="json", exclude_none=True)}, "text": said.text or ""}
    want = await drive.purse.portion(share)
    try:
        peer = await drive.directory.met(row["url"], by)
        reading = functools.partial(read, peer.name, Finding)
        answer = await sent(
            drive, peer, by, key, body, want, reading, hears=True, answers=(row["remote"], said.id)
        )
        found = None if answer.asks is not None else reading(answer)
    except (LeaseLost, StoreUnavailable):
        raise
    except MeshError as error:
        trail.add(row["name"], outcome_of(error), ms_since(began))
        trail.lacks(code_of(error), "gap")
        await drive.outbox.let_go(row["letter"])
        why = f"it asked in the middle of its work, and was lost when it was answered: {error}"
        return Asked(None, why, step_of(subtask, None, "gap", why, trail, ms_since(began)))
    return _came(subtask, peer, key, answer, found, trail, began, "went on with the answer")


def _came(
    subtask: Subtask,
    peer: Peer,
    key: str,
    answer: Answer,
    found: Part | None,
    trail: Trail,
    began: float,
    why: str,
    *,
    outcome: str = "answered",
    spare: bool = False,
) -> Asked:
    """What a peer came back with, as a result: its finding, or what it asks."""
    asks, outcome = answer.asks, "asked" if answer.asks is not None else outcome
    trail.add(peer.name, "asked back" if asks is not None else "answered", ms_since(began))
    if asks is not None:
        why = (
            f"asks: {asks.question.text}"
            if asks.question
            else f"proposes {asks.proposal and asks.proposal.action}"
        )
    step = step_of(subtask, peer.name, outcome, why, trail, ms_since(began), found)
    where = {
        "agent": peer.process,
        "name": peer.name,
        "url": peer.url,
        "remote": answer.task_id,
        "letter": key,
    }
    return Asked(found, "", step, spare, asks, where if asks is not None else {}, peer.process)


def unanswered(subtask: Subtask, why: str) -> Asked:
    """What becomes of a subtask that nobody is asked for."""
    return Asked(None, why, step_of(subtask, None, "gap", why, Trail(degraded=["gap"]), 0))


def _critical(state: Work, need: str) -> bool:
    return any(part["id"] == need and part["critical"] for part in state["plan"])


async def ask(
    drive: Drive,
    subtask: Subtask,
    by: Deadline,
    *,
    answers: type[Part] = Finding,
    content: dict[str, Any] | None = None,
    text: str = "",
    stand_in: bool = True,
    turn: int = 0,
    share: float = SHARES.delegate,
    hears: bool = False,
) -> Asked:
    """Ask the owners of a skill, one after the other; then, with `stand_in`, those who stand in for anyone.

    `turn` is the round of planning: in another round the same subtask is another question. `share` is the part of the run's
    budget that each of them may use. With `hears` an owner may ask back.
    """
    trail = Trail()
    want = await drive.purse.portion(share)
    began = time.monotonic()
    why = "nobody offers it"
    try:
        owners = drive.directory.candidates(subtask.skill)
    except NoPeer as error:
        owners, why = [], str(error)
        trail.lacks(code_of(error))
    for name, standing in drive.directory.passed_over(subtask.skill):
        trail.add(name, f"passed over: {outcome_of(standing)}", 0)
        trail.lacks(code_of(standing), "alternate")
    spares = (
        [peer for peer in drive.directory.fallbacks(subtask.skill) if peer not in owners] if stand_in else []
    )
    queue = [(peer, False) for peer in owners] + [(peer, True) for peer in spares]
    for place, (peer, spare) in enumerate(queue):
        last = place == len(queue) - 1
        if by.remaining <= FLOOR:
            why = f"no time was left ({why})" if trail.attempts else "no time was left"
            break
        started = time.monotonic()
        try:
            body = {"content": content or {"subtask": subtask.model_dump(mode="json")}, "text": text}
            key = str(uuid.uuid5(uuid.NAMESPACE_URL, canonical([drive.run, turn, subtask.id, peer.url])))
            until = by if last else by.share(FIRST_SHARE)
            reading = functools.partial(read, peer.name, answers)
            answer = await sent(drive, peer, until, key, body, want, reading, hears=hears and not spare)
            part = None if answer.asks is not None else reading(answer)
        except (LeaseLost, StoreUnavailable):
            raise  # about our own hold on the run, not about the peer
        except MeshError as error:
            why = str(error)
            trail.add(peer.name, outcome_of(error), ms_since(started))
            trail.lacks(code_of(error))
            continue
        if spare or place:
            trail.lacks("stand-in" if spare else "alternate")
        if isinstance(noted := answer.notes.get("degraded"), list):
            trail.lacks(*(str(code)[:NOTE] for code in noted[:NOTES]))
        outcome = "stand-in" if spare else "answered"
        reason = f"stands in: {why}" if spare else f"offers {subtask.skill}"
        return _came(*(subtask, peer, key, answer, part, trail, began, reason), outcome=outcome, spare=spare)
    trail.lacks("gap")
    return Asked(None, why, step_of(subtask, None, "gap", why, trail, ms_since(began)))


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
