"""Whom to ask: the owners of a skill in order, then whoever stands in, then a named gap. Never a hang, never a silent hole."""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime

from meshwright.budget import Amount, used_in
from meshwright.deadline import Deadline
from meshwright.errors import (
    BreakerOpen,
    DeadlineExceeded,
    LeaseLost,
    MeshError,
    NoPeer,
    PeerCold,
    PeerOverloaded,
    PeerTaskFailed,
    PeerTimedOut,
    StoreUnavailable,
)
from meshwright.extension import canonical
from meshwright.findings import Finding, Gap, Part, Subtask
from meshwright.outbound.answers import cost_of, read
from meshwright.outbound.peer import Answer, Peer
from orchestrator.work import SHARES, Drive, Trail, Work, code_of

#: Kept back from the first peer's time while there is another to ask, so that asking it still makes sense.
FIRST_SHARE = 0.6
#: The part of its time for which a peer that still starts is waited for: the rest is for its work, or for the next in line.
COLD_SHARE = 0.5
#: Codes of degradation an agent may note of its own, and characters of each.
NOTES, NOTE = 8, 40
#: Below this many seconds nobody is asked any more.
FLOOR = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """How asking for one subtask went: the answer or None, the reason when there is none, the step for the record."""

    answer: Part | None
    why: str
    step: dict[str, Any]
    stand_in: bool = False
    #: Who answered, as policies name it.
    agent: str = ""


async def delegate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: ask for every subtask whose needs are met, all at once. The graph comes back while some are left."""
    drive = runtime.context
    wave = ready(state)
    by = drive.by.share(SHARES.delegate)
    share = SHARES.delegate / max(len(wave), 1)
    asked = await asyncio.gather(*(_one(drive, state, part, by, share) for part in wave))
    findings = dict(state["findings"])
    steps = list(state["steps"])
    for part, result in zip(wave, asked, strict=True):
        findings[part["id"]] = _finding(part, result).model_dump(mode="json")
        steps.append(result.step)
    return {"findings": findings, "steps": steps}


def ready(state: Work) -> list[dict[str, Any]]:
    """The subtasks that are not answered yet and whose needs are."""
    findings, ids = state["findings"], {part["id"] for part in state["plan"]}
    return [
        part
        for part in state["plan"]
        if part["id"] not in findings and all(n in findings or n not in ids for n in part["needs"])
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
    return await ask(drive, subtask, by, text=state["request"], turn=state["round"], share=share)


def unanswered(subtask: Subtask, why: str) -> Asked:
    """What becomes of a subtask that nobody is asked for."""
    return Asked(None, why, _step(subtask, None, "gap", why, Trail(degraded=["gap"]), 0))


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
) -> Asked:
    """Ask the owners of a skill, one after the other; then, with `stand_in`, those who stand in for anyone.

    `turn` is the round of planning: in another round the same subtask is another question. `share` is the part of the run's
    budget that each of them may use.
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
        trail.add(name, f"passed over: {_outcome(standing)}", 0)
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
            answer = await _sent(drive, peer, until, key, body, want, reading)
            part = reading(answer)
        except (LeaseLost, StoreUnavailable):
            raise  # about our own hold on the run, not about the peer
        except MeshError as error:
            why = str(error)
            trail.add(peer.name, _outcome(error), _ms(started))
            trail.lacks(code_of(error))
            continue
        trail.add(peer.name, "answered", _ms(started))
        if spare or place:
            trail.lacks("stand-in" if spare else "alternate")
        if isinstance(noted := answer.notes.get("degraded"), list):
            trail.lacks(*(str(code)[:NOTE] for code in noted[:NOTES]))
        outcome = "stand-in" if spare else "answered"
        reason = f"stands in: {why}" if spare else f"offers {subtask.skill}"
        step = _step(subtask, peer.name, outcome, reason, trail, _ms(began), part)
        return Asked(part, "", step, spare, peer.process)
    trail.lacks("gap")
    return Asked(None, why, _step(subtask, None, "gap", why, trail, _ms(began)))


async def _sent(
    drive: Drive,
    peer: Peer,
    by: Deadline,
    key: str,
    body: dict[str, Any],
    want: Amount,
    accepts: Callable[[Answer], object],
) -> Answer:
    """Ask one peer through the outbox: who does this again after a crash finds the letter, the peer's task, or the answer.

    What it may spend, `want` at most, is reserved with the letter. Raises LeaseLost, StoreUnavailable, or what `peer.ask` raises.
    """
    purse, heard = drive.purse, False
    letter = drive.letters.get(key) or await drive.outbox.post(
        key, peer.url, body, purse.reserving(key, want, by.remaining)
    )
    if letter.answer is not None:
        return Answer(letter.remote, letter.answer["data"], letter.answer["text"], letter.answer["notes"])
    if letter.state == "off":
        raise PeerTaskFailed(peer.name, f"asked before the restart: {letter.why}")

    async def began(task_id: str) -> None:
        nonlocal heard
        heard = True
        await drive.outbox.sent(key, task_id)

    granted = await purse.granted(key)
    try:
        send = functools.partial(
            peer.ask,
            letter.body["content"],
            by=by,
            text=letter.body["text"],
            tokens=granted.tokens,
            micros=granted.micros if purse.money else None,
            origin=drive.origin,
            message_id=key,
            remote=letter.remote,
            began=began,
            accepts=accepts,
        )
        answer = await _once_warm(drive, peer, by, send)
    except (LeaseLost, StoreUnavailable):
        raise
    except MeshError as error:
        cost = cost_of(error, heard or bool(letter.remote))
        await drive.outbox.given_up(key, str(error), purse.settling(key, cost))
        raise
    said = {"data": answer.data, "text": answer.text, "notes": dict(answer.notes)}
    await drive.outbox.answered(key, said, purse.settling(key, used_in(answer.notes)))
    return answer


async def _once_warm(drive: Drive, peer: Peer, by: Deadline, send: Callable[[], Awaitable[Answer]]) -> Answer:
    """Send once the peer is ready, and again if it turns out that it had just started anew. Raises PeerCold, or what `send` raises."""
    until = by.share(COLD_SHARE)
    await drive.directory.require_warm(peer, until)
    try:
        return await send()
    except PeerOverloaded:
        if not await drive.directory.is_cold(peer):
            raise
    await drive.directory.require_warm(peer, until)
    return await send()


def _outcome(error: MeshError) -> str:
    if isinstance(error, BreakerOpen):
        return "breaker open"
    if isinstance(error, PeerTimedOut | DeadlineExceeded):
        return "timed out"
    if isinstance(error, PeerCold):
        return "cold"
    return str(error)


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


def _step(
    subtask: Subtask,
    peer: str | None,
    outcome: str,
    why: str,
    trail: Trail,
    ms: int,
    part: Part | None = None,
) -> dict[str, Any]:
    usage = getattr(part, "usage", None)
    return {
        "subtask": subtask.id,
        "skill": subtask.skill,
        "peer": peer or "",
        "outcome": outcome,
        "why": why[:600],
        "mode": getattr(part, "mode", ""),
        "ms": ms,
        "attempts": trail.attempts,
        "degraded": trail.degraded,
        "tools": list(usage.tools) if usage else [],
        "told": sorted(subtask.context),
    }


def _ms(since: float) -> int:
    return int((time.monotonic() - since) * 1000)
