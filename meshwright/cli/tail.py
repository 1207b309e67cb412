"""`meshwright tail`: what the mesh decides, as it decides it, one line each, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import typer

from meshwright.cli import keys
from meshwright.cli.chains import of_run
from meshwright.cli.console import Json, Missing, Trouble, emit, err, out
from meshwright.cli.decided import flat, head, mood
from meshwright.cli.entrance import Entrance, UrlOption, entrance
from meshwright.cli.home import DEFAULT, HomeOption
from meshwright.explaining.plain import Document, moment, rows, word
from meshwright.explaining.sentences import reason_of
from meshwright.explaining.steps import step

#: Runs that are watched at most, the newest; the mesh is asked for the chains of so many of them at once.
MANY, AT_ONCE = 100, 4
#: Runs at work whose new decisions are asked for with each look, the newest; of the others one hears when they come to rest.
FOLLOWED = 20
#: Seconds between two looks while the mesh does not answer, at most.
LONGEST = 5.0
#: Letters of a run's id in a line.
SHORT = 8

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Event:
    """Something new: a run that began or came to rest, a decision of one, or the mesh that went away or came back."""

    what: Literal["run", "decision", "mesh"]
    run: Document = field(default_factory=dict)
    decision: Document = field(default_factory=dict)
    says: str = ""

    @property
    def row(self) -> dict[str, Any]:
        named = {"event": self.what, "run": dict(self.run) if self.what == "run" else word(self.run, "id")}
        more: dict[str, Any] = {"decision": dict(self.decision)} if self.decision else {}
        return {**named, **more, **({"says": self.says} if self.says else {})}


@app.command()
def tail(
    every: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between two looks.")] = 1.0,
    since: Annotated[int, typer.Option(min=0, max=MANY, help="So many of the last runs first.")] = 0,
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Follow the mesh: new runs and their decisions as they come. Ctrl-C ends it; a restart of the mesh does not."""

    async def follow() -> None:
        async with entrance(home, url, keys.OPERATOR) as mesh:
            await mesh.look("/runs", limit=1)  # whoever is not let in, or nowhere, hears it at once
            async for event in events(mesh, every, since):
                say(event)

    say: Callable[[Event], None] = _as_json if json_ else _as_line
    try:
        asyncio.run(follow())
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # whoever read has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def events(mesh: Entrance, every: float, since: int = 0) -> AsyncIterator[Event]:
    """All that happens from now on, and in the last `since` runs; nothing twice. Ends only when it is cancelled."""
    watched = Watched()
    lost, pause, first = "", every, True
    while True:
        try:
            async for event in watched.news(mesh, since if first else None):
                if lost:
                    yield Event("mesh", says="is back")
                    lost = ""
                yield event
            if lost:
                yield Event("mesh", says="is back")
            lost, pause, first = "", every, False
        except Trouble as trouble:
            if not lost:
                yield Event("mesh", says=str(trouble))
            lost, pause = str(trouble), min(pause * 1.5, max(LONGEST, every))
        await asyncio.sleep(pause)


class Watched:
    """The runs that are followed: how each stood, and which of its decisions were told."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, str] = OrderedDict()
        self._told: dict[str, set[str]] = {}

    @property
    def remembered(self) -> int:
        """Of how many runs something is known."""
        return max(len(self._states), len(self._told))

    async def news(self, mesh: Entrance, since: int | None) -> AsyncIterator[Event]:
        """What is new. With `since` it is the first look: only so many of the runs that have ended are told. Raises Trouble."""
        page = rows(await mesh.look("/runs", limit=MANY), "runs")[::-1]  # the oldest first
        moved: list[tuple[Document, bool]] = []
        for place, row in enumerate(page):
            run, state = word(row, "id"), word(row, "state")
            if not run:
                continue
            new = run not in self._states
            old = since is not None and state != "working" and place < len(page) - since
            if not old and (new or state == "working" or self._states[run] != state):
                moved.append((row, new or self._states[run] != state))
            self._states[run] = state
            self._states.move_to_end(run)
        idle = [each for each in moved if not each[1]][:-FOLLOWED]
        moved = [each for each in moved if each not in idle]
        while len(self._states) > 2 * MANY:
            gone, _ = self._states.popitem(last=False)
            self._told.pop(gone, None)
        for start in range(0, len(moved), AT_ONCE):
            some = moved[start : start + AT_ONCE]
            pages = await asyncio.gather(*(self._chain(mesh, word(row, "id")) for row, _ in some))
            for (row, turned), decisions in zip(some, pages, strict=True):
                began = word(row, "state") == "working"
                if turned and began:
                    yield Event("run", row)
                for each in self._new(word(row, "id"), decisions):
                    yield Event("decision", row, each)
                if turned and not began:
                    yield Event("run", row)

    async def _chain(self, mesh: Entrance, run: str) -> list[Document]:
        with contextlib.suppress(Missing):  # gone since it was listed
            return rows(await of_run(mesh, run), "decisions")
        return []

    def _new(self, run: str, decisions: list[Document]) -> list[Document]:
        told = self._told.setdefault(run, set())
        fresh = [each for each in decisions if word(each, "id") not in told]
        told |= {word(each, "id") for each in fresh}
        return sorted(fresh, key=lambda each: moment(each.get("at")))


def _as_json(event: Event) -> None:
    emit(event.row)


def _as_line(event: Event) -> None:
    """`12:00:01 r1a2b3c4 ✓ orders tool_call  get_order(order_id="#W1")`."""
    from rich.text import Text

    if event.what == "mesh":
        err().print(f"{_wall(time.time())} {event.says}", style="yellow", markup=False, soft_wrap=True)
        return
    run = (word(event.run, "id")[:SHORT] or "?").ljust(SHORT)
    if event.what == "run":
        state = word(event.run, "state", 40)
        style, mark = mood(state)
        began = moment(event.run.get("ended" if state != "working" else "started"))
        line = Text.assemble(
            (f"{mark} ", style),
            ("run ", "bold"),
            (state, style),
            (f"  {word(event.run, 'request', 100)}" if state == "working" else "", "dim"),
        )
    else:
        decided = step(event.decision)
        began, line = decided.at, head(decided)
        if why := reason_of(decided):
            line.append(f"  {flat(why, 100)}", "dim")
    stamped = Text.assemble((f"{_wall(began or time.time())} ", "dim"), (f"{run} ", "magenta"), line)
    out().print(stamped, soft_wrap=True)
    sys.stdout.flush()


def _wall(at: float) -> str:
    """An instant as the clock on the wall here."""
    return time.strftime("%H:%M:%S", time.localtime(at))
