"""How one run looks: the answer, who was asked and why, what was decided and what was done.

Reports come over the wire from a mesh that may be newer or older than this CLI, so every field is optional
here, and text from outside is shown as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from meshwright.cli.console import plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text
    from rich.tree import Tree

OUTCOMES = {
    "done": ("green", "done"),
    "waiting": ("yellow", "waits for a person"),
    "escalated": ("yellow", "handed to a person"),
    "degraded": ("yellow", "answered, with gaps"),
    "failed": ("red", "failed"),
}
_BREAKERS = {"closed": "dim", "half-open": "yellow"}
#: Columns a reply is set in at most: longer lines are hard to read.
READABLE = 100
_STEPS = {
    "answered": ("green", "●"),
    "stand-in": ("yellow", "◐"),
    "gap": ("red", "○"),
    "failed": ("red", "✗"),
}
_DECISIONS = {"apply": ("green", "✓"), "review": ("yellow", "?"), "reject": ("red", "✗")}


def outcome_mark(outcome: str) -> Text:
    """An outcome in its colour, in words."""
    from rich.text import Text

    style, words = OUTCOMES.get(outcome, ("", outcome or "unknown"))
    return Text(words, style)


def reply(text: str, outcome: str) -> RenderableType:
    """The answer that went to the customer, framed in the colour of the outcome."""
    from rich import box
    from rich.constrain import Constrain
    from rich.panel import Panel
    from rich.text import Text

    style, _ = OUTCOMES.get(outcome, ("", ""))
    body = Text(plain(text) or "(no reply)", "" if text else "dim")
    title = outcome_mark(outcome)
    frame = Panel(
        body, title=title, title_align="left", border_style=style or "none", box=box.ROUNDED, padding=(0, 1)
    )
    return Constrain(frame, READABLE)


def explanation(report: dict[str, Any]) -> Tree:
    """Why the run came out as it did: plan and agents, conflicts, verdicts, effects, gaps.

    Empty parts are left out.
    """
    from rich.text import Text
    from rich.tree import Tree

    head = [part for part in (report.get("topic"), report.get("urgency"), _ms(report.get("ms"))) if part]
    tree = Tree(
        Text.assemble(
            ("run ", "dim"), plain(report.get("id", "?")), (f"  {' · '.join(map(plain, head))}", "dim")
        )
    )
    _steps(tree, report)
    _section(tree, "disagreements", (_conflict(each) for each in _list(report, "conflicts")))
    _section(tree, "decided at the gate", (_verdict(each) for each in _list(report, "verdicts")))
    _section(tree, "applied", (_effect(each) for each in _list(report, "applied")))
    _section(tree, "not answered", (_gap(each) for each in _list(report, "gaps")))
    return tree


def counts(report: dict[str, Any]) -> dict[str, int]:
    """What a summary adds up: steps, tool calls, conflicts, effects, reviews, gaps."""
    steps = _list(report, "steps")
    return {
        "agents": len(steps),
        "tools": sum(len(step.get("tools") or []) for step in steps),
        "conflicts": len(_list(report, "conflicts")),
        "applied": len(_list(report, "applied")),
        "reviews": sum(verdict.get("decision") == "review" for verdict in _list(report, "verdicts")),
        "gaps": len(_list(report, "gaps")),
    }


def _steps(tree: Tree, report: dict[str, Any]) -> None:
    """The plan as it went: each subtask with who did it; then those that were planned and never begun."""
    from rich.text import Text

    plan = {str(each.get("id")): each for each in _list(report, "plan")}
    steps = _list(report, "steps")
    if not plan and not steps:
        return
    branch = tree.add(Text("asked", "bold"))
    for step in steps:
        _step(branch, step, plan.pop(str(step.get("subtask")), {}))
    for left in plan.values():
        branch.add(
            Text.assemble(
                ("· ", "dim"), (f"{plain(left.get('skill', ''))}", "cyan"), ("  never begun", "dim")
            )
        )


def _step(branch: Tree, step: dict[str, Any], planned: dict[str, Any]) -> None:
    """Who did it, and below: what they were asked, why they, what they used, who else was tried."""
    from rich.text import Text

    style, mark = _STEPS.get(str(step.get("outcome")), ("", "·"))
    skill, why = plain(step.get("skill") or ""), plain(step.get("why") or "")
    offers = why == f"offers {skill}"  # the plain case needs no line of its own
    node = branch.add(
        Text.assemble(
            (f"{mark} ", style),
            (plain(step.get("peer") or "nobody"), "bold"),
            ("  offers " if offers else "  ", "dim"),
            (skill, "cyan"),
            ("  " + " · ".join(_remarks(step)), "dim"),
        )
    )
    attempts = [a for a in step.get("attempts") or [] if isinstance(a, dict)]
    tried = [_tried(str(a.get("peer")), str(a.get("outcome")), a.get("ms")) for a in attempts]
    for label, value in (
        ("asked for", planned.get("instruction")),
        ("why", "" if offers else why),
        ("tools", ", ".join(map(str, step.get("tools") or []))),
        ("tried", ", ".join(tried) if len(tried) > 1 else ""),
        ("lacks", ", ".join(map(str, step.get("degraded") or []))),
    ):
        if value:
            node.add(_line(label, value))


def _tried(peer: str, outcome: str, ms: Any) -> str:
    """Errors begin with the name of whoever they are about; it is said once."""
    return f"{peer} {outcome.removeprefix(f'{peer}: ')} {_ms(ms)}".strip()


def _remarks(step: dict[str, Any]) -> list[str]:
    outcome = str(step.get("outcome", ""))
    shown = [outcome] if outcome not in ("", "answered") else []
    return [plain(each) for each in (*shown, step.get("mode"), _ms(step.get("ms"))) if each]


def _conflict(conflict: dict[str, Any]) -> Text:
    """Both sides, each with who stands for it; what was chosen, and how. Older reports hold the sides as lines of text."""
    from rich.text import Text

    text = Text.assemble((plain(conflict.get("about", "")), "bold"))
    sides = [_side(side) for side in _list(conflict, "sides")]
    sides += [Text(plain(line)) for line in conflict.get("candidates") or []]
    for side in sides:
        text.append("\n  ").append_text(side)
    chosen = _chosen(conflict)
    text.append("\n  → ").append_text(chosen or Text("nothing", "yellow"))
    if conflict.get("strategy") and chosen:
        text.append(f"  by {plain(conflict['strategy'])}", "dim")
    return text.append_text(_why(conflict.get("why")))


def _side(side: dict[str, Any]) -> Text:
    from rich.text import Text

    said = call(side) if side.get("action") else Text(plain(side.get("value", "")))
    sources = dict.fromkeys(plain(e.get("source", "")) for e in _list(side, "evidence"))
    sure = side.get("confidence")
    notes = [f"{sure:.0%} sure"] if isinstance(sure, int | float) else []
    return Text.assemble(
        (f"{plain(side.get('agent') or 'an agent')}: ", "cyan"),
        said,
        (f"  {', '.join([*notes, *sources])}" if notes or sources else "", "dim"),
    )


def _chosen(conflict: dict[str, Any]) -> Text | None:
    """What was chosen, as it would be called where it is an action; None where nobody chose."""
    from rich.text import Text

    name = conflict.get("chosen")
    if not name:
        return None
    actions = [side for side in _list(conflict, "sides") if side.get("fingerprint") == name]
    chosen = call(actions[0]) if actions else Text(plain(name))
    chosen.stylize("green")
    return chosen


def _verdict(verdict: dict[str, Any]) -> Text:
    from rich.text import Text

    style, mark = _DECISIONS.get(str(verdict.get("decision")), ("", "·"))
    because = ": ".join(plain(verdict[key]) for key in ("why", "policy") if verdict.get(key))
    return Text.assemble(
        (f"{mark} {plain(verdict.get('decision', ''))} ", style),
        call(verdict),
        f"  {money(verdict.get('amount'))}" if verdict.get("amount") is not None else "",
        (
            f"  {plain(verdict['state'])}"
            if verdict.get("state") and verdict.get("decision") == "review"
            else "",
            "dim",
        ),
        (f"\n{because}" if because else "", "dim"),
    )


def _effect(effect: dict[str, Any]) -> Text:
    from rich.text import Text

    again = ("  (was applied before, not again)", "dim") if effect.get("replayed") else ""
    said = plain(effect.get("summary") or "")
    return Text.assemble(("✓ ", "green"), said or call(effect), again)


def _gap(gap: dict[str, Any]) -> Text:
    from rich.text import Text

    return Text.assemble(("○ ", "red"), plain(gap.get("what", "")), _why(gap.get("why")))


def call(action: dict[str, Any]) -> Text:
    """An action as it would be called: `cancel_order(order_id='#W1')`.

    Exactly the arguments, escaped, nothing hidden.
    """
    from rich.text import Text

    arguments = ", ".join(f"{key}={value!r}" for key, value in (action.get("arguments") or {}).items())
    return Text.assemble((plain(action.get("action", "?")), "bold"), plain(f"({arguments})"))


def breaker(row: dict[str, Any]) -> Text:
    """How a peer's breaker stands: `open · 3 transport, 2 timeout · asked again in 4.2 s`."""
    from rich.text import Text

    state, found = plain(row.get("breaker", "")), row.get("health")
    health: dict[str, Any] = found if isinstance(found, dict) else {}
    failures, wait = health.get("failures"), health.get("retry_in")
    said = [state]
    if isinstance(failures, dict) and failures:
        said.append(", ".join(f"{plain(count)} {plain(name)}" for name, count in failures.items()))
    if health.get("overloaded"):
        said.append("overloaded")
    if isinstance(wait, int | float) and wait > 0:
        said.append(f"asked again in {wait:.1f} s")
    style = "yellow" if health.get("overloaded") and state == "closed" else _BREAKERS.get(state, "red")
    return Text(" · ".join(said), style)


def money(cents: Any) -> str:
    """Cents as an amount of money; whatever is not a number as it is."""
    return f"{cents / 100:,.2f}" if isinstance(cents, int | float) else plain(cents)


def _section(tree: Tree, title: str, lines: Iterable[Text]) -> None:
    from rich.text import Text

    rows = list(lines)
    if rows:
        branch = tree.add(Text(title, "bold"))
        for row in rows:
            branch.add(row)


def _line(label: str, value: Any) -> Text:
    from rich.text import Text

    return Text.assemble((f"{label}: ", "dim"), plain(value))


def _why(why: Any) -> Text:
    from rich.text import Text

    return Text(f"  {plain(why)}" if why else "", "dim")


def _list(report: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = report.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _ms(value: Any) -> str:
    if not isinstance(value, int | float):
        return ""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"
