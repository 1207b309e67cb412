"""An agent is a card and a function. This file is all that an agent's author needs to know.

    async def playbook(subtask: Subtask, job: Job) -> Finding: ...
    AGENT = Agent("billing", playbook=playbook)

The card lies in `agent_cards/billing.json`; `meshwright.serve("billing", "billing.agent:AGENT")` makes the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import NoPeer
from meshwright.findings import Finding, Part, Proposal, Question, Settled, Subtask

if TYPE_CHECKING:
    from meshwright.outbound.model import Model
    from meshwright.records.decision import Withheld


#: Why something may be left out, as `meshwright.records.decision.Withheld`.
WITHHELD = ("budget", "relevance", "permission", "personal", "stale", "duplicate")


class Tools(Protocol):
    """The tools an agent may call. The deadline, the caller's identity and the trace travel with each call."""

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The tool's structured result. Raises ToolRefused (it said no, in words), or a PeerError."""
        ...


class Peers(Protocol):
    """The other agents. What is left of the time and of the tokens is divided with them; cancelling cancels them."""

    async def ask(
        self,
        skill: str,
        instruction: str,
        *,
        details: Mapping[str, Any] | None = None,
        share: float = 0.6,
    ) -> Finding:
        """What whoever offers `skill` finds, with at most `share` of the time and tokens that are left.

        Raises NoPeer, DelegationLoop (it would ask in a circle, or too deep), DeadlineExceeded, or a PeerError.
        """
        ...


class Alone:
    """The peers of an agent that was given none (`MESHWRIGHT_PEERS`)."""

    async def ask(
        self,
        skill: str,
        instruction: str,
        *,
        details: Mapping[str, Any] | None = None,
        share: float = 0.6,
    ) -> Finding:
        raise NoPeer(f"nobody to ask for {skill!r}: this agent has no peers, set MESHWRIGHT_PEERS")


class Asker(Protocol):
    """Where what an agent asks in the middle of its work goes."""

    async def propose(self, proposal: Proposal) -> Settled: ...

    async def ask(self, question: Question) -> str: ...


class Unanswered:
    """For an agent whose caller answers nothing."""

    async def propose(self, proposal: Proposal) -> Settled:
        raise NoPeer(f"nobody decides on {proposal.action!r} here: whoever asked does not answer")

    async def ask(self, question: Question) -> str:
        raise NoPeer("nobody answers questions here")


class Omissions(Protocol):
    """Where it is noted what an agent knew and left out."""

    def omitted(self, key: str, why: Withheld, size: int = 0) -> None: ...


class Unnoted:
    """For work whose decisions nobody keeps."""

    def omitted(self, key: str, why: Withheld, size: int = 0) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Job:
    """What surrounds one subtask: the time it has, the tokens it may spend, the tools it may use, and the agents it may ask."""

    by: Deadline
    tools: Tools
    budget: Budget = field(default_factory=Budget)
    text: str = ""
    caller: str = ""
    run: str = ""
    peers: Peers = field(default_factory=Alone)
    #: The model of this process, for a playbook that asks one itself; None where none is configured.
    model: Model | None = None
    asker: Asker = field(default_factory=Unanswered, repr=False)
    omissions: Omissions = field(default_factory=Unnoted, repr=False)

    def omitted(self, key: str, why: Withheld, *, size: int = 0) -> None:
        """Say that something known was left out of the work, so that whoever asks later why the answer is what it is finds it.

        `key` names it, as `order.notes` or `tool:desk.history`, and holds nothing of what it says; `why` is budget, relevance,
        permission, personal, stale or duplicate; `size` is in characters. Nothing is decided by it. Raises ValueError for another `why`.
        """
        if why not in WITHHELD:
            raise ValueError(f"{why!r} is no reason to leave {key!r} out; reasons are {', '.join(WITHHELD)}")
        self.omissions.omitted(key[:200], why, max(int(size), 0))

    async def propose(self, proposal: Proposal) -> Settled:
        """Have an effect decided and applied now, because the work cannot go on without it; what became of it.

        Only the first time it does not return: the task waits (input-required), and with the answer the playbook runs again
        from its start (see `Agent`). The same action with the same arguments is the same proposal, with the same answer.
        Raises InvalidRequest for arguments that are no JSON, or too many.
        """
        return await self.asker.propose(proposal)

    async def ask(self, text: str, *, about: str = "") -> str:
        """Ask whoever asked us, in the end the client, and go on with their answer, as `propose` does."""
        return await self.asker.ask(Question(text=text, about=about))


Playbook = Callable[[Subtask, Job], Awaitable[Part]]


@dataclass(frozen=True, slots=True)
class Agent:
    """A card's name, and what answers.

    `playbook` answers without a model. With a model configured, `instructions` and the agent's tools are given to it
    and its answer must validate as `answers`; when it does not, or the model is unwell, the playbook answers.
    `instructions=None` keeps an agent on its playbook always.

    A playbook that uses `job.propose` or `job.ask` runs again from its start with each answer. What its tools and peers said before
    is remembered; what it takes from elsewhere (a clock, chance, a file) must be the same up to where it asked. See docs/proposals.md.

    `proposes` are the write tools, by name or pattern (`change_*`), that a model is offered: calling one makes a proposal.

    `isolation="process"` runs each call of the playbook in a process of its own, which is killed when it runs away
    (docs/isolation.md); what a playbook imports it imports at the top of its module then, and what it answers is `answers`.
    """

    name: str
    playbook: Playbook
    instructions: str | None = None
    answers: type[Part] = Finding
    isolation: Literal["task", "process"] = "task"
    proposes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.isolation not in (
            "task",
            "process",
        ):  # else a slip of the pen would have it run among the others
            raise ValueError(f"{self.name}: isolation is task or process, not {self.isolation!r}")
