"""The end of a run: one reply that says what was done and what was not, and the desk is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from langgraph.runtime import Runtime

from meshwright.deadline import Deadline
from meshwright.errors import DeadlineExceeded
from meshwright.findings import Gap, Proposal
from orchestrator.apply import carry_out, note, note_cut_off
from orchestrator.explained import final_id, not_known
from orchestrator.gate import SELF, action_key, judge
from orchestrator.work import MAX_ROUNDS, Drive, Work, code_of

#: Keeps the state of a run, so that only its last word is left.
Keep = Callable[[dict[str, Any]], Awaitable[None]]
#: The share of a run's time that is kept for its last word.
LAST_WORD = 0.2


async def finish(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: compose the reply, decide the outcome, and close or hand over through the same gate as every effect."""
    drive = runtime.context
    rejected = [row for row in state["actions"] if row["state"] == "rejected"]
    open_ends = bool(state["gaps"] or state["unread"] or rejected)
    handed_over = False
    closing = drive.policy.closing
    reply = compose(state)
    if closing is not None:
        ticket = state["id"]
        steps = [(closing.reply, {"ticket_id": ticket, "text": reply})]
        if open_ends:
            reasons = "; ".join(_reasons(state))[:2000]
            summary = state["request"][:2000]
            steps.append((closing.handover, {"ticket_id": ticket, "reason": reasons, "summary": summary}))
        else:
            steps.append((closing.close, {"ticket_id": ticket, "outcome": "done"}))
        told = [await _effect(drive, state, action, arguments) for action, arguments in steps]
        handed_over = open_ends and not told[-1]
        failed = [why for why in told if why]
        if failed:
            gaps = [
                *state["gaps"],
                *({"what": "telling the desk", "why": why, "subtask": ""} for why in failed),
            ]
            return {"reply": reply, "outcome": "degraded", "gaps": gaps}
    outcome = "escalated" if handed_over else "degraded" if open_ends else "done"
    return {"reply": reply, "outcome": outcome}


def last_word(by: Deadline) -> float:
    """Seconds kept back from the graph, so that what it has found by then is still said."""
    return min(max(LAST_WORD * by.remaining, 0.1), 1.0)


async def cut_short(state: dict[str, Any], drive: Drive, keep: Keep) -> dict[str, Any]:
    """The end of a run whose time is nearly up, wherever it stands: what is not answered is a gap, and what may have been
    applied or not is said to be unknown, as it is when the tool server does not say.

    What it comes to is kept before its last word: whoever has to say that again says the same."""
    if state.get("outcome"):
        return state
    why = "the time was up"
    lost = [p["instruction"] for p in state["plan"] if p["id"] not in state["findings"]]
    gaps = [Gap(what=what[:400], why=why) for what in (lost if state["plan"] else ["the whole request"])]
    if state["findings"] and not state["resolution"]:
        gaps.append(Gap(what="the final check of the answers", why=f"{why}; so nothing is changed"))
    await note_cut_off(drive, why)
    actions = []
    for row in state["actions"]:
        if row["state"] == "open":
            row = {**row, "state": "unknown", "why": why}
            not_known(drive.minutes, row)
            await note(drive, row)
            gaps.append(
                Gap(what=row["proposal"]["action"], why=f"it is not known whether it was applied: {why}")
            )
        elif row["state"] in ("waiting", "approved"):
            row = {**row, "state": "rejected", "why": f"{why} before it could be decided and applied"}
        actions.append(row)
    whole = state | {
        "degraded": [code_of(DeadlineExceeded(why))],
        "round": MAX_ROUNDS,
        "questions": {},
        "actions": actions,
        "gaps": [*state["gaps"], *(gap.model_dump(mode="json") for gap in gaps)],
    }
    await keep(whole)
    return whole | await finish(cast(Work, whole), Runtime(context=drive))


async def _effect(drive: Drive, state: Work, action: str, arguments: dict[str, Any]) -> str:
    """Judge and apply one closing effect; the reason if it did not happen."""
    proposal = Proposal(action=action, arguments=arguments, proposed_by=SELF)
    verdict, decision = await judge(drive, state, proposal, parent=final_id(drive.minutes, drive.run))
    if verdict.decision != "apply":
        return f"{action}: {verdict.why}"
    row = {
        "key": action_key(state["id"], proposal),
        "proposal": proposal.model_dump(mode="json"),
        "verdict": verdict.model_dump(mode="json"),
        "state": "open",
        "decision": decision,
    }
    done = await carry_out(drive, row, drive.by)
    return "" if done["state"] == "applied" else f"{action}: {done['why']}"


def _reasons(state: Work) -> list[str]:
    rejected = [r for r in state["actions"] if r["state"] == "rejected"]
    reasons = [f"not understood: {words}" for words in state["unread"]]
    reasons += [f"{r['proposal']['action']}: {r.get('why') or r['verdict']['why']}" for r in rejected]
    reasons += [f"{gap['what']}: {gap['why']}" for gap in state["gaps"]]
    return list(dict.fromkeys(reasons))


def compose(state: Work) -> str:
    """What the customer reads: the agents' words, what was done, and what a person will take over."""
    blocks = [_words(state)]
    done = [
        r["receipt"].get("summary") or r["proposal"]["action"]
        for r in state["actions"]
        if r["state"] == "applied"
    ]
    if done:
        blocks.append("Done:\n" + "\n".join(f"- {line}" for line in done))
    reasons = _reasons(state)
    if reasons:
        blocks.append("A colleague takes this over:\n" + "\n".join(f"- {line}" for line in reasons))
    return "\n\n".join(block for block in blocks if block)[:8000] or "There was nothing to do."


def _words(state: Work) -> str:
    """The agents' words; without those that announce a change which then was not made."""
    applied = {row["key"] for row in state["actions"] if row["state"] == "applied"}
    findings = [state["findings"][part["id"]] for part in state["plan"] if part["id"] in state["findings"]]
    kept = [f["reply"].strip() for f in findings if _keys(state["id"], f) <= applied]
    if len(kept) == len(findings):
        return str(state["resolution"].get("reply", "")).strip()
    return "\n".join(dict.fromkeys(words for words in kept if words))


def _keys(run: str, finding: dict[str, Any]) -> set[str]:
    return {action_key(run, Proposal.model_validate(proposal)) for proposal in finding["proposals"]}
