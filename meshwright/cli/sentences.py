"""A decision as a sentence, for whoever asks why something was done and does not know how the mesh works inside."""

from __future__ import annotations

from collections.abc import Callable

from meshwright.cli.decided import about, facts, parts, tokens
from meshwright.cli.received import (
    ELLIPSIS,
    Document,
    call,
    count,
    document,
    duration,
    number,
    part,
    rows,
    text,
)

#: Characters of a reason, an argument or a result in a sentence.
LONG = 240
_VERDICTS = {
    "allow": "let it pass",
    "review": "held it for a person",
    "escalate": "handed it to a person",
    "defer": "put it off",
    "block": "refused it",
    "reject": "refused it",
}
_SAID = {"approve": "approved it", "approved": "approved it", "edit": "put other arguments in its place"}
_SAID |= {"edited": "put other arguments in its place", "reject": "refused it", "rejected": "refused it"}
_SAID |= {
    "escalated": "decided it in time, so it was passed on",
    "expired": "decided it until it expired",
}
_DONE = {"applied": "was applied", "refused": "was refused by the tool", "failed": "failed"}
_DONE |= {"unknown": "may or may not have been applied: no answer came"}


def sentence(decision: Document) -> str:
    """What was decided, by whom and why, in one or a few sentences. One of a kind that is not known is told as far as it goes."""
    tell = _TELLERS.get(text(decision, "kind"), _other)
    return " ".join(part for part in (tell(decision), _context(decision)) if part)


def subject(decisions: list[Document], key: str) -> str:
    """The action with this key, as it would be called."""
    for each in reversed(decisions):
        if each.get("action") == key and text(part(each, "call"), "tool"):
            used = part(each, "call")
            return call(text(used, "tool", 80), used.get("arguments"), LONG)
    for each in reversed(decisions):
        if each.get("action") == key and "arguments" in part(each, "more"):
            return about(each)
    chosen = [text(each, "selected", 80) for each in decisions if each.get("action") == key]
    return next((each for each in reversed(chosen) if each), "the action")


def _who(decision: Document) -> str:
    return text(decision, "agent", 60) or "somebody"


def _because(decision: Document) -> str:
    why = text(decision, "reason", LONG)
    return f": {_ended(why)}" if why else "."


def _ended(words: str) -> str:
    """With one full stop; none after what was cut."""
    return words if words.endswith(ELLIPSIS) else f"{words.rstrip('.')}."


def _plan(decision: Document) -> str:
    planned = parts(decision)
    what = (
        f"planned {count(len(planned), 'part')} ({', '.join(planned)})" if planned else "found nothing to ask"
    )
    return f"{_who(decision)} {what}{_because(decision)}"


def _route(decision: Document) -> str:
    chosen, what = text(decision, "selected", 80), text(decision, "subtask", 60) or "this part"
    others = [
        f"not {text(option, 'name', 60)} ({text(option, 'why_not', 120)})"
        for option in rows(decision, "options")
        if option.get("why_not") and text(option, "name", 80) != chosen
    ]
    head = f"For {what} it chose {chosen}" if chosen else f"For {what} nobody could be chosen"
    return f"{', '.join([head, *others])}{_because(decision)}"


def _asked(decision: Document) -> str:
    peer, outcome = text(decision, "selected", 80) or "an agent", text(decision, "outcome", 60)
    took, left = duration(number(decision, "ms")), number(decision, "deadline_ms")
    within = f" It had {duration(left)}." if left is not None else ""
    what = f" for {each}" if (each := text(decision, "subtask", 60)) else ""
    return f"{_who(decision)} asked {peer}{what}: {outcome}{f' after {took}' if took else ''}{_because(decision)}{within}"


def _read(decision: Document) -> str:
    used = part(decision, "call")
    read = call(text(used, "tool", 80) or "a tool", used.get("arguments"), LONG)
    at = f" at {server}" if (server := text(used, "server", 60)) else ""
    if error := text(used, "error", LONG):
        return _ended(
            f"{_who(decision)} read {read}{at}, which failed: {text(decision, 'reason', LONG) or error}"
        )
    said = f", which returned {document(used['result'], LONG)}" if used.get("result") is not None else ""
    return _ended(f"{_who(decision)} read {read}{at}{said}")


