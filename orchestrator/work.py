"""The state of one request on its way through the graph: JSON only, typed, with a version.

Live things (the deadline, the peers, the tools) are not state; they come with each drive in a `Drive`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from meshwright.contradictions import Contradictions
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, wire_of
from meshwright.origin import Origin
from meshwright.records.minutes import Minutes

if TYPE_CHECKING:
    from meshwright.outbound.directory import Directory
    from meshwright.outbound.toolbox import Toolbox
    from meshwright.policy.rules import Policy
    from meshwright.records.runs import RunStore
    from meshwright.reviews.store import ReviewStore
    from meshwright.tasks.outbox import Letter, Outbox
    from meshwright.tasks.snapshot import Claim
    from orchestrator.purse import Purse

#: What a run begins with. Rises with every change of the state's shape that an older build could not read.
SCHEMA_VERSION = 1
#: The newest that this build reads. A state is of it while it holds what a build that reads less would get wrong: see
#: `orchestrator.schema`.
NEWEST = 2

#: Names of the graph's nodes are a contract: a parked run names the node it waits in.
GRAPH_VERSION = "1"

#: How often a request may be planned again with the results of what was applied.
MAX_ROUNDS = 2
#: Gaps that the reason of the last decision names.
NAMED = 3


class Work(TypedDict, total=False):
    """Everything that is known of one request. Lists hold the JSON of the models of `meshwright.findings`."""

    schema_version: int
    id: str
    request: str
    topic: str
    urgency: str
    subject: dict[str, str]
    unread: list[str]
    round: int
    plan: list[dict[str, Any]]
    findings: dict[str, dict[str, Any]]
    steps: list[dict[str, Any]]
    resolution: dict[str, Any]
    #: One row per proposal: {key, proposal, verdict, state, receipt?, why?, approved_by?, asked_by?, decision?}. It is open (may be applied now), waiting (for
    #: people), approved (to be judged again), edited (the row `became` is in its place), applied, refused, unknown or rejected.
    actions: list[dict[str, Any]]
    #: What agents asked in the middle of their work and is not answered yet, by the subtask: see `orchestrator.questions`.
    questions: dict[str, dict[str, Any]]
    gaps: list[dict[str, Any]]
    #: The ids of decisions from which later ones follow: `plan`, and under `part:ID` the call that answered a part of the request.
    decided: dict[str, str]
    reply: str
    #: How it ended: `done` without gaps, `degraded` with some, `escalated` when a person has to take over; empty while it goes on.
    outcome: str


@dataclass(frozen=True, slots=True)
class Said:
    """A client's answer, and the id of the question that it answers."""

    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Drive:
    """What one drive of the graph works with. A resumed run gets a new one."""

    by: Deadline
    purse: Purse
    directory: Directory
    toolbox: Toolbox
    policy: Policy
    store: RunStore
    reviews: ReviewStore
    say: Callable[[str], Awaitable[None]]
    outbox: Outbox
    #: What this run had sent when the drive began, by the letter's id.
    letters: Mapping[str, Letter]
    claim: Claim
    run: str = ""
    #: On whose behalf this run asks others.
    origin: Origin = field(default_factory=Origin)
    #: What the client says to the question that was put to them; it began this drive.
    said: Said | None = None
    #: What cannot both be done, and who has the say.
    contradictions: Contradictions = field(default_factory=Contradictions)
    #: What is decided in this turn; kept with each step.
    minutes: Minutes = field(default_factory=lambda: Minutes(""))


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of the time and of the budget that are left each phase may use, so that enough is left to say what was found."""

    plan: float = 0.35
    delegate: float = 0.6
    aggregate: float = 0.5
    gate: float = 0.5
    apply: float = 0.8


SHARES = Shares()


def new_work(run: str, request: str) -> Work:
    """The state a run begins with."""
    return Work(
        schema_version=SCHEMA_VERSION,
        id=run,
        request=request,
        topic="other",
        urgency="normal",
        subject={},
        unread=[],
        round=0,
        plan=[],
        findings={},
        steps=[],
        resolution={},
        actions=[],
        questions={},
        gaps=[],
        decided={},
        reply="",
        outcome="",
    )


def report(work: Mapping[str, Any], *, waiting: bool = False) -> dict[str, Any]:
    """The run as people and clients see it: who was asked and why, what was decided, what was done."""
    actions = work.get("actions", [])
    return {
        "id": work["id"],
        "request": work["request"],
        "outcome": "waiting" if waiting else work.get("outcome") or "failed",
        "reply": work.get("reply", ""),
        "topic": work.get("topic", "other"),
        "urgency": work.get("urgency", "normal"),
        "plan": [
            {k: p[k] for k in ("id", "skill", "instruction", "needs", "critical")} for p in work["plan"]
        ],
        "steps": work.get("steps", []),
        "conflicts": work.get("resolution", {}).get("conflicts", []),
        "verdicts": [
            {
                **{k: row["proposal"].get(k) for k in ("action", "arguments", "amount", "proposed_by")},
                **{k: row["verdict"].get(k) for k in ("decision", "policy", "why", "source")},
                "state": row["state"],
            }
            for row in actions
        ],
        "applied": [
            {"action": row["proposal"]["action"], "arguments": row["proposal"]["arguments"], **row["receipt"]}
            for row in actions
            if row["state"] == "applied"
        ],
        "gaps": work.get("gaps", []),
        "unread": work.get("unread", []),
        "degraded": sorted(
            {why for part in (work, *work.get("steps", [])) for why in part.get("degraded", ())}
        ),
    }


def lacking(summary: Mapping[str, Any]) -> str:
    """Why a request was not answered whole: what ended it, what was not understood, what was not made, what is missing and why."""
    gaps, undone = summary["gaps"], [row for row in summary["verdicts"] if row["state"] == "rejected"]
    said = [str(summary["why"])] if summary.get("why") else []
    for count, one, more in (
        (len(summary["unread"]), "piece was not understood", "pieces were not understood"),
        (len(undone), "change was not made", "changes were not made"),
        (len(gaps), "thing is missing", "things are missing"),
    ):
        said += [f"{count} {one if count == 1 else more}"] if count else []
    named = list(dict.fromkeys(gap["why"][:120] for gap in gaps))[:NAMED]
    return "; ".join(said) + (f": {'; '.join(named)}" if named else "")


@dataclass(slots=True)
class Trail:
    """The steps of one subtask while they happen: whom we asked, and how it went.

    `degraded` says in codes for machines what made the answer less, or later, than it could have been.
    """

    attempts: list[dict[str, Any]] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)

    def add(self, peer: str, outcome: str, ms: int) -> None:
        self.attempts.append({"peer": peer, "outcome": outcome[:300], "ms": ms})

    def lacks(self, *codes: str) -> None:
        """Each code once, in the order in which it was first true."""
        self.degraded = list(dict.fromkeys([*self.degraded, *codes]))


def code_of(error: MeshError) -> str:
    """An error as a code of degradation: its code on the wire, as `peer-timed-out`."""
    return wire_of(error).code.lower().replace("_", "-")
