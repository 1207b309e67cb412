"""`meshwright why`: all that led to one action, and what came of it, in sentences."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshwright.cli import keys
from meshwright.cli.chains import ENOUGH, chain
from meshwright.cli.console import Json, Missing, Trouble, emit, out
from meshwright.cli.decided import MARKS, below, flat
from meshwright.cli.entrance import Entrance, UrlOption, entrance, segment
from meshwright.cli.home import DEFAULT, HomeOption
from meshwright.cli.trace import notes
from meshwright.explaining.plain import duration, many, members, part, rows, word
from meshwright.explaining.sentences import action_of, sentence
from meshwright.explaining.steps import outline, path
from meshwright.explaining.story import Story, story
from meshwright.records.chain import why as why_rows

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

app = typer.Typer()


@app.command()
def why(
    action: Annotated[
        str, typer.Argument(help="The key of an action, a review (its first letters do), or a run.")
    ],
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="With a run: which of its actions, such as cancel_order.")
    ] = "",
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Why an action was taken, or not: who proposed it, on what evidence, who disagreed, who let it pass."""

    async def ask() -> tuple[dict[str, Any], str]:
        async with entrance(home, url, keys.OPERATOR) as mesh:
            return await found(mesh, action, name)

    page, key = asyncio.run(ask())
    run = word(part(page, "run"), "id")
    told = story(page, key, time.time())
    if told is None or told.action is None:
        raise Missing(f"nothing is known of what led to {key}: see `meshwright trace {run}`")
    if json_:
        steps = path(members(page, "decisions"), key)
        lines = [{"id": each.said.id, "sentence": sentence(each)} for each in steps]
        rest = {"sentences": lines, "decisions": why_rows(rows(page, "decisions"), key)}
        emit({"run": run, "action": key, "outcome": told.action.code or "not decided", **rest})
        return
    console = out()
    console.print(title(told))
    for line in notes(page):
        console.print(line)
    console.print(in_order(told))


def title(told: Story) -> Text:
    """The question, what became of the action, and which one it is."""
    from rich.text import Text

    assert told.action is not None
    style, mark = MARKS[told.action.tone]
    return Text.assemble(
        (f"{mark} ", style),
        (told.title, "bold"),
        (f"  {told.action.outcome}", style),
        f"  {flat(told.action.arguments)}" if told.action.arguments else "",
        (f"  run {told.head.id}", "dim"),
    )


def in_order(told: Story) -> Table:
    """A sentence for each step with what it rested on, numbered, with the time since the first."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    began = told.tellings[0].step.at if told.tellings else 0.0
    for place, each in enumerate(told.tellings, 1):
        style, _ = MARKS[each.tone]
        words = Text.assemble((flat(each.sentence), style if style != "green" else ""))
        for line in below(each):
            words.append("\n  ").append_text(line)
        table.add_row(f"{place}.", f"+{duration(each.step.at - began)}", words)
    if told.left_out:
        more = many(told.left_out, "more step")
        table.add_row("", "", Text(f"{more} in `meshwright trace {told.head.id}`", "dim"))
    return table


async def found(mesh: Entrance, action: str, name: str) -> tuple[dict[str, Any], str]:
    """The chain in which the action is, and the action's key. Raises Trouble, which says what there is to choose from."""
    if name:
        return _one_of(await chain(mesh, action), name)
    try:
        page = await mesh.look(f"/actions/{segment(action)}")
        return await chain(mesh, word(page, "run")), word(page, "action") or action
    except Missing:
        pass
    if len(action) >= ENOUGH:
        reviews = rows(await mesh.look("/reviews", state="all", limit=1000), "reviews")
        begun = [row for row in reviews if word(row, "id").startswith(action)]
        if len(begun) > 1:
            raise Trouble(f"{len(begun)} reviews begin with {action!r}: give more of the id")
        if begun:
            return await chain(mesh, word(begun[0], "run")), word(begun[0], "id")
    return _one_of(await chain(mesh, action), "")


def _one_of(page: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    run = word(part(page, "run"), "id")
    known: dict[str, str] = {}
    for step in outline(members(page, "decisions")):
        if key := step.said.action:
            known[key] = known.get(key) or action_of(step)
    chosen = [key for key, tool in known.items() if not name or name in (tool, key)]
    if len(chosen) == 1:
        return page, chosen[0]
    if not known:
        raise Missing(f"run {run} proposed no action: see `meshwright trace {run}`")
    listed = "; ".join(f"{tool or 'an action'} is {key}" for key, tool in known.items())
    what = "of that" if name else "actions"
    raise Trouble(f"run {run} has {len(chosen) or 'none'} {what}: name one by its key ({listed})")
