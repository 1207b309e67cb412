"""The other agents, as one job sees them: it asks for a skill, and gets a Finding from whoever offers it.

What was given to the job is divided, never multiplied: a part of the time that is left, and tokens that are reserved from its
own before the call and charged after it. A question has a name that follows from the work, so that whoever does the work again
after a crash comes back to the peer's task instead of making a second one.
"""

from __future__ import annotations

import functools
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshwright.budget import Amount, used_in
from meshwright.errors import DeadlineExceeded, MeshError, StoreUnavailable
from meshwright.extension import canonical
from meshwright.findings import Asks, Finding, Subtask
from meshwright.outbound.answers import cost_of, read
from meshwright.outbound.called import came_of, words_of
from meshwright.outbound.peer import Answer
from meshwright.records.context import Context
from meshwright.records.decision import TEXT, Option
from meshwright.records.minutes import Minutes

if TYPE_CHECKING:
    from meshwright.asking import Asking
    from meshwright.budget import Budget
    from meshwright.deadline import Deadline
    from meshwright.origin import Origin
    from meshwright.outbound.directory import Directory
    from meshwright.outbound.peer import Peer

#: The part of what is left, of time and of tokens, that a question may use: the rest is for making something of the answer.
SHARE = 0.6
#: Of a question's time, what the first of several owners of the skill may take.
FIRST_SHARE = 0.6
#: Of a question's time, what may pass until somebody turns up who offers the skill.
PATIENCE = 0.3
#: Seconds below which nobody is asked any more.
FLOOR = 0.05


