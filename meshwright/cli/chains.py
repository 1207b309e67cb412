"""The chain of decisions of a run, asked of the mesh by any name that somebody has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshwright.cli.console import Missing, Trouble
from meshwright.cli.entrance import segment
from meshwright.explaining.plain import Document, rows, word

if TYPE_CHECKING:
    from meshwright.cli.entrance import Entrance

#: Runs that are looked through for a name that is none of a run; the mesh gives no more at once.
MANY = 500
#: Letters of an id from which on it may be the beginning of one.
ENOUGH = 4


async def chain(mesh: Entrance, name: str = "") -> dict[str, Any]:
    """By the id of a run, of its task, of the correlation, the first letters of one, or words that only one request has; else the last.

    Raises Missing where there is none, Trouble where there is more than one.
    """
    if not name:
        latest = rows(await mesh.look("/runs", limit=1), "runs")
        if not latest:
            raise Missing('there are no runs yet: begin one with `meshwright ask "..."`')
        return await of_run(mesh, word(latest[0], "id"))
    try:
        return await of_run(mesh, name)
    except Missing:
        found = await _named(mesh, name)
        if not found:
            raise Missing(f"nothing is known of {name!r}: `meshwright runs` lists what is") from None
    return await of_run(mesh, found)


async def of_run(mesh: Entrance, run: str) -> dict[str, Any]:
    """By the id of a run and nothing else. Raises Missing."""
    page = await mesh.look(f"/runs/{segment(run)}/chain")
    if not isinstance(page.get("decisions"), list):
        raise Trouble(f"{mesh.url} tells of no decisions: is it an older mesh? see `meshwright runs {run}`")
    return page


async def _named(mesh: Entrance, name: str) -> str:
    """The run with this name for its task or correlation, or whose id begins with it, or the only one with these words; empty for none.

    Raises Trouble where there is more than one.
    """
    alike = 0
    for query in ({"q": name}, {}):
        known = rows(await mesh.look("/runs", limit=MANY, **query), "runs")
        if exact := [row for row in known if name in _ids(row)]:
            return word(exact[0], "id")
        begun = [row for row in known if len(name) >= ENOUGH and any(i.startswith(name) for i in _ids(row))]
        if len(begun) > 1:
            raise Trouble(f"{len(begun)} runs begin with {name!r}: give more of the id")
        if begun or (query and len(known) == 1):  # one whose task, or only words, it names
            return word((begun or known)[0], "id")
        alike = len(known) if query else alike
    if alike > 1:
        raise Trouble(f"{alike} requests have {name!r} in them: say more of the words, or an id")
    return ""


def _ids(row: Document) -> set[str]:
    return {word(row, key) for key in ("id", "task_id", "correlation")} - {""}
