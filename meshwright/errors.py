"""Every way a call can fail, as one tree whose classes carry the verdict.

    MeshError
    ├── CallerError            the caller must change something       not retryable, says nothing of the peer
    │   ├── InvalidRequest       malformed, too large, empty
    │   ├── Unauthenticated      no token, or one that does not verify
    │   ├── Forbidden            the caller is known and may not
    │   ├── NotFound             no such task, run, review, skill
    │   ├── AncestryRefused      the chain of agents above does not verify
    │   ├── DelegationLoop       the agent is in that chain already, or the chain is too long
    │   ├── AlreadyDecided       somebody was first
    │   ├── Outdated             it is about something that has changed
    │   └── Claimed              somebody else is at it just now
    ├── DeadlineExceeded       the caller's own time is used up       not retryable, says nothing of the peer
    ├── BudgetExhausted        the caller's own tokens are used up    not retryable, says nothing of the peer
    ├── Overloaded             more is asked here than can be done    retryable later: nothing was begun
    ├── PeerError              the other side failed
    │   ├── PeerUnreachable      refused, reset, 5xx                  retryable, a failure of transport
    │   ├── PeerTimedOut         it did not answer in its share       not retryable (time is gone), a timeout
    │   ├── PeerOverloaded       429/503: it said so itself           retryable later, overload: no sickness
    │   ├── PeerCold             it still starts                      retryable later, says nothing of the peer
    │   ├── PeerAnsweredBadly    not the promised shape               not retryable, bad output
    │   ├── PeerRefused          it answered 4xx: our request is off  not retryable, it is well
    │   └── PeerTaskFailed       it worked and the task failed        not retryable, it is well
    ├── BreakerOpen            we did not even ask                    not retryable now, says nothing of the peer
    ├── NoPeer                 nobody offers the skill                not retryable
    ├── StoreUnavailable       the database is gone, locked or full   retryable later: nothing was acknowledged
    ├── LeaseLost              another replica has the task now       not retryable here, says nothing of the peer
    ├── WorkerFailed           the process of its playbook died or    not retryable, says nothing of the peer
    │                          did not answer as agreed
    └── ToolRefused            a tool said no, in words               not retryable, it is well

`retryable` and `outcome` are read by the retry and by the breaker; nothing switches on strings. Who raises a class of their own, or a
branch of the tree, is told as what stands nearest above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


class Outcome(StrEnum):
    """What a call tells of whoever was called: that it is well, nothing, or in which way it failed."""

    WELL = "well"
    SILENT = "silent"
    TRANSPORT = "transport"
    TIMEOUT = "timeout"
    BAD_OUTPUT = "bad-output"
    OVERLOAD = "overload"

    @property
    def indicts(self) -> bool:
        """Whether it is a sign of sickness. Overload is none: who says so itself is at its post."""
        return self in (Outcome.TRANSPORT, Outcome.TIMEOUT, Outcome.BAD_OUTPUT)


class MeshError(Exception):
    """Base of all errors of the mesh. `str(error)` is safe to show to a caller: it never holds internals."""

    retryable: ClassVar[bool] = False
    outcome: Outcome = Outcome.SILENT
    #: What is known of work that failed, in the form of a task's notes: under `usage` what it cost.
    notes: Mapping[str, Any] = {}


class ToolRefused(MeshError):
    """A tool said no, in words that may be shown: wrong arguments, or a rule of its own."""

    outcome = Outcome.WELL


class CallerError(MeshError):
    """The caller must change something before asking again."""


class InvalidRequest(CallerError):
    """Malformed, empty or too large."""


class Unauthenticated(CallerError):
    """No token, or one that does not verify."""


class Forbidden(CallerError):
    """The caller is known, and may not."""


class NotFound(CallerError):
    """There is no such thing, or it is not the caller's."""


class AncestryRefused(CallerError):
    """The chain of agents above is not what those agents signed, or not for us."""


class DelegationLoop(CallerError):
    """Agents that ask one another in a circle, or deeper than is allowed. The message names the chain."""


class AlreadyDecided(CallerError):
    """Somebody was first. The message says who, and what they decided."""


class Outdated(CallerError):
    """What the caller looked at is not what stands there now."""


class Claimed(CallerError):
    """Somebody else has claimed it for a while. The message says who, and for how long."""


class DeadlineExceeded(MeshError):
    """The time the caller gave is used up."""


class BudgetExhausted(MeshError):
    """The tokens the caller gave are used up."""


class Overloaded(MeshError):
    """There is more work here than can be done in time. Nothing was begun; ask again after `retry_after` seconds."""

    retryable = True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PeerError(MeshError):
    """The other side failed. `peer` names it."""

    def __init__(self, peer: str, message: str) -> None:
        super().__init__(f"{peer}: {message}")
        self.peer = peer


