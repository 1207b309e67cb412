"""What agents say to one another: the data parts of the mesh, as pydantic models.

Order of appearance in a request: a `Split` (what is asked, in parts) → one `Subtask` per part → one `Finding` per subtask
→ one `Resolution` → one `Verdict` per proposal. An agent that cannot go on by itself sends an `Asks` and gets an `Answers`
(docs/proposals.md). JSON Schemas of all of them are published beside the cards.
Text limits are in characters; they keep one runaway answer from becoming everybody's memory.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from meshwright.extension import canonical

Text = Annotated[str, Field(max_length=8_000)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Mode = Literal["playbook", "model"]
Risk = Literal["low", "medium", "high"]

#: Bytes that the arguments of a proposal in the middle of work may have, as canonical JSON.
MAX_ARGUMENTS = 16_384


class Part(BaseModel):
    """Base of the data parts: unknown fields are refused, so that a typo is an error and not a silence.

    An error that goes into a log names the field, and not what stood there: that may be a customer's words.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Evidence(Part):
    """Where a claim comes from: a tool result, a citation, or the customer's own words.

    `source` is `tool:<server>.<tool>`, `handbook:<article>` or `ticket`; `quote` is the part that matters.
    """

    source: Name
    quote: Text = ""


class Claim(Part):
    """One statement an agent stands for. `about` names the subject (`order:#W1`), so that two claims can be compared."""

    text: Text
    about: Annotated[str, Field(max_length=200)] = ""
    value: Annotated[str, Field(max_length=400)] = ""
    confidence: Share = 1.0
    evidence: list[Evidence] = Field(default_factory=list, max_length=32)


class Proposal(Part):
    """An effect an agent asks for. `action` is the name of a write tool, `arguments` exactly what it would be called with.

    `about` names what it changes (`order:#W1`), so that two proposals can be held against each other; `amount` is money in
    cents that the effect moves, where it moves any. `proposed_by` and `subtask` are set by whoever asked, never believed.
    """

    action: Name
    arguments: dict[str, Any]
    about: Annotated[str, Field(max_length=200)] = ""
    amount: int | None = None
    confidence: Share = 1.0
    why: Text = ""
    evidence: list[Evidence] = Field(default_factory=list, max_length=32)
    proposed_by: str = ""
    subtask: str = ""

    @property
    def fingerprint(self) -> str:
        """What would be done, as a name: SHA-256 (hex) of the canonical [action, arguments]."""
        return hashlib.sha256(canonical([self.action, self.arguments]).encode()).hexdigest()


class Gap(Part):
    """Something that was asked and is not answered, and why. A gap is named, never silent."""

    what: Text
    why: Text
    subtask: str = ""


class Usage(Part):
    """What the work cost. `tools` lists the calls as `server.tool`, in order, and then who was asked, as `agent.skill`."""

    tokens: int = 0
    tools: list[str] = Field(default_factory=list, max_length=256)
    ms: int = 0


class Finding(Part):
    """An agent's answer to one subtask."""

    subtask: str = ""
    agent: str = ""
    mode: Mode = "playbook"
    claims: list[Claim] = Field(default_factory=list, max_length=64)
    proposals: list[Proposal] = Field(default_factory=list, max_length=32)
    gaps: list[Gap] = Field(default_factory=list, max_length=32)
    reply: Text = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    usage: Usage = Field(default_factory=Usage)


class Subtask(Part):
    """One part of a request, addressed to a skill. `needs` lists the ids of subtasks whose findings it waits for.

    `details` is what the splitter already read out of the words (the agent checks it against its tools); `context`
    holds the facts of the findings it needed. `critical` says whether the rest makes sense without it.
    """

    id: Name
    skill: Name
    instruction: Text
    details: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] = Field(default_factory=dict)
    needs: list[str] = Field(default_factory=list, max_length=16)
    critical: bool = False


class Split(Part):
    """How a request falls apart. `subject` is who is writing, in their own words (name, zip, e-mail, user id).

    `unread` holds the pieces of the text that were not understood: while there are any, nothing is applied without a
    person. `topic` and `urgency` are for people's queues.
    """

    topic: str = "other"
    urgency: Literal["low", "normal", "high"] = "normal"
    subject: dict[str, str] = Field(default_factory=dict)
    subtasks: list[Subtask] = Field(default_factory=list, max_length=16)
    unread: list[Text] = Field(default_factory=list, max_length=64)
    mode: Mode = "playbook"
    usage: Usage = Field(default_factory=Usage)


