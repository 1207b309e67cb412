"""The one place where a run waits: for people's decisions on its open reviews. Waiting costs a row, no memory."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from meshwright.extension import canonical
from meshwright.findings import Gap, Proposal
from meshwright.reviews.said import said_id
from meshwright.reviews.word import effect
from orchestrator.explained import not_what_was_seen
from orchestrator.gate import SELF, action_key
from orchestrator.questions import heard
from orchestrator.work import Drive, Work

#: Why an approval does not count that is for something else than this run would do.
NOT_SEEN = "what was approved is not what would be done"

Row = dict[str, Any]


async def review(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: park until one of this run's reviews is decided; then hand what was decided back to the gate.

    What resumes it is only a signal. The decisions are read from the store, so nobody who can send a message can approve; and
    what was approved is held against what this run would do, so that nobody approves one thing and another is done.
    """
    drive = runtime.context
    if (told := said_by_the_client(state, drive)) is not None:
        return {"questions": told}
    waiting = [row["key"] for row in state["actions"] if row["state"] == "waiting"]
    decided = await drive.reviews.decisions(waiting)
    if not decided:
        interrupt({"reviews": waiting})
        decided = await drive.reviews.decisions(waiting)
    rows: list[Row] = []
    gaps = list(state["gaps"])
    for row in state["actions"]:
        decision = decided.get(row["key"]) if row["state"] == "waiting" else None
        if decision is None:
            rows.append(row)
            continue
        said = said_id(SELF, drive.claim.task_id, row["key"], decision["version"])
        changed, why = _decided(row, decision)
        changed["decision"] = said
        if why == NOT_SEEN:
            changed["decision"] = not_what_was_seen(drive.minutes, row, said, why)
        rows.append(changed)
        if why:
            gaps.append(Gap(what=row["proposal"]["action"], why=why[:4000]).model_dump(mode="json"))
        if decision["decision"] == "edit":
            rows += [{**edit, "decision": said} for edit in _edited(state, row, decision)]
    return {"actions": rows, "gaps": gaps}


def _decided(row: Row, decision: Row) -> tuple[Row, str]:
    """The row after a decision, and why it is a gap, if it is one."""
    proposal = row["proposal"]
    if decision["decision"] == "edit":
        who = f"{decision['by']}{': ' + decision['reason'] if decision['reason'] else ''}"
        return {**row, "state": "edited", "why": f"edited by {who}", "became": decision["became"]}, ""
    if decision["decision"] == "approve":
        if decision["hash"] == effect(proposal["action"], proposal["arguments"]):
            return {**row, "state": "approved", "approved_by": decision["approved_by"]}, ""
        return {**row, "state": "rejected", "why": NOT_SEEN}, NOT_SEEN
    if decision["decision"] == "reject":
        # the customer reads this: what for, and not who
        told = f"a person decided against it{': ' + decision['reason'] if decision['reason'] else ''}"
        return {**row, "state": "rejected", "why": told}, told
    why = decision["reason"] or f"its review was {decision['decision']}"
    return {**row, "state": "rejected", "why": why}, why


def _edited(state: Work, row: Row, decision: Row) -> list[Row]:
    """What a person put in the place of a proposal: a proposal of theirs, that nobody has approved and the gate has to judge.

    None where this run has exactly that action already. The amount that the agent named is not that of the new arguments.
    """
    before, proposal = row["proposal"], _as_edited(row["proposal"], decision)
    key = action_key(state["id"], proposal)
    if any(other["key"] == key for other in state["actions"]):
        return []
    old, new = before["arguments"], decision["edited"]
    same = {name for name in old.keys() & new.keys() if canonical(old[name]) == canonical(new[name])}
    known = {name: source for name, source in row.get("provenance", {}).items() if name in same}
    return [
        {
            **{name: row[name] for name in ("verdict", "conflict", "asked_by") if name in row},
            "key": key,
            "proposal": proposal.model_dump(mode="json"),
            "state": "approved",
            "approved_by": [],
            "provenance": {**known, **dict.fromkeys(new.keys() - same, "person")},
        }
    ]


def _as_edited(before: Row, decision: Row) -> Proposal:
    changes = {"arguments": decision["edited"], "proposed_by": decision["by"], "amount": None}
    return Proposal.model_validate({**before, **changes, "why": decision["reason"]})


def said_by_the_client(state: Work, drive: Drive) -> dict[str, Any] | None:
    """The questions with the client's answer to the one that was put to them, if that is what began this drive.

    It answers a question, and nothing else: a client's words never approve.
    """
    return heard(state, drive.said.about, drive.said.text) if drive.said is not None else None