class PeerUnreachable(PeerError):
    """Connection refused or reset, or a 5xx."""

    retryable = True
    outcome = Outcome.TRANSPORT


class PeerTimedOut(PeerError):
    """It did not answer within the share of the deadline it was given.

    `tells` is False where that says nothing of the peer: it had too little time, or we had none to listen.
    """

    outcome = Outcome.TIMEOUT

    def __init__(self, peer: str, message: str, *, tells: bool = True) -> None:
        super().__init__(peer, message)
        if not tells:
            self.outcome = Outcome.SILENT


class PeerOverloaded(PeerError):
    """It said itself that it cannot take more work (429, 503), just now or a moment ago. `retry_after` is in seconds."""

    retryable = True
    outcome = Outcome.OVERLOAD

    def __init__(self, peer: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(peer, message)
        self.retry_after = retry_after


class PeerCold(PeerError):
    """It is there and still starts, and did not become ready in the time that there was to wait for it."""

    retryable = True


class PeerAnsweredBadly(PeerError):
    """The answer does not have the promised shape."""

    outcome = Outcome.BAD_OUTPUT


class PeerRefused(PeerError):
    """It answered that our request is wrong (4xx, or an A2A error about the request).

    `unknown_task`: it does not know the task that was asked about. `over`: that task does not allow this any more.
    """

    outcome = Outcome.WELL
    unknown_task = False
    over = False


class PeerTaskFailed(PeerError):
    """It did the work, and the task failed in a regular way."""

    outcome = Outcome.WELL


class BreakerOpen(MeshError):
    """The peer was not asked, because it failed too often just now."""

    def __init__(self, peer: str, retry_in: float) -> None:
        super().__init__(f"{peer}: not asked, its breaker is open for another {retry_in:.1f} s")
        self.peer = peer
        self.retry_in = retry_in


class NoPeer(MeshError):
    """Nobody in the directory offers the skill."""


class StoreUnavailable(MeshError):
    """The database is gone, locked or full. What was asked for is not stored, so it is not acknowledged either."""

    retryable = True


class LeaseLost(MeshError):
    """Another replica has the task now, or it was cancelled: nothing that is written here counts any more."""


class WorkerFailed(MeshError):
    """The process that a playbook ran in died (of memory, CPU, a crash), or did not answer as agreed and was ended."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How an error looks to a caller: HTTP status, A2A reason, and the code a task's metadata carries."""

    status: int
    code: str


#: The one table from errors to the wire: the leaves of the tree, and then its branches. A test holds it against the tree.
WIRE: dict[type[MeshError], Wire] = {
    InvalidRequest: Wire(400, "INVALID_REQUEST"),
    Unauthenticated: Wire(401, "UNAUTHENTICATED"),
    Forbidden: Wire(403, "FORBIDDEN"),
    NotFound: Wire(404, "NOT_FOUND"),
    AncestryRefused: Wire(400, "ANCESTRY_REFUSED"),
    DelegationLoop: Wire(400, "DELEGATION_LOOP"),
    AlreadyDecided: Wire(409, "ALREADY_DECIDED"),
    Outdated: Wire(409, "OUTDATED"),
    Claimed: Wire(409, "CLAIMED"),
    DeadlineExceeded: Wire(504, "DEADLINE_EXCEEDED"),
    BudgetExhausted: Wire(429, "BUDGET_EXHAUSTED"),
    Overloaded: Wire(429, "OVERLOADED"),
    PeerUnreachable: Wire(502, "PEER_UNREACHABLE"),
    PeerTimedOut: Wire(504, "PEER_TIMED_OUT"),
    PeerOverloaded: Wire(503, "PEER_OVERLOADED"),
    PeerCold: Wire(503, "PEER_COLD"),
    PeerAnsweredBadly: Wire(502, "PEER_ANSWERED_BADLY"),
    PeerRefused: Wire(502, "PEER_REFUSED"),
    PeerTaskFailed: Wire(502, "PEER_TASK_FAILED"),
    BreakerOpen: Wire(503, "BREAKER_OPEN"),
    NoPeer: Wire(503, "NO_PEER"),
    StoreUnavailable: Wire(503, "STORE_UNAVAILABLE"),
    LeaseLost: Wire(503, "LEASE_LOST"),
    WorkerFailed: Wire(500, "WORKER_FAILED"),
    ToolRefused: Wire(422, "TOOL_REFUSED"),
    CallerError: Wire(400, "CALLER_ERROR"),
    PeerError: Wire(502, "PEER_ERROR"),
    MeshError: Wire(500, "MESH_ERROR"),
}


def kind_of(error: MeshError) -> type[MeshError]:
    """The class of the tree that an error is: its own, or the nearest above it."""
    return next(kind for kind in type(error).__mro__ if kind in WIRE)


def wire_of(error: MeshError) -> Wire:
    """How an error looks to a caller."""
    return WIRE[kind_of(error)]
