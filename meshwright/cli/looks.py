"""`meshwright agents` and `runs`: looking at a mesh."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshwright.cli import reports
from meshwright.cli.console import Json, emit, out, plain
from meshwright.cli.entrance import UrlOption, entrance, segment
from meshwright.cli.home import DEFAULT, HomeOption

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

#: Columns of names that are to be copied: they are not broken, however narrow the terminal is.
_WHOLE = ("agent", "tool server", "run")
_STATUS = {"ready": "green", "cold": "cyan", "busy": "yellow", "stale": "yellow", "unknown": "dim"}

app = typer.Typer()


@app.command()
def agents(url: UrlOption = "", home: HomeOption = DEFAULT, json_: Json = False) -> None:
    """Who is in the mesh: cards, skills, health, breakers; and the tool servers."""
    page = _look(home, url, "/peers")
    if json_:
        emit(page)
        return
    from rich.text import Text

    table = _table("", "agent", "skills", "status", "breaker", "version", "address")
    for peer in page.get("peers", []):
        status = str(peer.get("status", ""))
        table.add_row(
            _mark(status),
            Text(plain(peer.get("name") or "?"), "bold"),
            Text(plain(", ".join(peer.get("skills") or [])), "cyan"),
            Text(
                plain(f"{status}: {peer['why']}" if peer.get("why") else status), _STATUS.get(status, "red")
            ),
            reports.breaker(peer),
            Text(plain(peer.get("version", "")), "dim"),
            Text(plain(peer.get("url", "")), "dim"),
        )
    out().print(table)
    tools = _table("", "tool server", "tools", "status", "breaker", "address")
    for server in page.get("tools", []):
        status = str(server.get("status", ""))
        tools.add_row(
            _mark(status),
            Text(plain(server.get("name") or "?"), "bold"),
            Text(plain(", ".join(server.get("tools") or []))),
            Text(
                plain(f"{status}: {server['why']}" if server.get("why") else status),
                _STATUS.get(status, "red"),
            ),
            reports.breaker(server),
            Text(plain(server.get("url", "")), "dim"),
        )
    if tools.row_count:
        out().print(tools)


@app.command()
def runs(
    run: Annotated[str, typer.Argument(metavar="[ID]", help="One run, in full.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the latest.")] = 20,
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """The latest runs; or one run: its answer and how it came about."""
    page = _look(home, url, f"/runs/{segment(run)}") if run else _look(home, url, "/runs", limit=limit)
    if json_:
        emit(page)
    elif run:
        out().print(_request(page))
        said = page.get("reply") or page.get("why") or ""
        out().print(reports.reply(str(said), str(page.get("outcome") or page.get("state", ""))))
        out().print(reports.explanation(page))
    elif not page.get("runs"):
        out().print('no runs yet: begin one with `meshwright ask "..."`', markup=False)
    else:
        table = _table("run", "started", "outcome", "request")
        for row in page["runs"]:
            outcome = reports.outcome_mark(str(row.get("outcome") or row.get("state", "")))
            table.add_row(
                _text(plain(row.get("id", ""))),
                _text(_when(row.get("started"))),
                outcome,
                _short(row.get("request", "")),
            )
        out().print(table)


def _look(home: Path, url: str, path: str, **query: Any) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        async with entrance(home, url) as mesh:
            return await mesh.look(path, **query)

    return asyncio.run(work())


def _request(report: dict[str, Any]) -> Text:
    from rich.text import Text

    return Text.assemble(("request ", "dim"), plain(report.get("request", "")))


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    return table


def _mark(status: str) -> Text:
    return _text(
        "●" if status == "ready" else "◐" if status in ("cold", "busy", "stale") else "○",
        _STATUS.get(status, "red"),
    )


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style)


def _short(text: Any, length: int = 90) -> Text:
    flat = " ".join(plain(text).split())
    return _text(flat if len(flat) <= length else flat[: length - 1] + "…")


def _when(value: Any) -> str:
    """An instant as the clock on the wall here; seconds since the epoch and ISO 8601 alike."""
    try:
        instant = (
            datetime.fromtimestamp(value)
            if isinstance(value, int | float)
            else datetime.fromisoformat(str(value))
        )
    except (ValueError, OverflowError, OSError):
        return plain(value or "")
    return f"{instant.astimezone():%d %b %H:%M:%S}"
