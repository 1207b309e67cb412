"""What a run decides itself, as rows: the plan, what was not asked, verdicts, effects, and what it came to in the end.

What customers and agents said is not in them but where it is the reason; texts are redacted, and arguments and results shown as
`meshwright.records.redact` shows them. Who was asked, and why, is in `orchestrator.choice`; disagreement in `orchestrator.disputes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshwright.errors import ToolRefused
from meshwright.outbound.called import words_of
from meshwright.records.decision import Call, Omitted
from meshwright.records.redact import PERSONAL, field_name, keyed, reason, shown
from meshwright.records.runs import SELF
from orchestrator.told import about_somebody
from orchestrator.work import lacking

if TYPE_CHECKING:
    from meshwright.budget import Amount
    from meshwright.findings import Gap, Proposal, Split, Subtask
    from meshwright.policy.facts import Lookups
    from meshwright.policy.rules import Judgement, Policy
    from meshwright.records.minutes import Minutes
    from orchestrator.work import Drive

_OUTCOMES = {"apply": "allow", "review": "review", "reject": "block"}
#: Gaps that the last row names.
GAPS = 16
#: Characters of a text in what ends a request that is no text but a name.
SHORT = 24


def plan_id(minutes: Minutes, number: int) -> str:
    """The id of the plan of a round."""
    return minutes.id_of("plan", f"round/{number}")


def planned(
    minutes: Minutes, began: float, peer: str, split: Split, parts: Sequence[Subtask], gaps: Sequence[Gap]
) -> str:
    """How a request was split, which parts nobody can do, and how much of it was not understood."""
    nobody = {gap.subtask: gap.why for gap in gaps}
    unread = f"; {len(split.unread)} pieces were not understood" if split.unread else ""
    lost = f"; {len(nobody)} of them nobody can do" if nobody else ""
    return minutes.take(
        "plan",
        key="round/1",
        began=began,
        outcome="planned" if parts else "nothing-to-ask",
        selected=peer,
        strategy="split-by-skill",
        source="peer",
        reason=f"{peer} split it into {len(split.subtasks)} parts{lost}{unread}",
        more={
            "round": 1,
            "mode": split.mode,
            "topic": reason(split.topic[:80]),
            "urgency": split.urgency,
            "parts": [_part(part) for part in parts],
            "nobody": [{"part": part, "why": reason(why[:200])} for part, why in nobody.items()],
            "unread": {"pieces": len(split.unread), "characters": sum(map(len, split.unread))},
        },
    )


def not_planned(minutes: Minutes, began: float, why: str, outcome: str = "unread") -> str:
    """Nobody could split the request: it goes to a person as it is."""
    return minutes.take(
        "plan", key="round/1", began=began, outcome=outcome, reason=why, more={"round": 1, "parts": []}
    )


def planned_again(
    minutes: Minutes, number: int, parts: Sequence[Mapping[str, Any]], refused: Sequence[Mapping[str, Any]]
) -> str:
    """Parts that are asked for once more, because their action was refused when it was applied."""
    return minutes.take(
        "plan",
        key=f"round/{number}",
        outcome="planned",
        strategy="again",
        parent=str(refused[0].get("decision", "")) if refused else "",
        reason="; ".join(f"{row['proposal']['action']} was refused: {row.get('why', '')}" for row in refused),
        omitted=tuple(Omitted(key=f"finding.{part['id']}", why="stale") for part in parts),
        more={
            "round": number,
            "parts": [
                {name: part[name] for name in ("id", "skill", "needs", "critical")} for part in parts[:16]
            ],
            "actions": [row["key"] for row in refused],
        },
    )


def not_asked(minutes: Minutes, subtask: Subtask, turn: int, parent: str, why: str) -> str:
    """A part that nobody is asked for, because what it needs is not there."""
    return minutes.take(
        "route",
        key=f"{turn}/{subtask.id}",
        outcome="gap",
        subtask=subtask.id,
        parent=parent,
        strategy="needs-first",
        reason=why,
        more={"skill": subtask.skill, "round": turn, "critical": subtask.critical},
    )


def short_of_budget(
    minutes: Minutes,
    key: str,
    peer: str,
    want: Amount,
    granted: Amount,
    about: Mapping[str, Any],
    *,
    money: bool,
) -> None:
    """What an agent may spend is less than its share, because others have reserved it meanwhile, or nothing."""
    if granted.tokens >= max(want.tokens, 1) and (not money or granted.micros >= want.micros):
        return
    more = {"wanted": want.tokens} | (
        {"wanted_micros": want.micros, "micros": granted.micros} if money else {}
    )
    minutes.take(
        "budget",
        key=key,
        outcome="cut" if granted.tokens else "refused",
        selected=peer,
        tokens_given=granted.tokens,
        reason="all else of the run, or of its caller's day, is spent or held for calls that were made before",
        more=more,
        **about,
    )


def judged(
    minutes: Minutes,
    proposal: Proposal,
    judgement: Judgement,
    policy: Policy,
    key: str,
    approvals: int,
    parent: str,
    began: float,
) -> str:
    """A verdict, with the facts that it was made on and the tool that told each."""
    verdict, more = judgement.verdict, dict[str, Any]()
    more["arguments"] = _arguments(proposal.proposed_by, proposal.arguments)
    more["facts"] = facts_of(policy.lookups, judgement.facts)
    more["provenance"] = {
        field_name(name): source for name, source in list(judgement.provenance.items())[:32]
    }
    more |= {"proposed_by": proposal.proposed_by, "rule": verdict.source, "rules": policy.digest[:16]}
    more |= {"approvals": approvals, "needs": verdict.approvals, "moves_cents": judgement.moves}
    if judgement.errors:
        more["errors"] = [reason(error[:200]) for error in judgement.errors[:4]]
    return minutes.take(
        "gate",
        key=f"{key}/{approvals}/{verdict.decision}",
        began=began,
        outcome=_OUTCOMES[verdict.decision],
        selected=proposal.action,
        action=key,
        subtask=proposal.subtask,
        parent=parent,
        policy=verdict.policy,
        reason=verdict.why,
        risk=verdict.risk,
        source="policy",
        confidence=proposal.confidence,
        evidence=tuple(piece.source for piece in proposal.evidence),
        more={name: value for name, value in more.items() if value not in ("", {}, [])},
    )


def facts_of(lookups: Lookups, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the gate was told: by the fact, the tool that told it, and what of that the rules see, or why it is not known."""
    told: dict[str, Any] = {}
    for name, answer in facts.items():
        lookup = lookups.facts.get(name)
        if lookup is None or not isinstance(answer, Mapping):
            continue
        told[name] = {"tool": lookup.tool}
        not_told = answer.get("refused") or answer.get("unknown")
        if not_told is not None:
            told[name]["not_told"] = reason(str(not_told)[:200])
        else:
            if lookup.keep:  # else it is a source of arguments, and no fact that rules see
                told[name]["told"] = shown({field: answer[field] for field in lookup.keep if field in answer})
            told[name]["keyed"] = keyed(answer)[0]
    return told


