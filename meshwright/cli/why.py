"""`meshwright why`: all that led to one action, and what came of it, in sentences."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from meshwright.cli import keys
from meshwright.cli.chains import ENOUGH, chain
from meshwright.cli.console import Json, Missing, Trouble, emit, out
from meshwright.cli.decided import mood
from meshwright.cli.entrance import Entrance, UrlOption, entrance
from meshwright.cli.home import DEFAULT, HomeOption
from meshwright.cli.received import Document, number, part, rows, text
from meshwright.cli.sentences import sentence, subject
from meshwright.cli.trace import notes

if TYPE_CHECKING:
    from rich.table import Table

#: The kinds that say what became of an action, the last word last.
_WORDS = ("gate", "review", "effect")

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
    from meshwright.records.chain import why as path

    async def ask() -> tuple[dict[str, Any], str]:
        async with entrance(home, url, keys.OPERATOR) as mesh:
            return await found(mesh, action, name)

    page, key = asyncio.run(ask())
    steps: list[Document] = list(path(rows(page, "decisions"), key))
    steps.sort(key=lambda each: each.get("kind") == "final")  # it begins with the run, and is its end
    run = text(part(page, "run"), "id")
    if not steps:
        raise Missing(f"nothing is known of what led to {key}: see `meshwright trace {run}`")
    ended = outcome(steps, key)
    if json_:
        told = [{"id": text(each, "id"), "sentence": sentence(each)} for each in steps]
        emit({"run": run, "action": key, "outcome": ended, "sentences": told, "decisions": steps})
        return
    from rich.text import Text

    console, (style, mark) = out(), mood(ended)
    console.print(
        Text.assemble(
            (f"{mark} ", style), (subject(steps, key), "bold"), (f"  {ended}", style), (f"  run {run}", "dim")
        )
    )
    for line in notes({**page, "decisions": steps}):
        console.print(line)
    console.print(told_in_order(steps))


def outcome(steps: list[Document], key: str) -> str:
    """What became of it: the effect, else what people said, else what the gate said."""
    about = [each for each in steps if each.get("kind") in _WORDS]
    own = [each for each in about if each.get("action") == key] or about
    return max(
        (
            (_WORDS.index(text(each, "kind")), place, text(each, "outcome", 40))
            for place, each in enumerate(own)
        ),
        default=(0, 0, "not decided"),
    )[2]


def told_in_order(steps: list[Document]) -> Table:
    """A sentence for each, numbered, with the seconds since the first."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    began = number(steps[0], "at") or 0.0
    for place, each in enumerate(steps, 1):
        style, _ = mood(text(each, "outcome"))
        after = (number(each, "at") or began) - began
        table.add_row(f"{place}.", f"+{after:.2f} s", Text(sentence(each), style if style != "green" else ""))
    return table


async def found(mesh: Entrance, action: str, name: str) -> tuple[dict[str, Any], str]:
    """The chain in which the action is, and the action's key. Raises Trouble, which says what there is to choose from."""
    if name:
        return _one_of(await chain(mesh, action), name)
    try:
        page = await mesh.look(f"/actions/{quote(action, safe='')}")
        return await chain(mesh, text(page, "run")), text(page, "action") or action
    except Missing:
        pass
    if len(action) >= ENOUGH:
        reviews = rows(await mesh.look("/reviews", state="all", limit=1000), "reviews")
        begun = [row for row in reviews if text(row, "id").startswith(action)]
        if len(begun) > 1:
            raise Trouble(f"{len(begun)} reviews begin with {action!r}: give more of the id")
        if begun:
            return await chain(mesh, text(begun[0], "run")), text(begun[0], "id")
    return _one_of(await chain(mesh, action), "")


def _one_of(page: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    run = text(part(page, "run"), "id")
    known: dict[str, str] = {}
    for each in rows(page, "decisions"):
        if key := text(each, "action"):
            tool = text(part(each, "call"), "tool", 80) or text(each, "selected", 80)
            known[key] = known.get(key) or tool
    chosen = [key for key, tool in known.items() if not name or name in (tool, key)]
    if len(chosen) == 1:
        return page, chosen[0]
    if not known:
        raise Missing(f"run {run} proposed no action: see `meshwright trace {run}`")
    listed = "; ".join(f"{tool or 'an action'} is {key}" for key, tool in known.items())
    raise Trouble(f"run {run} has {len(chosen) or 'none'} of that: name one by its key ({listed})")
