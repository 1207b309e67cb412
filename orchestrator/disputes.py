"""Disagreement as rows: both sides with what they stand on, which was believed, by what, and why; and what nobody may propose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from meshwright.audit import privacy
from meshwright.findings import Conflict, Proposal
from meshwright.records.decision import Side
from meshwright.records.redact import PERSONAL, reason, shown

if TYPE_CHECKING:
    from meshwright.findings import Side as Stand
    from meshwright.records.minutes import Minutes

#: Said of the customer's own words where they are a side: they stand in the ticket, and nowhere else.
WORDS = "the customer's words"
#: Sides that are shown, and keys of actions that a row names.
SIDES, KEYS = 16, 64


def disputed(
    minutes: Minutes, key: str, conflict: Conflict, keys: Mapping[str, str], parent: str, *, kept: str = ""
) -> str:
    """One disagreement, settled or open for a person. `keys` are those of the actions by their fingerprints; `kept` is the action that was
    carried out, where that is what settled it."""
    sides = [_side(side, conflict) for side in conflict.sides[:SIDES]]
    chosen = next((side for side in sides if side.chosen), None)
    about = [side.fingerprint for side in conflict.sides if side.fingerprint] + conflict.proposals
    return minutes.take(
        "resolve_conflict",
        key=key,
        outcome="chosen" if conflict.chosen else "open",
        selected=f"{chosen.agent}: {chosen.says}" if chosen else kept,
        strategy=conflict.strategy,
        reason=conflict.why,
        parent=parent,
        sides=tuple(sides),
        more={
            "about": reason(conflict.about[:200]),
            "of": conflict.kind,
            "actions": list(dict.fromkeys(keys[one] for one in about if one in keys))[:KEYS],
            "sides": len(conflict.sides),
        },
    )


def dropped(minutes: Minutes, key: str, action: str, proposal: Proposal, why: str, parent: str) -> str:
    """A proposal that no agent had made, with evidence that holds: it goes no further. `action` is the key that it would have."""
    side = Side(agent=proposal.proposed_by, says=proposal.action, arguments=shown(proposal.arguments))
    return minutes.take(
        "resolve_conflict",
        key=key,
        outcome="dropped",
        strategy="belief",
        reason=why,
        parent=parent,
        action=action,
        sides=(side,),
        more={"actions": [action]},
    )


def other_side(minutes: Minutes, row: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """An action that is given up because the other side of its conflict was carried out, or may have been.

    That other one may be what a person made of a side, and so none of the sides itself.
    """
    conflict = Conflict.model_validate(row["conflict"])
    sides = {side.fingerprint for side in conflict.sides}
    known = {Proposal.model_validate(each["proposal"]).fingerprint: each for each in rows}
    done = [name for name, each in known.items() if each["state"] in ("applied", "unknown")]
    kept = next((name for name in done if name in sides), next(iter(done), ""))
    update = {"chosen": kept, "strategy": "carried-out", "why": row["why"]}
    keys = {name: str(each["key"]) for name, each in known.items()}
    what = known[kept]["proposal"]["action"] if kept else ""
    parent = str(known[kept].get("decision", "")) if kept else ""
    told = conflict.model_copy(update=update)
    return disputed(minutes, f"given-up/{row['key']}", told, keys, parent, kept=what)


def _side(side: Stand, conflict: Conflict) -> Side:
    """A side as it is shown. A value may be about a person; then only that there is one."""
    says: str = side.action
    if not says and any(piece.source == "ticket" for piece in side.evidence) and side.agent == "customer":
        says = WORDS
    elif not says:
        subject = conflict.about.partition(":")[0].lower()
        says = PERSONAL if privacy.is_personal(subject) else reason(side.value[:200])
    return Side(
        agent=side.agent,
        says=says,
        arguments=shown(side.arguments) if side.arguments else None,
        confidence=side.confidence,
        evidence=tuple(piece.source for piece in side.evidence),
        chosen=bool(conflict.chosen) and conflict.chosen in (side.fingerprint or None, side.value or None),
    )
