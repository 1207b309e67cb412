"""`meshwright doctor`: what is wrong with this mesh, one line each, and what to do about it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import typer

from meshwright.cli import topology
from meshwright.cli.checkup.diagnosis import Diagnosis, Patient, examine
from meshwright.cli.console import FAILED, Json, Trouble, emit, out, plain
from meshwright.cli.entrance import UrlOption, entrance
from meshwright.cli.home import DEFAULT, Home, HomeOption
from meshwright.cli.topology import BASE_PORT, MeshOption
from meshwright.cli.up import PortsOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

MARKS = {"well": ("green", "✓"), "watch": ("yellow", "!"), "ill": ("red", "✗")}
#: Columns of a name, before what is said of it.
NAME = 22

app = typer.Typer()


@app.command(epilog="Exit code: 0 when nothing is ✗, 1 otherwise.")
def doctor(
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    ports: PortsOption = BASE_PORT,
    mesh: MeshOption = None,
    json_: Json = False,
) -> None:
    """What is wrong, one line each: settings, keys, processes, clocks, databases, exporter, model. Changes nothing."""
    place, team = Home.at(home), topology.load(mesh)
    running = place.running() if not url else None
    if running and (others := sorted(set(running.urls) - set(team.names))):
        raise Trouble(
            f"another mesh runs from {place.path} ({', '.join(others)} of it): name its file with --mesh"
        )
    found = asyncio.run(diagnosed(place, team, ports, url, os.environ))
    worst = sum(each.state == "ill" for each in found)
    if json_:
        emit({"well": not worst, "checks": [each.row for each in found]})
    else:
        show(found)
    if worst:
        raise typer.Exit(FAILED)


async def diagnosed(
    home: Home,
    mesh: topology.Mesh,
    base: int,
    url: str,
    environ: Mapping[str, str],
    transport: httpx.AsyncBaseTransport | None = None,
) -> list[Diagnosis]:
    """Everything that was looked at, in a fixed order. `transport` takes the place of the network."""
    import httpx

    from meshwright.cli.checkup import house, outside, processes, stores
    from meshwright.cli.checkup.diagnosis import ANSWER

    running = home.running() if not url else None
    entry = running.entry if running else mesh.entry
    settings, _ = house.readable(environ)
    async with (
        httpx.AsyncClient(timeout=ANSWER, transport=transport, trust_env=False) as inner,
        httpx.AsyncClient(timeout=ANSWER, transport=transport) as outward,
    ):

        async def look(path: str) -> dict[str, Any]:
            async with entrance(home.path, url, transport=transport) as mesh_:
                return await mesh_.look(path)

        urls = dict(running.urls) if running else await _reached(url.rstrip("/"), entry, look) if url else {}
        patient = Patient(home, mesh, base, environ, settings, entry, urls, inner, outward, look)
        return await examine(
            patient,
            [
                ("settings", house.settings),
                ("home", house.folder),
                ("keys", house.identity),
                ("ports", house.ports),
                ("processes", processes.processes),
                ("database", stores.databases),
                ("audit log", stores.audit),
                ("exporter", outside.exporter),
                ("model", outside.model),
                ("console", house.console),
            ],
        )


async def _reached(url: str, entry: str, look: Any) -> dict[str, str]:
    """The mesh behind an address: its entry, and whom that one knows."""
    urls = {entry: url}
    try:
        page = await look("/peers")
    except Trouble:
        return urls
    for row in [*(page.get("peers") or []), *(page.get("tools") or [])]:
        if isinstance(row, dict) and row.get("name") and row.get("url"):
            urls.setdefault(str(row["name"]), str(row["url"]))
    return urls


def show(found: list[Diagnosis]) -> None:
    """A line for each, the way out under what is not well."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, max_width=NAME)
    table.add_column(overflow="fold")
    for each in found:
        style, mark = MARKS[each.state]
        said = Text(plain(each.says), "dim" if each.state == "well" else "")
        if each.way_out:
            said.append(f"\n→ {plain(each.way_out)}", style)
        table.add_row(Text(mark, style), Text(plain(each.name), "bold"), said)
    console = out()
    console.print(table)
    counts = {state: sum(each.state == state for each in found) for state in MARKS}
    if counts["ill"]:
        verb = "is" if counts["ill"] == 1 else "are"
        console.print(f"{counts['ill']} of {len(found)} {verb} wrong", style="red")
    elif counts["watch"]:
        console.print(f"nothing is wrong; {counts['watch']} of {len(found)} worth a look", style="yellow")
    else:
        console.print("all is well", style="green")
