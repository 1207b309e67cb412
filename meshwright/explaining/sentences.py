"""What a decision comes to in one sentence that somebody at a support desk understands."""

from __future__ import annotations

from collections.abc import Callable

from meshwright.explaining.plain import listed, many, money, number, one_line, text
from meshwright.explaining.steps import Step
from meshwright.explaining.tones import degraded

#: A kind as a label.
LABELS = {
    "plan": "Plan",
    "route": "Choice",
    "agent_call": "Agent",
    "tool_call": "Tool",
    "model_call": "Model",
    "context": "Context",
    "resolve_conflict": "Disagreement",
    "gate": "Policy",
    "review": "Person",
    "effect": "Change",
    "budget": "Budget",
    "breaker": "Breaker",
    "final": "Result",
}
#: Kinds that are about an action, whose name they have selected.
ACTS = ("gate", "review", "effect")
#: Why a piece of context was not passed on.
WITHHELD = {
    "budget": "there was no room for it",
    "relevance": "it was held not to matter there",
    "permission": "the agent may not see it",
    "personal": "it is personal, and not needed there",
    "stale": "it was out of date",
    "duplicate": "it was there already",
}
#: Codes that say little to those who do not know them.
_OUTCOMES = {
    "allow": "allowed",
    "block": "forbidden",
    "review": "needs a person",
    "escalate": "handed over",
    "defer": "put off",
    "approve": "approved",
    "reject": "rejected",
    "edit": "edited",
    "timed-out": "timed out",
    "stand-in": "stand-in",
    "not-asked": "not asked",
    "asked": "asked back",
    "answered-badly": "nonsense",
    "called-off": "called off",
    "wants-tools": "wants tools",
    "unknown": "not known",
}
_CAME = {
    "answered": "got an answer",
    "stand-in": "got an answer from it as a stand-in",
    "asked": "was asked something back",
    "timed-out": "got no answer in time",
    "not-asked": "did not get through: its breaker is open",
    "answered-badly": "got an answer that is none",
    "refused": "was refused",
    "called-off": "called it off",
}
_EFFECTS = {
    "applied": "was carried out",
    "replayed": "had been carried out before, and was not done twice",
    "refused": "was refused by the tool",
    "unknown": "may or may not have been carried out: the tool did not say",
    "failed": "failed",
}


def label(kind: str) -> str:
    return LABELS.get(kind, kind)


def who(name: str) -> str:
    return one_line(name, 80) or "somebody"


def piece(key: str) -> str:
    """What a piece of context is, where its name is one that the orchestrator gives; else nothing."""
    what, _, part = one_line(key, 160).partition(".")
    said = {
        "finding": "what was found out for “{}”",
        "rest": "all else that was said of “{}”",
        "facts": "the facts of “{}”",
    }
    return said[what].format(part) if part and what in said else ""


def sentence(step: Step) -> str:
    """Who decided what."""
    return _SENTENCES.get(step.kind, _unknown)(step)


def reason_of(step: Step, most: int = 1_000) -> str:
    """Why, as far as the sentence has not said it."""
    said = step.said
    whole_plan = (
        step.kind == "plan" and said.outcome == "planned" and said.selected and not said.more.get("nobody")
    )
    error = said.call.error if said.call and step.kind == "tool_call" else ""
    failed_read = error and (said.outcome != "called-off" or said.reason == error)
    return "" if whole_plan or failed_read else text(said.reason, most)


def action_of(step: Step) -> str:
    """The name of the action that a decision is about, if it is about one."""
    said = step.said
    if step.kind == "resolve_conflict" and said.outcome == "dropped" and said.sides:
        return one_line(said.sides[0].says, 80)
    return one_line(said.selected or (said.call.tool if said.call else ""), 80) if step.kind in ACTS else ""


def outcome_of(step: Step) -> str:
    """What it came to, in a word or two."""
    return _OUTCOMES.get(step.said.outcome) or one_line(step.said.outcome, 60)


def parts(step: Step) -> list[tuple[str, str]]:
    """What a plan split the request into: (part, skill)."""
    found = step.said.more.get("parts")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return [(one_line(row.get("id"), 80), one_line(row.get("skill") or "", 80)) for row in rows]


def unread(step: Step) -> int:
    """How many pieces of the request a plan leaves aside, because they were not understood."""
    found = step.said.more.get("unread")
    return int(number(found.get("pieces"), most=1e6)) if isinstance(found, dict) else 0


def _plan(step: Step) -> str:
    said = step.said
    if said.outcome != "planned":
        return f"{who(said.agent)} could not split the request into parts that anybody can do"
    by = f"{who(said.selected)} split" if said.selected else f"{who(said.agent)} planned"
    aside = (
        f", and {many(unread(step), 'piece')} of it {'was' if unread(step) == 1 else 'were'} not understood"
    )
    return f"{by} the request into {many(len(parts(step)), 'part')}{aside if unread(step) else ''}"


