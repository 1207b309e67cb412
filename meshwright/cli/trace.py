"""`meshwright trace`: who decided what and why, from the request to its outcome, as a tree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from meshwright.cli import keys
from meshwright.cli.chains import chain
from meshwright.cli.console import USAGE, Json, Trouble, emit, out
from meshwright.cli.decided import details, head, mood
from meshwright.cli.decided import tokens as used_tokens
from meshwright.cli.entrance import UrlOption, entrance
from meshwright.cli.home import DEFAULT, HomeOption
from meshwright.cli.received import Document, count, duration, names, number, part, rows, text

if TYPE_CHECKING:
    from pathlib import Path

    from rich.text import Text
    from rich.tree import Tree

    from meshwright.records.chain import Node

#: Levels that are drawn below one another; what is deeper is drawn at the last of them, so that a line has room.
LEVELS = 12

app = typer.Typer()


@app.command()
def trace(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="A run, its task, or a correlation id; else the last run.")
    ] = "",
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind: gate, tool_call, … (repeat, or a,b).")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="All that is known of each decision.")] = False,
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Every decision of a run: who, what, why, on which context, and what came of it."""
    wanted = kinds(kind or [])
    page = asyncio.run(_ask(home, url, run))
    if wanted:
        page["decisions"] = [each for each in rows(page, "decisions") if each.get("kind") in wanted]
    if json_:
        emit(page)
        return
    console = out()
    console.print(title(page))
    for line in notes(page):
        console.print(line)
    console.print(drawn(page, full=full))


def kinds(given: list[str]) -> set[str]:
    """Raises Trouble for one that does not exist."""
    from meshwright.records.decision import Kind

    known = get_args(Kind)
    wanted = {name.strip() for each in given for name in each.split(",") if name.strip()}
    for name in sorted(wanted - set(known)):
        raise Trouble(f"there is no kind {name!r}: choose from {', '.join(known)}", USAGE)
    return wanted


async def _ask(home: Path, url: str, run: str) -> dict[str, Any]:
    async with entrance(home, url, keys.OPERATOR) as mesh:
        return await chain(mesh, run)


def title(page: Document) -> Text:
    """The run in three lines: what it came to, and how large it was; what was asked; where else to look."""
    from rich.text import Text

    run, decisions = part(page, "run"), rows(page, "decisions")
    state = text(part(run, "report"), "outcome", 40) or text(run, "state", 40)
    began, ended = number(run, "started"), number(run, "ended")
    agents = {text(each, "agent") for each in decisions}
    tokens = max(_tokens(decisions, kind) for kind in ("model_call", "agent_call"))
    facts = [
        duration((ended - began) * 1000) if began and ended else "",
        f"{count(len(decisions), 'decision')} of {count(len(agents), 'agent')}",
        count(tokens, "token") if tokens else "",
    ]
    style, mark = mood(state)
    lines = Text.assemble(
        (f"{mark} ", style),
        ("run ", "dim"),
        (text(run, "id") or "?", "bold"),
        (f"  {state}", style),
        (f"  {' · '.join(fact for fact in facts if fact)}", "dim"),
    )
    for label, words in (
        ("request", text(run, "request", 400)),
        ("asked by", text(run, "caller", 80)),
        ("correlation", text(run, "correlation", 80)),
        ("spans", text(part(page, "links"), "trace")),
    ):
        if words:
            lines.append(f"\n{label} ", "dim").append(words)
    return lines


def _tokens(decisions: list[Document], kind: str) -> float:
    """What models used, by their own rows, or by what the agents that were asked say; the same tokens stand in both."""
    first = text(decisions[0], "task") if decisions else ""
    some = [
        d for d in decisions if d.get("kind") == kind and (kind == "model_call" or d.get("task") == first)
    ]
    return sum(map(used_tokens, some))


def notes(page: Document) -> Iterator[Text]:
    """What keeps this from being the whole truth."""
    from rich.text import Text

    for gone in rows(page, "missing"):
        many, agent = len(names(gone, "ids")), text(gone, "agent", 60) or "an agent"
        why = text(gone, "why", 200) or "it does not say why"
        yield Text(f"! {count(many, 'decision')} of {agent} cannot be had: {why}", "yellow")
    if page.get("intact") is False:
        yield Text("✗ this is not what was decided: the log has another hash of it", "red")
    if not rows(page, "decisions"):
        yield Text("no decisions are known of it", "dim")


def drawn(page: Document, *, full: bool = False) -> Tree:
    """The tree, without a line for its root."""
    from rich.tree import Tree

    from meshwright.records.chain import tree

    root = Tree("", hide_root=True, guide_style="dim")
    roots = tree(rows(page, "decisions"))
    for node in sorted(
        roots, key=lambda node: node.decision.get("kind") == "final"
    ):  # it began with the run, and is its end
        _draw(root, node, "", 1, full=full)
    return root


def _draw(branch: Tree, node: Node, above: str, level: int, *, full: bool) -> None:
    label = head(node.decision, above)
    for line in details(node.decision, full=full):
        label.append("\n  ").append_text(line)
    agent = text(node.decision, "agent", 60)
    lower = branch.add(label)
    for each in node.below:
        _draw(lower if level < LEVELS else branch, each, agent, level + 1, full=full)
