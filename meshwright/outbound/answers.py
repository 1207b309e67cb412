"""What a peer's answer says, and what asking it has cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from meshwright.budget import Amount, used_in
from meshwright.errors import (
    BreakerOpen,
    DeadlineExceeded,
    InvalidRequest,
    MeshError,
    PeerAnsweredBadly,
)
from meshwright.findings import Finding, Part
from meshwright.outbound.lost import unheard
from meshwright.parts import read_as
from meshwright.records.decision import BELOW

if TYPE_CHECKING:
    from meshwright.outbound.peer import Answer

Kind = TypeVar("Kind", bound=Part)

_DECISION = re.compile(r"d[0-9a-f]{24}")


def read(peer: str, kind: type[Kind], answer: Answer) -> Kind:
    """The answer's data part as the promised model. A peer without data parts still has its text. Raises PeerAnsweredBadly."""
    for content in answer.data:
        try:
            return read_as(kind, content)
        except InvalidRequest as error:
            raise PeerAnsweredBadly(peer, str(error)) from None
    if issubclass(kind, Finding) and answer.text:
        return kind(reply=answer.text[:8000])
    raise PeerAnsweredBadly(peer, f"no {kind.__name__} in its answer")


def cost_of(error: MeshError, begun: bool, *, money: bool = False) -> Amount | None:
    """What a call that failed has cost: nothing where nobody can have begun with it, else what the peer says, else unknown.

    `begun` says that the peer has a task for it, `money` that it was given a limit in money.
    """
    if unheard(error) and not begun:
        return Amount()
    if isinstance(error, BreakerOpen | DeadlineExceeded):
        return None
    return used_in(error.notes, money=money)


def decisions_in(notes: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the decisions that a callee says it made, under `decisions` in its notes; what cannot be an id is left out."""
    said = notes.get("decisions")
    if not isinstance(said, list):
        return ()
    return tuple(each for each in said[:BELOW] if isinstance(each, str) and _DECISION.fullmatch(each))
