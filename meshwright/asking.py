"""How an agent asks in the middle of its work: the answer from the notebook, or the end of this turn.

The question leaves a playbook as a cancellation does, and not as an exception of ours: nothing that a playbook catches swallows it,
a TaskGroup does not wrap it, `gather` does not collect it, and what has to be tidied up is, in `finally`.
"""

from __future__ import annotations

import asyncio
import contextlib

from meshwright.errors import InvalidRequest
from meshwright.findings import Answers, Asks, Proposal, Question, Settled
from meshwright.notebook import Notebook, named
from meshwright.parts import read_as


class Asking:
    """The questions of one turn. Made in the asyncio task that the turn's work runs in; the first question ends it."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        #: What was asked, and ended the turn.
        self.put: Asks | None = None
        self._work = asyncio.current_task()

    async def propose(self, proposal: Proposal) -> Settled:
        """See `Job.propose`."""
        answer = await self.pose(proposed(proposal))
        assert answer.settled is not None
        return answer.settled

    async def ask(self, question: Question) -> str:
        """See `Job.ask`."""
        answer = await self.pose(Asks(id=named("question", question.text, question.about), question=question))
        assert answer.text is not None
        return answer.text

    async def relay(self, asks: Asks, peer: str, remote: str) -> Answers:
        """What a peer's task asks, asked of our own caller; the answer is by the name that the peer gave it."""
        name = named("relayed", peer, remote, asks.id)
        ours = read_as(Asks, {**asks.model_dump(), "id": name, "via": [*asks.via, peer[:120]]})
        answer = await self.pose(ours)
        return answer.model_copy(update={"id": asks.id})

    async def pose(self, asks: Asks) -> Answers:
        """The answer, if there is one; else the turn ends here, and this does not return."""
        kept = self.notebook.answers.get(asks.id)
        if kept is not None:
            return Answers.model_validate(kept)
        if self.put is None:
            self.put = asks
            assert self._work is not None
            self._work.cancel()
        never: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        return await never

    async def stopped(self) -> bool:
        """Whether it was a question that stopped the work, and nobody else wants it to stop. Clears the cancellation."""
        if self.put is None or self._work is None:
            return False
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # it is on its way still where the playbook ended in the same moment
        return self._work.uncancel() == 0


def proposed(proposal: Proposal) -> Asks:
    """A proposal as what a task asks; the same action with the same arguments has the same name. Raises InvalidRequest."""
    try:
        name = named("proposal", proposal.action, proposal.arguments)
        return read_as(Asks, {"id": name, "proposal": proposal.model_dump()})
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest("the proposal's arguments are no JSON") from None