def not_what_was_seen(minutes: Minutes, row: Mapping[str, Any], parent: str, why: str) -> str:
    """An approval that is for something else than this run would do."""
    return minutes.take(
        "gate",
        key=f"{row['key']}/seen",
        outcome="block",
        selected=row["proposal"]["action"],
        action=row["key"],
        parent=parent,
        policy="as-approved",
        reason=why,
    )


def effect_key(key: str, state: str) -> str:
    return f"{key}/{state}"


def effected(
    drive: Drive, row: Mapping[str, Any], server: str, came: Mapping[str, Any] | BaseException, **known: Any
) -> str:
    """An action as it was carried out, or not; taken in the span of its write. `came` is the receipt, or what was raised."""
    proposal, said = row["proposal"], dict[str, Any]()
    said["arguments"] = _arguments(proposal.get("proposed_by", ""), proposal["arguments"])
    if isinstance(came, BaseException):
        state = "refused" if isinstance(came, ToolRefused) else "unknown"
        said["error"], why = type(came).__name__, words_of(came)
    else:
        # the words of a receipt may name what it is about: a street, where an address was changed
        words = PERSONAL if about_somebody(proposal["arguments"]) else str(came.get("summary", ""))
        if (
            proposal.get("proposed_by") == SELF
        ):  # and of what the run says itself it may repeat the customer's
            words = f"[{len(words)} characters]"
        state, why = "applied", words
        said["result"] = shown({**came, "summary": words} if "summary" in came else came)
        said["keyed"], said["bytes"] = keyed(came)
        if came.get("replayed"):
            known["more"] = {**known.get("more", {}), "replayed": True}
    return drive.minutes.take(
        "effect",
        key=effect_key(row["key"], state),
        outcome=state,
        selected=proposal["action"],
        action=row["key"],
        subtask=proposal.get("subtask", ""),
        parent=row.get("decision", ""),
        policy=row["verdict"]["policy"],
        reason=why,
        call=Call(tool=proposal["action"], server=server, **said),
        **known,
    )


def not_known(minutes: Minutes, row: Mapping[str, Any]) -> None:
    """An action of a run that was cut short, of which nobody can say whether it was carried out: unless its write has said so."""
    key = effect_key(row["key"], "unknown")
    if minutes.id_of("effect", key) not in minutes.ids:
        minutes.take(
            "effect",
            key=key,
            outcome="unknown",
            selected=row["proposal"]["action"],
            action=row["key"],
            parent=row.get("decision", ""),
            strategy="cut-short",
            reason=row.get("why", ""),
        )


def final_id(minutes: Minutes, run: str) -> str:
    return minutes.id_of("final", run)


def ended(minutes: Minutes, run: str, summary: Mapping[str, Any]) -> str:
    """What a run came to, with what is missing in it."""
    gaps, usage = summary["gaps"], summary.get("usage") or {}
    verdicts = [verdict["state"] for verdict in summary["verdicts"]]
    counted = {state: verdicts.count(state) for state in sorted(set(verdicts))}
    return minutes.take(
        "final",
        key=run,
        outcome=summary["outcome"],
        selected=summary["topic"][:80],
        reason="everything was answered" if summary["outcome"] == "done" else lacking(summary),
        micros=usage.get("micros", 0),
        more={
            "reply_characters": len(summary["reply"]),
            "parts": len(summary["plan"]),
            "actions": counted,
            "gaps": [
                {"part": gap.get("subtask", ""), "why": reason(gap["why"][:200])} for gap in gaps[:GAPS]
            ],
            "gaps_in_all": len(gaps),
            "unread": len(summary["unread"]),
            "degraded": summary["degraded"],
            "tokens": usage.get("tokens", 0),
        },
    )


def _arguments(proposed_by: str, arguments: Mapping[str, Any]) -> Any:
    """What an action is called with. What a run itself says is texts: of them, which stand in its report, only the length."""
    if proposed_by == SELF:
        texts = {
            name: value for name, value in arguments.items() if isinstance(value, str) and len(value) > SHORT
        }
        arguments = {**arguments, **{name: f"[{len(value)} characters]" for name, value in texts.items()}}
    return shown(arguments)


def _part(part: Subtask) -> dict[str, Any]:
    return part.model_dump(mode="json", include={"id", "skill", "needs", "critical"})
