"""Asking for one part of a request: the owners of its skill in order, then whoever stands in. Never a hang, never a silent hole."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from meshwright.deadline import Deadline
from meshwright.errors import LeaseLost, MeshError, NoPeer, StoreUnavailable
from meshwright.extension import canonical
from meshwright.findings import Asks, Finding, Part, Subtask
from meshwright.outbound.answers import read
from meshwright.outbound.peer import Answer, Peer
from meshwright.records.context import Context
from orchestrator import told
from orchestrator.choice import Choice
from orchestrator.letters import sent
from orchestrator.questions import answer_to, open_questions
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

    `asks` is what the peer has to know first, and `peer` where that is to be answered: {agent, name, url, remote, letter, call}.
    """

    answer: Part | None
    why: str
    step: dict[str, Any]
    stand_in: bool = False
    asks: Asks | None = None
    peer: dict[str, str] = field(default_factory=dict)
    #: Who answered, as policies name it.
    agent: str = ""
    #: The decision that the answer came of.
    call: str = ""


async def ask(
    drive: Drive,
    subtask: Subtask,
    by: Deadline,
    *,
    parent: str,
    context: Callable[[Context], None],
    answers: type[Part] = Finding,
    text: str = "",
    stand_in: bool = True,
    turn: int = 0,
    share: float = SHARES.delegate,
    hears: bool = False,
) -> Asked:
    """Ask the owners of a skill, one after the other; then, with `stand_in`, those who stand in for anyone.

    `turn` is the round of planning: in another round the same subtask is another question. `share` is the part of the run's
    budget that each of them may use. With `hears` an owner may ask back. `parent` is the decision that it follows from, and
    `context` says what they are told.
    """
    trail, choice = Trail(), Choice(drive, subtask, by, turn, parent)
    context(choice.context)
    with choice.noted(trail):
        want = await drive.purse.portion(share)
        choice.given(want.tokens)
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
            choice.passes_over(name, outcome_of(standing))
        spares = drive.directory.fallbacks(subtask.skill) if stand_in else []
        queue = [(peer, False) for peer in owners]
        queue += [(peer, True) for peer in spares if peer not in owners]
        choice.may_ask(queue)
        for place, (peer, spare) in enumerate(queue):
            last = place == len(queue) - 1
            if by.remaining <= FLOOR:
                why = f"no time was left ({why})" if trail.attempts else "no time was left"
                break
            started = time.monotonic()
            try:
                body = {"content": {"subtask": subtask.model_dump(mode="json")}, "text": text}
                key = letter_id(drive.run, turn, subtask.id, peer.url)
                until = by if last else by.share(FIRST_SHARE)
                reading = functools.partial(read, peer.name, answers)
                answer = await sent(
                    drive, peer, until, key, body, want, reading, hears=hears and not spare, about=choice.call
                )
                part = None if answer.asks is not None else reading(answer)
            except (LeaseLost, StoreUnavailable):
                raise  # about our own hold on the run, not about the peer
            except MeshError as error:
                why = str(error)
                trail.add(peer.name, outcome_of(error), ms_since(started))
                trail.lacks(code_of(error))
                choice.failed(peer, outcome_of(error))
                continue
            if spare or place:
                trail.lacks("stand-in" if spare else "alternate")
            if isinstance(noted := answer.notes.get("degraded"), list):
                trail.lacks(*(str(code)[:NOTE] for code in noted[:NOTES]))
            outcome = "stand-in" if spare else "answered"
            reason = f"stands in: {why}" if spare else f"offers {subtask.skill}"
            came = _came(drive, subtask, peer, key, answer, part, trail, began, reason, outcome, spare)
            choice.came(peer, came.step["outcome"], reason)
            return came
        trail.lacks("gap")
        choice.nobody(why)
    return Asked(None, why, step_of(subtask, None, "gap", why, trail, ms_since(began)))


async def tell(drive: Drive, state: Work, part: dict[str, Any], by: Deadline, share: float) -> Asked:
    """The answer to what a peer asked, on its own task; and what it came to then: its finding, or the next that it asks."""
    subtask, row, said = (
        Subtask.model_validate(part),
        open_questions(state)[part["id"]],
        answer_to(state, part["id"]),
    )
    assert said is not None
    trail, began = Trail(), time.monotonic()
    key = letter_id(drive.run, state["round"], subtask.id, row["url"], row["remote"], said.id)
    document = said.model_dump(mode="json", exclude_none=True)
    body = {"content": {"answers": document}, "text": said.text or ""}
    choice = Choice(drive, subtask, by, state["round"], row.get("call", ""), about=said.id)
    told.answer(choice.context, document, row.get("key") or "client")
    with choice.noted(trail):
        want = await drive.purse.portion(share)
        choice.given(want.tokens)
        try:
            peer = await drive.directory.met(row["url"], by)
            choice.may_ask([(peer, False)])
            reading = functools.partial(read, peer.name, Finding)
            on = (row["remote"], said.id)
            answer = await sent(
                drive, peer, by, key, body, want, reading, hears=True, answers=on, about=choice.call
            )
            found = None if answer.asks is not None else reading(answer)
        except (LeaseLost, StoreUnavailable):
            raise
        except MeshError as error:
            trail.add(row["name"], outcome_of(error), ms_since(began))
            trail.lacks(code_of(error), "gap")
            await drive.outbox.let_go(row["letter"])
            why = f"it asked in the middle of its work, and was lost when it was answered: {error}"
            choice.nobody(why)
            return Asked(None, why, step_of(subtask, None, "gap", why, trail, ms_since(began)))
        why = "went on with the answer"
        came = _came(drive, subtask, peer, key, answer, found, trail, began, why)
        choice.came(peer, came.step["outcome"], why)
    return came


def letter_id(*names: object) -> str:
    """The id of a letter: whoever does the same work again finds it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, canonical(names)))


def unanswered(subtask: Subtask, why: str) -> Asked:
    """What becomes of a subtask that nobody is asked for."""
    return Asked(None, why, step_of(subtask, None, "gap", why, Trail(degraded=["gap"]), 0))


def _came(
    drive: Drive,
    subtask: Subtask,
    peer: Peer,
    key: str,
    answer: Answer,
    found: Part | None,
    trail: Trail,
    began: float,
    why: str,
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
    call = drive.minutes.id_of("agent_call", key)
    step = step_of(subtask, peer.name, outcome, why, trail, ms_since(began), found, call)
    where = {
        "agent": peer.process,
        "name": peer.name,
        "url": peer.url,
        "remote": answer.task_id,
        "letter": key,
        "call": call,
    }
    return Asked(found, "", step, spare, asks, where if asks is not None else {}, peer.process, call)