def _route(step: Step) -> str:
    said = step.said
    part = f" for “{one_line(said.subtask, 60)}”" if said.subtask else ""
    if not said.selected:
        return f"{who(said.agent)} got no answer from anybody{part}"
    how = ""
    if said.outcome == "stand-in":
        how = ", who stands in for the agents whose work it is"
    elif "alternate" in degraded(step):
        how = ", because those before it could not be had"
    return f"{who(said.agent)} chose {who(said.selected)}{part}{how}"


def _agent_call(step: Step) -> str:
    said = step.said
    return f"{who(said.agent)} asked {who(said.selected)} and {_came(step)}"


def _came(step: Step) -> str:
    return _CAME.get(step.said.outcome, f"got no answer ({outcome_of(step)})")


def _tool_call(step: Step) -> str:
    said = step.said
    tool = one_line(said.call.tool if said.call else said.selected, 80) or "a tool"
    error = said.call.error if said.call else ""
    if said.outcome == "called-off":
        return f"{who(said.agent)} asked {tool} and {_came(step)}"
    failed = f", which failed: {one_line(said.reason or error, 300)}" if error else ""
    return f"{who(said.agent)} read {tool}{failed}"


def _model_call(step: Step) -> str:
    said = step.said
    used = number(said.tokens_in) + number(said.tokens_out)
    spent = f": {used:,.0f} tokens" if used else ""
    cost = f", {money(number(said.micros))}" if number(said.micros) else ""
    came = "" if said.outcome in ("answered", "wants-tools") else f" and {_came(step)}"
    return f"{who(said.agent)} asked the model {who(said.selected)}{came}{spent}{cost}"


def _context(step: Step) -> str:
    given, left = len(step.said.passed), len(step.said.omitted)
    without = f", and without {many(left, 'other')}" if left else ""
    return f"{who(step.said.agent)} worked with {many(given, 'piece')} of context{without}"


def _conflict(step: Step) -> str:
    said = step.said
    sides = list(dict.fromkeys(who(side.agent) for side in said.sides))
    if said.outcome == "dropped":
        return f"What {listed(sides) or 'an agent'} proposed was dropped: it goes no further"
    about = one_line(said.more.get("about") or said.subtask, 80)
    on = f" on {about}" if about else ""
    chosen = list(dict.fromkeys(who(side.agent) for side in said.sides if side.chosen))
    believed = f"; {listed(chosen)} was believed" if chosen else "; nobody was believed, a person has to say"
    whom = (
        f"{listed(sides)} disagreed"
        if len(sides) > 1
        else f"{listed(sides) or 'somebody'} contradicted itself"
    )
    return f"{whom}{on}{believed}"


def _gate(step: Step) -> str:
    what = action_of(step) or "an action"
    if step.said.outcome == "review":
        return f"The policy lets a person decide on {what}"
    verdict = {"allow": "allowed", "block": "forbade"}.get(step.said.outcome)
    return f"The policy {verdict} {what}" if verdict else f"The policy said “{outcome_of(step)}” of {what}"


def _review(step: Step) -> str:
    said, what = step.said, action_of(step) or "the action"
    if said.person:
        did = {"approve": "approved", "reject": "rejected", "edit": "changed"}.get(said.outcome)
        said_so = f"{did} {what}" if did else f"said “{outcome_of(step)}” of {what}"
        return f"{who(said.person)} {said_so}"
    if said.outcome == "withdrawn":
        return f"Nobody needed to decide on {what} any more"
    late = {"expired": "until it expired", "escalated": "in time, so it was escalated"}.get(said.outcome)
    return f"Nobody decided on {what} {late or f'in time: {outcome_of(step)}'}"


def _effect(step: Step) -> str:
    return f"{action_of(step) or 'The change'} {_EFFECTS.get(step.said.outcome, f'came to “{outcome_of(step)}”')}"


def _budget(step: Step) -> str:
    said = step.said
    less = "less than its share" if said.outcome == "cut" else "nothing"
    return f"{who(said.selected or said.agent)} was given {less} to spend"


def _breaker(step: Step) -> str:
    return f"{who(step.said.agent)} sees the breaker to {who(step.said.selected)} {outcome_of(step)}"


def _final(step: Step) -> str:
    return f"{who(step.said.agent)} ended the request: {outcome_of(step)}"


def _unknown(step: Step) -> str:
    return f"{who(step.said.agent)} decided something of a kind that is not known here ({one_line(step.kind, 40)}): {outcome_of(step)}"


_SENTENCES: dict[str, Callable[[Step], str]] = {
    "plan": _plan,
    "route": _route,
    "agent_call": _agent_call,
    "tool_call": _tool_call,
    "model_call": _model_call,
    "context": _context,
    "resolve_conflict": _conflict,
    "gate": _gate,
    "review": _review,
    "effect": _effect,
    "budget": _budget,
    "breaker": _breaker,
    "final": _final,
}
