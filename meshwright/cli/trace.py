"""`meshwright trace`: who decided what and why, from the request to its outcome, as a tree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from meshwright.cli import keys
from meshwright.cli.chains import chain
from meshwright.cli.console import USAGE, Json, Trouble, emit, out
from meshwright.cli.decided import MARKS, details, flat, head
from meshwright.cli.entrance import UrlOption, entrance
from meshwright.cli.home import DEFAULT, HomeOption
from meshwright.explaining import outcome, plain
from meshwright.explaining.plain import Document
from meshwright.explaining.steps import outline

if TYPE_CHECKING:
    from pathlib import Path

    from rich.text import Text
    from rich.tree import Tree

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
        page["decisions"] = [each for each in plain.rows(page, "decisions") if each.get("kind") in wanted]
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

    run = outcome.head(page, outline(plain.members(page, "decisions")), time.time())
    style, mark = MARKS[run.tone]
    facts = [
        plain.duration(run.ms / 1000) if run.ms else "",
        f"{plain.many(run.decisions, 'decision')} of {plain.many(run.agents, 'agent')}",
        plain.many(run.tokens, "token") if run.tokens else "",
    ]
    lines = Text.assemble(
        (f"{mark} ", style),
        ("run ", "dim"),
        (run.id or "?", "bold"),
        (f"  {run.outcome}", style),
        (f"  {' · '.join(fact for fact in facts if fact)}", "dim"),
    )
    for label, words in (
        ("request", flat(run.request, 400)),
        ("asked by", run.caller),
        ("correlation", run.correlation),
        ("spans", run.trace_link),
    ):
        if words:
            lines.append(f"\n{label} ", "dim").append(words)
    return lines


def notes(page: Document) -> Iterator[Text]:
    """What keeps this from being the whole truth."""
    from rich.text import Text

    for gone in outcome.missing(page):
        yield Text(f"! {gone.words}: {flat(gone.why, 200)}", "yellow")
    if page.get("intact") is False:
        yield Text("✗ this is not what was decided: the log has another hash of it", "red")
    if not plain.rows(page, "decisions"):
        yield Text("no decisions are known of it", "dim")


def drawn(page: Document, *, full: bool = False) -> Tree:
    """The tree, without a line for its root."""
    from rich.tree import Tree

    root = Tree("", hide_root=True, guide_style="dim")
    branches = [root]
    for step in outline(plain.members(page, "decisions"), LEVELS - 1):
        label = head(step)
        for line in details(step, full=full):
            label.append("\n  ").append_text(line)
        del branches[step.depth + 1 :]
        branches.append(branches[-1].add(label))
    return root
