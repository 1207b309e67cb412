"""No action without a verdict: each proposal is judged by the policy, on facts that the gate looks up itself."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from langgraph.runtime import Runtime

from meshwright.audit import privacy
from meshwright.audit.log import Entry
from meshwright.errors import NotFound
from meshwright.extension import canonical
from meshwright.findings import Conflict, Proposal, Verdict
from meshwright.policy import Judgement, Policy
from meshwright.policy.facts import Ask
from meshwright.policy.provenance import PERSON
from orchestrator.belief import cautious, contested, in_the_middle
from orchestrator.disputes import disputed
from orchestrator.explained import judged
from orchestrator.questions import open_questions, so_far, to_be_judged
from orchestrator.work import SHARES, Drive, Work

#: The tag of skills that propose changes.
WRITES = "write"
#: Who proposes what ends a request, as policies name it.
SELF = "orchestrator"
_STATES = {"apply": "open", "review": "waiting", "reject": "rejected"}
#: States of a row whose effect has happened, may have, or may yet.
_MOVING = ("open", "waiting", "approved", "applied", "unknown")


async def gate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: a verdict for every proposal that has none yet, and a new one for what people have approved meanwhile: the world
    may have changed. Reviews are written down where people find them."""
    drive = runtime.context
    ask = _each_once(_looking_up(drive, state))
    rows: list[dict[str, Any]] = []
    for row in [*state["actions"], *_fresh(drive, state)]:
        if row["state"] in ("new", "approved"):
            # one after the other: what the first moves counts for the next
            row = await _judged(drive, state, row, [*state["actions"], *rows], ask)
        rows.append(row)
    return {"actions": rows}


def _fresh(drive: Drive, state: Work) -> list[dict[str, Any]]:
    """The proposals without a row, each once, with the contradiction that they are one side of."""
    known = {row["key"] for row in state["actions"]}
    rows = []
    for content, asked_by in to_be_judged(state):
        proposal = Proposal.model_validate(content)
        key = action_key(state["id"], proposal)
        if key in known:
            continue
        known.add(key)
        row = {"key": key, "proposal": proposal.model_dump(mode="json"), "state": "new"}
        conflict = contested(state, proposal)
        if asked_by is not None:
            row["asked_by"] = asked_by
            conflict = in_the_middle(proposal, state, drive.contradictions)
            if conflict:
                keys = {proposal.fingerprint: key} | {
                    Proposal.model_validate(known["proposal"]).fingerprint: known["key"]
                    for known in state["actions"]
                }
                found = Conflict.model_validate(conflict)
                disputed(drive.minutes, f"asked/{key}", found, keys, follows(state, row, proposal))
        if conflict:
            row["conflict"] = conflict
        rows.append(row)
    return rows


async def _judged(
    drive: Drive, state: Work, row: dict[str, Any], rows: list[dict[str, Any]], ask: Ask
) -> dict[str, Any]:
    """The row with its verdict, and what follows from it."""
    proposal = Proposal.model_validate(row["proposal"])
    approvals = len(approvers(row))
    judgement, decision = await _weighed(
        *(drive, state, proposal, approvals, ask, _moved(rows, row["key"]), row),
        follows(state, row, proposal),
    )
    verdict = judgement.verdict
    asked = verdict.decision != "review" and await _asked_already(drive, row)
    await drive.say(f"gate: {proposal.action}: {verdict.decision} ({verdict.why[:120]})")
    if verdict.decision == "review":
        # people see what moves by the facts, as far as these say it; an agent's word is none
        seen = proposal.model_copy(update={"amount": judgement.moves or proposal.amount})
        await drive.reviews.open(
            *(row["key"], state["id"], seen, verdict, drive.claim),
            provenance=judgement.provenance,
            conflict=row.get("conflict"),
            decision=decision,
        )
    if verdict.decision == "reject" and asked:
        await drive.reviews.call_off(row["key"], state["id"], verdict.why, drive.claim)
    judged = {
        **row,
        "verdict": verdict.model_dump(mode="json"),
        "state": "waiting" if asked and verdict.decision == "apply" else _STATES[verdict.decision],
        "provenance": judgement.provenance,
        "moves": judgement.moves,
        "decision": decision,
        "rules": drive.policy.digest,
    }
    if approvals and verdict.decision == "reject":
        names = ", ".join(approvers(row))
        judged["why"] = f"approved by {names}, and then not possible any more: {verdict.why}"
    return judged


async def in_force(drive: Drive, state: Work) -> list[dict[str, Any]]:
    """The actions; each that is about to be applied as the rules say that hold here: who takes a run over may have others than who judged it.

    What was intended already may have happened, and is not judged again.
    """
    ask = _each_once(_looking_up(drive, state))
    rows: list[dict[str, Any]] = []
    for row in state["actions"]:
        other = row["state"] == "open" and row.get("rules", drive.policy.digest) != drive.policy.digest
        if other and not await drive.store.intended(drive.run, row["key"]):
            row = await _judged(drive, state, {**row, "state": "approved"}, [*state["actions"], *rows], ask)
        rows.append(row)
    return rows


async def _asked_already(drive: Drive, row: Mapping[str, Any]) -> bool:
    """Whether people have been asked about an action by whoever died over this step: then they decide it, whatever the verdict is now."""
    try:
        stands: str = (await drive.reviews.one(row["key"]))["state"]
    except NotFound:
        return False
    return stands == "open" or (row["state"] == "new" and stands != "withdrawn")