class Side(Part):
    """What one agent stands for in a conflict: a `value` of the subject, or an `action` with its `arguments`.

    `fingerprint` names the proposal that an action comes from.
    """

    agent: str = ""
    value: Text = ""
    action: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    fingerprint: str = ""
    confidence: Share = 1.0
    evidence: list[Evidence] = Field(default_factory=list, max_length=32)


class Conflict(Part):
    """Two sides that cannot both be true, or cannot both be done: who stands for what, what was chosen, how, and why.

    `chosen` is the value, or the fingerprint of the proposal; while it is empty nobody has chosen, and a person has to.
    Then `proposals` holds the fingerprints of all that must not be applied before.
    """

    about: Text
    kind: Literal["claims", "actions"] = "claims"
    sides: list[Side] = Field(default_factory=list, max_length=64)
    strategy: Name = "person"
    chosen: Text = ""
    why: Text = ""
    proposals: list[str] = Field(default_factory=list, max_length=64)

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_build(cls, content: Any) -> Any:
        """Older builds knew sides as lines of text, `agent: value`."""
        if isinstance(content, dict) and isinstance(lines := content.get("candidates"), list):
            parts = [str(line).partition(": ") for line in lines]
            sides = [{"agent": agent, "value": value} for agent, _, value in parts]
            content = {key: value for key, value in content.items() if key != "candidates"} | {"sides": sides}
        return content


class Resolution(Part):
    """Many findings as one answer."""

    reply: Text = ""
    proposals: list[Proposal] = Field(default_factory=list, max_length=64)
    conflicts: list[Conflict] = Field(default_factory=list, max_length=64)
    gaps: list[Gap] = Field(default_factory=list, max_length=64)
    confidence: Share = 1.0


class Verdict(Part):
    """What the gate says of one proposal: the rule that decided, and why in words a person can act on.

    `approvals` is how many different people have to approve it; `risk` orders the queue they see.
    """

    decision: Literal["apply", "review", "reject"]
    policy: str
    why: Text
    source: str = ""
    approvals: int = Field(default=0, ge=0, le=5)
    risk: Risk = "low"


class Question(Part):
    """What an agent has to know to go on, and whoever asked it, or their caller, can say. `about` names the subject."""

    text: Annotated[str, Field(min_length=1, max_length=8_000)]
    about: Annotated[str, Field(max_length=200)] = ""


class Asks(Part):
    """What a task that is input-required waits for: the effect that it proposes, or the answer to its question.

    `id` names it within its task, and the same again has the same name; `via` are the agents that it came through, whoever
    asked first at the front. They are what the last of them says: nothing is decided by them. `called` are the tools and agents
    that were called by then, as their runtimes wrote it down.
    """

    id: Name
    proposal: Proposal | None = None
    question: Question | None = None
    via: list[Name] = Field(default_factory=list, max_length=16)
    called: list[str] = Field(default_factory=list, max_length=256)

    @model_validator(mode="after")
    def _one_thing(self) -> Asks:
        if (self.proposal is None) == (self.question is None):
            raise ValueError("it asks for one thing: a proposal, or a question")
        if self.proposal is not None:
            try:
                size = len(canonical(self.proposal.arguments).encode())
            except (TypeError, ValueError, RecursionError):
                raise ValueError("the proposal's arguments are no JSON") from None
            if size > MAX_ARGUMENTS:
                raise ValueError(f"the proposal's arguments have {size} bytes; {MAX_ARGUMENTS} are the most")
        return self


class Settled(Part):
    """What became of a proposal. `receipt` is the tool's, where it was applied; `why` the reason, where it was not.

    `unknown`: it may have been applied or not, and a person looks into it. Proposing it again gets the same answer.
    """

    state: Literal["applied", "rejected", "refused", "unknown"]
    receipt: dict[str, Any] = Field(default_factory=dict)
    why: Text = ""


class Answers(Part):
    """The answer to the `Asks` of that `id`: `settled` to a proposal, `text` to a question."""

    id: Name
    settled: Settled | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Answers:
        if (self.settled is None) == (self.text is None):
            raise ValueError("it says one thing: what was settled, or a text")
        return self
