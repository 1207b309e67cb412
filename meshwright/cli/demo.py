"""`meshwright demo`: a mesh comes up, works through twelve tickets of its own world, and goes down again.

For each ticket it shows the plan, who was asked and why, what was decided and what was done.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from meshwright.cli import ask, keys, reports, surroundings, topology, up
from meshwright.cli.answer import Answer
from meshwright.cli.console import FAILED, Json, Trouble, emit, err, out, plain
from meshwright.cli.display import display
from meshwright.cli.entrance import Entrance
from meshwright.cli.home import Home, Running
from meshwright.cli.topology import BASE_PORT, Mesh, MeshOption

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Told:
    """One ticket and what became of it."""

    ticket: str
    outcome: str
    report: dict[str, Any]
    seconds: float


@app.command()
def demo(
    home: Annotated[
        Path | None, typer.Option("--home", help="Keep everything here; else in a folder that goes away.")
    ] = None,
    ports: up.PortsOption = BASE_PORT,
    seed: Annotated[int, typer.Option(help="Another number, other tickets.")] = 7,
    deadline: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds the mesh has for each ticket.")
    ] = 30.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the mesh running until Ctrl-C.")] = False,
    mesh: MeshOption = None,
    json_: Json = False,
) -> None:
    """Start a mesh, watch it work through twelve tickets, and stop it."""
    began = time.monotonic()
    team = topology.load(mesh)
    up.require_settings()
    up.ticket_teller(team)
    folder = home or Path(tempfile.mkdtemp(prefix="meshwright-demo-"))
    base = surroundings.free_base(team, ports)
    told = up.begin(_perform(team, Home.at(folder), base, seed, deadline, began, keep=keep, as_json=json_))
    if home is None:  # after a failure it stays: the error names a log in it
        shutil.rmtree(folder, ignore_errors=True)
    if told is None or any(each.outcome == "failed" for each in told):
        raise typer.Exit(FAILED)


async def _perform(
    mesh: Mesh, home: Home, base: int, seed: int, deadline: float, began: float, *, keep: bool, as_json: bool
) -> list[Told]:
    screen = display(mesh, base, quiet=as_json)
    async with up.mesh_running(mesh, home, base, screen, began=began) as (running, supervisor):
        requests = up.tickets(mesh, home, seed)
        if not as_json:
            out().print(f"[green]●[/] {up.healthy_words(mesh, running)}")
        started = time.monotonic()
        told = await _tell(requests, running, home, deadline, as_json=as_json)
        if as_json:
            _emit(told, running, time.monotonic() - started)
        else:
            _summary(told, time.monotonic() - started)
        if keep:
            err().print(f"still running: meshwright agents --home {home.path}; Ctrl-C stops it", markup=False)
            try:
                await supervisor.stay()
            except asyncio.CancelledError:
                err().print("stopped")
    return told


async def _tell(
    requests: list[str], running: Running, home: Home, deadline: float, *, as_json: bool
) -> list[Told]:
    """Put the tickets to the mesh, one after the other, showing each as it is answered."""
    told = []
    door = Entrance(running.url, lambda name: keys.bearer(home, keys.CUSTOMER, name), running.entry)
    async with door as mesh:
        for number, ticket in enumerate(requests, 1):
            began = time.monotonic()
            if not as_json:
                _announce(number, len(requests), ticket)
            try:
                with ask.progress(quiet=as_json) as said:
                    answer = await mesh.ask(ticket, deadline, said)
            except Trouble as error:
                answer = Answer(state="FAILED", notice=str(error))
            outcome = ask.outcome_of(answer)
            report = answer.report or {"outcome": outcome, "reply": answer.text or answer.notice}
            told.append(Told(ticket, outcome, report, time.monotonic() - began))
            if not as_json:
                ask.show(answer, outcome)
    return told


def _announce(number: int, total: int, ticket: str) -> None:
    from rich.rule import Rule
    from rich.text import Text

    console = out()
    console.print()
    console.print(Rule(Text(f"{number} of {total}", "bold"), align="left", style="dim"))
    console.print(Text(plain(ticket), "italic"))


def _summary(told: list[Told], seconds: float) -> None:
    from rich import box
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    table.add_column("ticket", no_wrap=True, overflow="ellipsis")
    table.add_column("outcome", no_wrap=True)
    for name in ("agents", "tools", "conflicts", "applied", "reviews", "gaps", "seconds"):
        table.add_column(name, justify="right")
    totals: Counter[str] = Counter()
    for each in told:
        counts = reports.counts(each.report)
        totals.update(counts)
        numbers = [
            str(counts[key] or "") for key in ("agents", "tools", "conflicts", "applied", "reviews", "gaps")
        ]
        table.add_row(
            Text(_gist(each.ticket)), reports.outcome_mark(each.outcome), *numbers, f"{each.seconds:.1f}"
        )
    console = out()
    console.print()
    console.print(Rule(Text("summary", "bold"), align="left", style="dim"))
    console.print(table)
    outcomes = Counter(reports.OUTCOMES.get(each.outcome, ("", each.outcome))[1] for each in told)
    what = ", ".join(f"{count} {words}" for words, count in outcomes.most_common())
    console.print(
        f"{len(told)} tickets in {seconds:.1f} s: {what}; {totals['agents']} questions to agents, "
        f"{totals['tools']} tool calls, {totals['applied']} changes applied, each with a recorded decision",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def _gist(ticket: str, length: int = 58) -> str:
    """A ticket in one short line. Most begin with who is writing; what they want comes after."""
    flat = " ".join(plain(ticket).split())
    _, _, rest = flat.partition(". ")
    wanted = rest or flat
    return wanted if len(wanted) <= length else wanted[: length - 1] + "…"


def _emit(told: list[Told], running: Running, seconds: float) -> None:
    emit(
        {
            "healthy_s": running.healthy_s,
            "seconds": round(seconds, 2),
            "outcomes": dict(Counter(each.outcome for each in told)),
            "tickets": [
                {"ticket": each.ticket, "seconds": round(each.seconds, 2), **each.report} for each in told
            ],
        }
    )
