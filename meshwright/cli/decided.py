"""How one decision looks on a terminal: a line that says what was decided and what came of it, and what stands below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from meshwright.cli.received import (
    Document,
    call,
    clean,
    count,
    document,
    duration,
    names,
    number,
    part,
    rows,
    text,
)

if TYPE_CHECKING:
    from rich.text import Text


class Line(Protocol):
    def __call__(self, label: str, words: str, style: str = "") -> None: ...


#: What an outcome is, for whoever looks: it went well, it did not, or somebody or something is waited for.
_GOOD = {
    "allow",
    "answered",
    "applied",
    "approve",
    "approved",
    "chosen",
    "closed",
    "done",
    "ok",
    "planned",
    "settled",
    "wants-tools",
}
_POOR = {
    "asked", "called-off", "cold", "cut", "defer", "degraded", "edit", "edited", "escalate", "escalated", "half-open",
    "nothing-to-ask", "open", "partly", "postponed", "review", "stand-in", "unknown", "unread", "waiting", "withdrawn",
}  # fmt: skip
_BAD = {
    "answered-badly", "block", "cancelled", "dropped", "expired", "failed", "gap", "lost", "nobody", "not-asked",
    "overloaded", "refused", "reject", "rejected", "timed-out", "unreachable",
}  # fmt: skip
_STYLES = {"good": ("green", "✓"), "poor": ("yellow", "!"), "bad": ("red", "✗"), "": ("", "·")}
#: Characters of a reason, and of arguments or results, where not all of it is wanted.
BRIEF, EXCERPT = 110, 140
#: Characters of either where all of it is wanted: the mesh keeps no more.
ALL = 4_000


def mood(outcome: str) -> tuple[str, str]:
    """Style and mark of an outcome. One that is not known has none."""
    word = outcome.lower()
    return _STYLES["good" if word in _GOOD else "poor" if word in _POOR else "bad" if word in _BAD else ""]


def head(decision: Document, above: str = "") -> Text:
    """The line. `above` is the agent that is named already, in the line above."""
    from rich.text import Text

    outcome, agent = text(decision, "outcome", 60), text(decision, "agent", 60)
    style, mark = mood(outcome)
    line = Text.assemble((f"{mark} ", style))
    if agent and agent != above:
        line.append(f"{agent} ", "bold")
    line.append(text(decision, "kind", 40) or "decision", "cyan")
    if subject := about(decision):
        line.append(f"  {subject}")
    if outcome:
        line.append(f"  {outcome}", style)
    if measured := measures(decision):
        line.append(f"  {' · '.join(measured)}", "dim")
    return line


def about(decision: Document) -> str:
    """What a decision is about, in a few words."""
    kind, chosen, used = text(decision, "kind"), text(decision, "selected", 80), part(decision, "call")
    tool = text(used, "tool", 80)
    if tool:
        return call(tool, used.get("arguments"), 80)
    if kind == "gate" and chosen and "arguments" in part(decision, "more"):
        return call(chosen, part(decision, "more")["arguments"], 80)
    if kind == "plan" and (planned := parts(decision)):
        return f"{count(len(planned), 'part')}: {clean(', '.join(planned), 80)}"
    if kind == "resolve_conflict":
        return text(part(decision, "more"), "about", 80) or chosen
    if kind == "route":
        return f"{text(decision, 'subtask', 60) or 'it'} → {chosen or 'nobody'}"
    return chosen or text(decision, "subtask", 60)


def measures(decision: Document) -> list[str]:
    """How long, how much time was left when it began, what it used and was given."""
    left, given = number(decision, "deadline_ms"), number(decision, "tokens_given")
    used = tokens(decision)
    micros = number(decision, "micros") or 0
    found = [duration(number(decision, "ms") or None)]
    found.append(f"{duration(left)} left" if left is not None else "")
    if used:
        found.append(count(used, "token") + (f" of {given:,.0f}" if given else ""))
    found.append(f"${micros / 1_000_000:.4f}" if micros else "")
    return [each for each in found if each]


def tokens(decision: Document) -> float:
    """What it used: as it was counted here, or as an agent that was asked says."""
    counted = (number(decision, "tokens_in") or 0) + (number(decision, "tokens_out") or 0)
    return counted or number(part(decision, "more"), "tokens") or 0


def parts(decision: Document) -> list[str]:
    """What a plan is made of, by skill."""
    planned = rows(part(decision, "more"), "parts")
    return [text(each, "skill", 60) or text(each, "id", 60) or "a part" for each in planned]


def facts(decision: Document, most: int) -> list[str]:
    """What the gate looked up, each with the tool that told it."""
    found = []
    for name, fact in part(part(decision, "more"), "facts").items():
        told = fact if isinstance(fact, Mapping) else {}
        if told.get("told") == {} and most < ALL:
            continue  # it was looked up for the sake of others, and the rules see nothing of it
        tool = text(told, "tool", 60) or "a tool"
        said = (
            f"not told ({words})"
            if (words := text(told, "not_told", most))
            else document(told.get("told"), most)
        )
        found.append(f"{clean(name, 40)} by {tool}: {said}")
    return found


def details(decision: Document, *, full: bool = False) -> list[Text]:
    """What stands below the line; with `full` all that is known, else the part that says why."""
    from rich.text import Text

    found: list[Text] = []

    def line(label: str, words: str, style: str = "") -> None:
        if words:
            found.append(Text.assemble((f"{label} ", "dim"), (words, style)))

    most = ALL if full else BRIEF
    source = text(decision, "source", 20)
    line("why:" if source in ("", "code") else f"why ({source}):", text(decision, "reason", most))
    policy, risk = text(decision, "policy", 80), text(decision, "risk", 20)
    line("policy:", f"{policy}{f', {risk} risk' if risk else ''}" if policy else "")
    line("person:", text(decision, "person", 80))
    for option in rows(decision, "options"):
        name, why_not = text(option, "name", 80), text(option, "why_not", most)
        if name and name != text(decision, "selected"):
            line(f"not {name}:" if why_not else "or", why_not or name)
    for label, words, style in context(decision, full=full):
        line(label, words, style)
    _used(decision, line, ALL if full else EXCERPT)
    looked_up = facts(decision, most)
    for fact in looked_up if full else looked_up[:6]:
        line("fact", fact)
    for side in rows(decision, "sides"):
        found.append(_side(side, ALL if full else EXCERPT))
    line("on:", ", ".join(names(decision, "evidence")[: None if full else 6]))
    if full:
        _rest(decision, line)
    return found


def context(decision: Document, *, full: bool = False) -> list[tuple[str, str, str]]:
    """What was passed on and what was not, as label, words and style: counts, sizes, keys, and why something was withheld."""
    passed, omitted = rows(decision, "passed"), rows(decision, "omitted")
    found = []
    if passed:
        bytes_ = sum(number(each, "bytes") or 0 for each in passed)
        keys = [
            text(each, "key", 60) + (f" ({text(each, 'source', 60)})" if full and each.get("source") else "")
            for each in passed
        ]
        found.append((f"passed {len(passed)} ({bytes_:,.0f} B):", _few(keys, full=full), ""))
    if omitted:
        kept = [f"{text(each, 'key', 60)} ({text(each, 'why', 30) or 'no reason'})" for each in omitted]
        found.append((f"omitted {len(omitted)}:", _few(kept, full=full), "yellow"))
    return found


def _few(words: list[str], *, full: bool) -> str:
    shown = words if full else words[:6]
    more = f" and {len(words) - len(shown)} more" if len(shown) < len(words) else ""
    return f"{', '.join(shown)}{more}"


def _used(decision: Document, line: Line, most: int) -> None:
    """A tool: what it was given, where the line above has it cut, and what it returned."""
    used = part(decision, "call")
    if not used:
        return
    if len(document(used.get("arguments"), most)) > 60:
        line("given:", document(used.get("arguments"), most))
    if error := text(used, "error", most):
        line("error:", error, "red")
    elif used.get("result") is not None:
        line("→", document(used["result"], most))


def _side(side: Document, most: int) -> Text:
    from rich.text import Text

    agent, says, sure = (
        text(side, "agent", 60) or "an agent",
        text(side, "says", most),
        number(side, "confidence"),
    )
    said = call(says, side["arguments"], most) if side.get("arguments") is not None else says
    notes = [f"{sure:.0%} sure"] if sure is not None else []
    notes += names(side, "evidence")
    won = side.get("chosen") is True
    return Text.assemble(
        ("→ " if won else "  ", "green"),
        (f"{agent}: ", "bold" if won else ""),
        (said, "green" if won else ""),
        (f"  {', '.join(notes)}" if notes else "", "dim"),
    )


def _rest(decision: Document, line: Line) -> None:
    """What only whoever looks for it needs."""
    for name in ("strategy", "action", "remote", "id", "span"):
        line(f"{name}:", text(decision, name, 200))
    used = part(decision, "call")
    line("server:", text(used, "server"))
    if size := number(used, "bytes"):
        line("result:", f"{size:,.0f} B{f', {keyed}' if (keyed := text(used, 'keyed', 40)) else ''}")
    for key, value in part(decision, "more").items():
        if key == "facts":
            continue  # they stand above
        line(f"{clean(key, 40)}:", document(value, ALL))
