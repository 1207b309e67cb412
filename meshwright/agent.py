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
from meshwright.findings import Finding, Part, Subtask

if TYPE_CHECKING:
    from meshwright.outbound.model import Model


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


Playbook = Callable[[Subtask, Job], Awaitable[Part]]


@dataclass(frozen=True, slots=True)
class Agent:
    """A card's name, and what answers.

    `playbook` answers without a model. With a model configured, `instructions` and the agent's tools are given to it
    and its answer must validate as `answers`; when it does not, or the model is unwell, the playbook answers.
    `instructions=None` keeps an agent on its playbook always.

    `isolation="process"` runs each call of the playbook in a process of its own, which is killed when it runs away
    (docs/isolation.md); what a playbook imports it imports at the top of its module then, and what it answers is `answers`.
    """

    name: str
    playbook: Playbook
    instructions: str | None = None
    answers: type[Part] = Finding
    isolation: Literal["task", "process"] = "task"