@dataclass(slots=True)
class Colleagues:
    """The peers of one job. What they ask in the middle of their work is asked of our own caller, through `asking`."""

    directory: Directory
    by: Deadline
    budget: Budget
    origin: Origin
    asking: Asking
    minutes: Minutes = field(default_factory=lambda: Minutes(""))
    #: Who was asked for what, as `agent.skill`.
    used: list[str] = field(default_factory=list)
    #: How often each question was asked: the same again is another question.
    _asked: Counter[str] = field(default_factory=Counter, init=False)

    async def ask(
        self,
        skill: str,
        instruction: str,
        *,
        details: Mapping[str, Any] | None = None,
        share: float = SHARE,
    ) -> Finding:
        """Ask the agents that offer `skill`, one after the other, until one answers.

        They get `share` of the time and of the tokens that are left, together. Raises NoPeer, DelegationLoop, DeadlineExceeded,
        or what the last of them failed with (a PeerError, BreakerOpen).
        """
        question = canonical([skill, instruction, dict(details or {})])
        # the id of the task's first message: the same question in a later turn is the same question
        name = _id(
            canonical([self.origin.task, self.asking.notebook.message, question, self._asked[question]])
        )
        self._asked[question] += 1
        subtask = Subtask(id=name, skill=skill, instruction=instruction, details=dict(details or {}))

        async def find() -> dict[str, Any]:
            return (await self._found(subtask, share)).model_dump(mode="json")

        return Finding.model_validate(await self.asking.notebook.once(name, find))

    async def _found(self, subtask: Subtask, share: float) -> Finding:
        by, choice = self.by.share(share), _Choice(self.minutes, subtask, share)
        try:
            finding = await self._from_one_of_them(subtask, by, share, choice)
        except BaseException as error:
            choice.note("asked" if self.asking.put is not None else came_of(error), words_of(error))
            raise
        choice.note("answered", f"it offers {subtask.skill}")
        return finding

    async def _from_one_of_them(
        self, subtask: Subtask, by: Deadline, share: float, choice: _Choice
    ) -> Finding:
        if (known := self.asking.notebook.underway.get(subtask.id)) is not None:
            peer = await self.directory.met(known["url"], by)
            choice.asks(peer)
            return await self._asked_of(peer, subtask, by, share)
        skill = subtask.skill
        if any(entry.card is None for entry in self.directory.entries):  # who has not been met may be the one
            await self.directory.wait_for([skill], by.share(PATIENCE))
        for name, standing in self.directory.passed_over(skill):
            choice.passes_over(name, standing)
        owners = self.directory.candidates(skill)
        trouble: MeshError = DeadlineExceeded("no time was left to ask anybody")
        for place, peer in enumerate(owners):
            if by.remaining <= FLOOR:
                break
            until = by if place == len(owners) - 1 else by.share(FIRST_SHARE)
            choice.asks(peer)
            try:
                return await self._asked_of(peer, subtask, until, share)
            except StoreUnavailable:
                raise  # about our own book, not about the peer
            except MeshError as error:
                trouble = error
                choice.failed(error)
        raise trouble

    async def _asked_of(self, peer: Peer, subtask: Subtask, by: Deadline, share: float) -> Finding:
        """What one peer finds. Where its task asks, the answer comes from above: in a turn to come, if not from the notebook."""
        self.used.append(f"{peer.name}.{subtask.skill}")
        underway, name = self.asking.notebook.underway, subtask.id
        if (known := underway.get(name)) is not None:
            answer = Answer(known["remote"], [], "", asks=Asks.model_validate(known["asks"]))
        else:
            order = {"subtask": subtask.model_dump(mode="json")}
            answer = await self._sent(peer, order, by, share, name, _id(name, peer.url))
        while (asks := answer.asks) is not None:
            underway[name] = {
                "url": peer.url,
                "remote": answer.task_id,
                "asks": asks.model_dump(mode="json"),
            }
            said = await self.asking.relay(asks, peer.process, answer.task_id)
            content = {"answers": said.model_dump(mode="json", exclude_none=True)}
            ids = (answer.task_id, asks.id)
            message_id = _id(name, peer.url, asks.id)
            answer = await self._sent(
                peer, content, by, share, name, message_id, answers=ids, text=said.text or ""
            )
        underway.pop(name, None)
        return read(peer.name, Finding, answer)

    async def _sent(
        self,
        peer: Peer,
        content: dict[str, Any],
        by: Deadline,
        share: float,
        name: str,
        message_id: str,
        **more: Any,
    ) -> Answer:
        """One message and what it came to, paid for."""
        about = {"subtask": name, "parent": self.minutes.id_of("route", name)}
        hold = await self.budget.lend(share, seconds=by.remaining)
        used: Amount | None = None
        begun = False

        async def began(task_id: str) -> None:
            nonlocal begun
            begun = True

        money = self.budget.micros is not None
        try:
            answer = await peer.ask(
                content,
                by=by,
                tokens=hold.amount.tokens,
                micros=hold.amount.micros if money else None,
                origin=self.origin,
                message_id=message_id,
                began=began,
                accepts=functools.partial(read, peer.name, Finding),
                hears=True,
                minutes=self.minutes,
                about=about,
                **more,
            )
            used = used_in(answer.notes, money=money)
            return answer
        except MeshError as error:
            used = cost_of(error, begun, money=money)
            raise
        finally:
            if used is not None and not money:
                used = Amount(used.tokens)
            more_than_given = used is not None and not hold.amount.covers(used)
            await hold.settle(
                used, doubt=f"{peer.name} claims more than it was given" if more_than_given else ""
            )


class _Choice:
    """Who was asked for one question, and why not the others: one `route` decision, once it is over."""

    def __init__(self, minutes: Minutes, subtask: Subtask, share: float) -> None:
        self._minutes, self._subtask, self._share = minutes, subtask, share
        self._began = time.time()
        self._options: list[Option] = []
        self._selected = ""

    def passes_over(self, name: str, standing: MeshError) -> None:
        self._options.append(Option(name=name, why_not=words_of(standing)))

    def asks(self, peer: Peer) -> None:
        self._selected = peer.name
        self._options.append(Option(name=peer.name, score=len(self._options) + 1))

    def failed(self, error: MeshError) -> None:
        """Whoever was asked last failed, and the next is asked."""
        self._options[-1] = self._options[-1].model_copy(update={"why_not": words_of(error)[:TEXT]})
        self._selected = ""

    def note(self, outcome: str, why: str) -> None:
        subtask = self._subtask
        context = Context(self._minutes, subtask.id)
        context.passed("instruction", subtask.instruction, self._minutes.agent)
        context.fields("details", subtask.details, self._minutes.agent)
        known = {"subtask": subtask.id, "strategy": "owners-in-order", "options": tuple(self._options)}
        more = {"skill": subtask.skill, "share": self._share}
        context.note(outcome, kind="route", selected=self._selected, reason=why, more=more, **known)


def _id(*names: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, canonical(names)))
