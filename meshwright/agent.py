"""An agent is a card and a function. This file is all that an agent's author needs to know.

    async def playbook(subtask: Subtask, job: Job) -> Finding: ...
    AGENT = Agent("billing", playbook=playbook)

The card lies in `agent_cards/billing.json`; `meshwright.serve.serve("billing", "billing.agent:AGENT")` makes the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Part, Subtask


class Tools(Protocol):
    """The tools an agent may call. The deadline, the caller's identity and the trace travel with each call."""

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The tool's structured result. Raises ToolRefused (it said no, in words), or a PeerError."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """What surrounds one subtask: the time it has, the tokens it may spend, and the tools it may use."""

    by: Deadline
    tools: Tools
    budget: Budget = field(default_factory=Budget)
    text: str = ""
    caller: str = ""
    run: str = ""


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