def approvers(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The different people who have approved, whoever proposed it not among them. Runs of 0.1.0 hold one name."""
    names = row.get("approved_by") or ()
    people = set([names] if isinstance(names, str) else names)
    return tuple(sorted(people - {row["proposal"].get("proposed_by", "")}))


async def judge(
    drive: Drive, state: Work, proposal: Proposal, approvals: int = 0, parent: str = ""
) -> tuple[Verdict, str]:
    """The policy's verdict on one proposal, of which `approvals` people have approved, and the decision that it is.

    It stands in the audit log.
    """
    ask = _looking_up(drive, state)
    moved = _moved(state["actions"], action_key(state["id"], proposal))
    judgement, decision = await _weighed(drive, state, proposal, approvals, ask, moved, {}, parent)
    return judgement.verdict, decision


def follows(state: Work, row: Mapping[str, Any], proposal: Proposal) -> str:
    """The decision that an action follows from: what was decided of it last, else the call in which an agent proposed it."""
    asked = open_questions(state).get(row.get("asked_by", {}).get("subtask", ""), {}).get("call")
    called = (state.get("decided") or {}).get(f"part:{proposal.subtask}")
    return str(row.get("decision") or asked or called or "")


async def _weighed(
    drive: Drive,
    state: Work,
    proposal: Proposal,
    approvals: int,
    ask: Ask,
    moved: int,
    row: Mapping[str, Any],
    parent: str,
) -> tuple[Judgement, str]:
    """The verdict and what it was made of, and the decision that it is; the log has it. `row` is the action's, as far as there is one."""
    policy, began = drive.policy, time.time()
    conflict: Mapping[str, Any] | None = row.get("conflict")
    skills = {part["id"]: part["skill"] for part in state["plan"]}
    # what a person has edited is still within what the agent of that part of the request may propose
    heard = state["findings"].get(proposal.subtask, {}).get("agent") or row.get("asked_by", {}).get("peer")
    known = {
        "proposal": proposal.arguments,
        "proposal_confidence": proposal.confidence,
        "amount": proposal.amount,
        "agent": heard or proposal.proposed_by,
        "by_person": {name for name, source in row.get("provenance", {}).items() if source == PERSON},
        "skill": skills.get(proposal.subtask, ""),
        "subject": state["subject"],
        "words": state["request"],
        "conflict": bool(conflict),
        "request": {
            "unread": state["unread"],
            "topic": state["topic"],
            "open_ends": open_ends(drive, so_far(state) if row.get("asked_by") else state),
            "moved_cents": moved,
        },
    }
    judgement = await policy.weigh(proposal.action, known, ask, approvals)
    judgement = replace(judgement, verdict=cautious(judgement.verdict, conflict, approvals))
    key = action_key(state["id"], proposal)
    decision = judged(drive.minutes, proposal, judgement, policy, key, approvals, parent, began)
    entry = _entry(state["id"], proposal, judgement, policy, approvals)
    await drive.store.record(drive.claim, entry, minutes=drive.minutes)
    return judgement, decision


def _entry(run: str, proposal: Proposal, judgement: Judgement, policy: Policy, approvals: int) -> Entry:
    """The line in the audit log. Judged again after a crash it is the same line, unless the verdict is another."""
    verdict, key = judgement.verdict, action_key(run, proposal)
    body = {
        "action": proposal.action,
        "arguments": privacy.arguments(proposal.arguments),
        "proposed_by": proposal.proposed_by,
        "approvals": approvals,
        "decision": verdict.decision,
        "needs": verdict.approvals,
        "policy": verdict.policy,
        "risk": verdict.risk,
        "provenance": judgement.provenance,
        "facts": judgement.seen,
        "rules": policy.digest,
    }
    once = f"gate.verdict:{key}:{approvals}:{verdict.decision}"
    return Entry("gate.verdict", SELF, body, run=run, action=key, once=once)


def _looking_up(drive: Drive, state: Work) -> Ask:
    by = drive.by.share(SHARES.gate)
    tools = drive.toolbox.session(by=by, ticket=state["id"], priority=drive.origin.priority, quiet=True)

    async def look_up(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await tools.call(tool, **arguments)

    return look_up


def _each_once(ask: Ask) -> Ask:
    """The same question is asked once: for one look of the gate the world stands still."""
    asked: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def look_up(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        key = canonical([tool, arguments])
        if key not in asked:
            asked[key] = asyncio.ensure_future(ask(tool, arguments))
        return await asked[key]

    return look_up


def _moved(rows: Iterable[dict[str, Any]], but: str) -> int:
    """Cents that the other actions of this run move, as the gate has seen it. Of two rows with one key the later counts."""
    latest = {row["key"]: row for row in rows if row["key"] != but}
    return sum(int(row.get("moves", 0)) for row in latest.values() if row["state"] in _MOVING)


def open_ends(drive: Drive, state: Work) -> list[str]:
    """What was asked of a skill that proposes changes, and is not answered. Questions left open hold no change back.

    Of a part that nobody was known for it is not certain that it was only a question, so it counts.
    """
    skills = {part["id"]: part["skill"] for part in state["plan"]}
    found = []
    for gap in state["gaps"]:
        tags = drive.directory.tags(skills.get(gap["subtask"], ""))
        if gap["subtask"] and (WRITES in tags or not tags):
            found.append(gap["what"])
    return found


def action_key(run: str, proposal: Proposal) -> str:
    """The idempotency key of an action: the same run, action and arguments give the same key, whenever it is asked."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, canonical([run, proposal.action, proposal.arguments])))
