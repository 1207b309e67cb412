"""One decision, as it is written down: what was chosen and why, among what, on which context, and what came of it.

One model, two projections: a row (the truth, all of it) and attributes of the span it was made in (a view, without anybody's words).
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticSerializationError

from meshwright.clipping import storable
from meshwright.records import semconv
from meshwright.records.correlation import as_id

#: Of the model. Rises when an older build could not read what a newer one wrote.
SCHEMA = 1
#: Characters of a reason, of any other text, members of a list, and of a row as JSON.
REASON, TEXT, MANY, ROW = 1_000, 200, 32, 65_536
#: Ids of a peer's decisions that an answer names, at most.
BELOW = 256

Kind = Literal[
    "plan",  # how a request was split, and which parts nobody can do
    "route",  # who is asked for a part, and why not the others; with the context that was passed and omitted
    "agent_call",  # one peer asked, and how it went
    "tool_call",  # one tool read
    "model_call",  # one answer of a model
    "context",  # what an agent gave its model, or left out
    "resolve_conflict",  # two sides, and which was believed
    "gate",  # the verdict on an action
    "review",  # what a person said of an action
    "effect",  # an action carried out, or not
    "budget",  # a reservation that was cut or refused
    "breaker",  # a breaker that moved
    "final",  # what a run came to
]
#: Whose reason it is.
Source = Literal["code", "policy", "model", "person", "peer"]
#: Why something was not passed on.
Withheld = Literal["budget", "relevance", "permission", "personal", "stale", "duplicate"]


def _cut(most: int) -> BeforeValidator:
    """At most so many characters, and nothing that a database does not take."""

    def cut(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return storable(value if len(value) <= most else f"{value[: most - 1]}…")

    return BeforeValidator(cut)


def _few(value: Any) -> Any:
    return tuple(value)[:MANY] if isinstance(value, list | tuple) else value


Reason = Annotated[str, _cut(REASON)]
Text = Annotated[str, _cut(TEXT)]
Few = BeforeValidator(_few)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Option(_Part):
    """One that could have been chosen. `score` is a place in the order (1 is first), or a measure, as `strategy` says."""

    name: Text
    score: float | None = None
    why_not: Text = ""


class Passed(_Part):
    """A piece of context that was given on: where it came from, how large it is, and a keyed hash of it."""

    key: Text
    source: Text = ""
    bytes: int = 0
    keyed: str = ""


class Omitted(_Part):
    """A piece of context that was known and not given on."""

    key: Text
    why: Withheld
    bytes: int = 0


class Call(_Part):
    """One use of a tool. `arguments` and `result` are redacted JSON, cut; `keyed` is a keyed hash of the whole result."""

    tool: Text
    server: Text = ""
    arguments: Any = None
    result: Any = None
    keyed: str = ""
    bytes: int = 0
    error: Text = ""


class Side(_Part):
    """One side of a disagreement: who says it, what (an action with its arguments, or a value), how sure, and on what."""

    agent: Text
    says: Text
    arguments: Any = None
    confidence: float | None = None
    evidence: Annotated[tuple[Text, ...], Few] = ()
    chosen: bool = False


class Decision(_Part):
    """See the module. Empty is "not known" or "does not apply". Times are seconds since the epoch, of the process that decided."""

    id: str
    kind: Kind
    at: float
    agent: Text
    ms: int = 0
    #: Of the whole request; of the run (empty where an agent was called by itself); of the task and its message that it was made in.
    correlation: str = ""
    run: Text = ""
    task: str = ""
    turn: int = 1
    trace: str = ""
    span: str = ""
    #: The span above that: with it the span can be told again from here.
    above: str = ""
    #: The decision that it follows from.
    parent: str = ""
    #: The idempotency key of the action, and the id of the part of the request, that it is about.
    action: str = ""
    subtask: Text = ""
    caller: Text = ""
    #: What it came to, as a code: allow, block, review, escalate, defer; answered, asked, refused, timed-out, failed, …
    outcome: Text
    selected: Text = ""
    strategy: Text = ""
    reason: Reason = ""
    source: Source = "code"
    confidence: float | None = None
    policy: Text = ""
    risk: Text = ""
    person: Text = ""
    #: Milliseconds that were left when it began; tokens it was given; what it used.
    deadline_ms: int | None = None
    tokens_given: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    micros: int = 0
    options: Annotated[tuple[Option, ...], Few] = ()
    passed: Annotated[tuple[Passed, ...], Few] = ()
    omitted: Annotated[tuple[Omitted, ...], Few] = ()
    sides: Annotated[tuple[Side, ...], Few] = ()
    evidence: Annotated[tuple[Text, ...], Few] = ()
    call: Call | None = None
    #: The task at a peer, and the ids of the decisions that the peer says it made there.
    remote: str = ""
    below: tuple[str, ...] = ()
    #: What a kind has besides: redacted JSON.
    more: dict[str, Any] = Field(default_factory=dict)

    def row(self) -> str:
        """As JSON, without what is empty; never longer than ROW: then what is longest in it goes, and `more` says so."""
        text = self._json()
        for shorter in (self._without_contents, self._without_lists):
            if 0 < len(text) <= ROW:
                break
            text = shorter(len(text))._json()
        return text

    def _json(self) -> str:
        """Empty where something in `call`, a side or `more` is no JSON."""
        try:
            return self.model_dump_json(exclude_defaults=True)
        except PydanticSerializationError:
            return ""

    def _without_contents(self, size: int) -> Decision:
        call = self.call and self.call.model_copy(update={"arguments": None, "result": None})
        sides = tuple(
            s.model_copy(update={"arguments": None, "evidence": s.evidence[:2]}) for s in self.sides
        )
        return self.model_copy(update={"more": {"cut": size}, "call": call, "sides": sides})

    def _without_lists(self, size: int) -> Decision:
        gone: dict[str, Any] = dict.fromkeys(
            ("options", "passed", "omitted", "sides", "evidence", "below"), ()
        )
        return self.model_copy(update={"more": {"cut": size}, "call": None, **gone})

    def attributes(self) -> dict[str, str | int | float]:
        """For the span it was made in: names and numbers, never what somebody said."""
        found: dict[str, str | int | float] = {
            semconv.DECISION_KIND: self.kind,
            semconv.DECISION_OUTCOME: as_id(self.outcome),
        }
        if self.selected:
            found[semconv.DECISION_SELECTED] = as_id(self.selected)
        if self.strategy:
            found[semconv.DECISION_STRATEGY] = as_id(self.strategy)
        if self.policy:
            found[semconv.POLICY] = as_id(self.policy)
        if self.passed or self.omitted:
            found[semconv.CONTEXT_PASSED], found[semconv.CONTEXT_OMITTED] = (
                len(self.passed),
                len(self.omitted),
            )
        return found


def digest(row: str) -> str:
    """The SHA-256 of a row, in hex."""
    return hashlib.sha256(row.encode()).hexdigest()