def _model(decision: Document) -> str:
    used = tokens(decision)
    cost = f" with {count(used, 'token')}" if used else ""
    chosen, outcome = text(decision, "selected", 80) or "its model", text(decision, "outcome", 60)
    return f"{_who(decision)} asked {chosen}{cost}: {outcome}{_because(decision)}"


def _settled(decision: Document) -> str:
    sides, chosen = [], ""
    for side in rows(decision, "sides"):
        agent, says = text(side, "agent", 60) or "an agent", text(side, "says", LONG)
        said = call(says, side["arguments"], LONG) if side.get("arguments") is not None else says
        sides.append(f"{agent} says {said}")
        chosen = agent if side.get("chosen") is True else chosen
    believed = f"{chosen} was believed" if chosen else "No side was believed"
    by = f" by {strategy}" if (strategy := text(decision, "strategy", 60)) else ""
    told = f"They disagreed: {'; '.join(sides)}. " if sides else ""
    return f"{told}{believed}{by}{_because(decision)}"


def _judged(decision: Document) -> str:
    outcome, policy = text(decision, "outcome", 40), text(decision, "policy", 80)
    by = f" by the rule {policy}" if policy else ""
    risk = f" (risk: {text(decision, 'risk', 20)})" if decision.get("risk") else ""
    looked_up = facts(decision, LONG)
    told = f" It looked up {_ended('; '.join(looked_up))}" if looked_up else ""
    return f"The gate {_VERDICTS.get(outcome, f'said {outcome}')}{by}{risk}{_because(decision)}{told}"


def _said(decision: Document) -> str:
    person, outcome = text(decision, "person", 80), text(decision, "outcome", 40)
    if outcome == "withdrawn":
        return f"Nobody had to decide it any more{_because(decision)}"
    return f"{person or 'Nobody'} {_SAID.get(outcome, f'said {outcome}')}{_because(decision)}"


def _done(decision: Document) -> str:
    outcome = text(decision, "outcome", 40)
    what = about(decision) or "It"
    server = text(part(decision, "call"), "server", 60)
    ended = _DONE.get(outcome, f"ended as {outcome}")
    error = text(part(decision, "call"), "error", LONG)
    return f"{what} {ended}{f' at {server}' if server else ''}{f' ({error})' if error else ''}{_because(decision)}"


def _took_up(decision: Document) -> str:
    return f"{_who(decision)} took up {text(decision, 'selected', 80) or 'its part'}{_because(decision)}"


def _budget(decision: Document) -> str:
    whose = text(decision, "selected", 80) or "the next call"
    return f"The budget of {whose} was {text(decision, 'outcome', 40)}{_because(decision)}"


def _breaker(decision: Document) -> str:
    to, state = text(decision, "selected", 80) or "a peer", text(decision, "outcome", 40)
    return f"The breaker of {_who(decision)} to {to} became {state}{_because(decision)}"


def _final(decision: Document) -> str:
    return f"The request ended as {text(decision, 'outcome', 40)}{_because(decision)}"


def _other(decision: Document) -> str:
    what = " ".join(filter(None, (about(decision), text(decision, "outcome", 60))))
    return f"{_who(decision)}, {text(decision, 'kind', 40) or 'something'}: {what}{_because(decision)}"


def _context(decision: Document) -> str:
    """What was given on, and what was not: an answer may be wrong for what is missing."""
    passed, omitted = rows(decision, "passed"), rows(decision, "omitted")
    words = []
    if passed:
        words.append(f"It was given {', '.join(text(each, 'key', 60) for each in passed)}")
    if omitted:
        kept = ", ".join(
            f"{text(each, 'key', 60)} ({text(each, 'why', 30) or 'no reason'})" for each in omitted
        )
        words.append(f"{'and not' if passed else 'It was not given'} {kept}")
    return _ended(", ".join(words)) if words else ""


_TELLERS: dict[str, Callable[[Document], str]] = {
    "plan": _plan,
    "route": _route,
    "agent_call": _asked,
    "tool_call": _read,
    "model_call": _model,
    "context": _took_up,
    "budget": _budget,
    "breaker": _breaker,
    "resolve_conflict": _settled,
    "gate": _judged,
    "review": _said,
    "effect": _done,
    "final": _final,
}
