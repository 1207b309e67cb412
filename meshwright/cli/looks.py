"""`meshwright agents`, `runs` and `reviews`: looking at a mesh, and deciding what it left for a person."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from meshwright.cli import reports
from meshwright.cli.console import Json, emit, out, plain
from meshwright.cli.entrance import UrlOption, entrance
from meshwright.cli.home import DEFAULT, HomeOption

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_STATUS = {"ready": "green", "cold": "cyan", "busy": "yellow", "stale": "yellow", "unknown": "dim"}

app = typer.Typer()
reviews = typer.Typer(invoke_without_command=True, help="What waits for a person: list, approve, reject.")
app.add_typer(reviews, name="reviews")


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
    page = _look(home, url, f"/runs/{quote(run, safe='')}") if run else _look(home, url, "/runs", limit=limit)
    if json_:
        emit(page)
    elif run:
        out().print(_request(page))
        out().print(
            reports.reply(str(page.get("reply") or ""), str(page.get("outcome") or page.get("state", "")))
        )
        out().print(reports.explanation(page))
    elif not page.get("runs"):
        out().print('no runs yet: begin one with `meshwright ask "..."`', markup=False)
    else:
        table = _table("run", "started", "outcome", "request")
        for row in page["runs"]:
            outcome = reports.outcome_mark(str(row.get("outcome") or row.get("state", "")))
            table.add_row(
                plain(row.get("id", "")), _when(row.get("started")), outcome, _short(row.get("request", ""))
            )
        out().print(table)


@reviews.callback()
def list_reviews(
    context: typer.Context, url: UrlOption = "", home: HomeOption = DEFAULT, json_: Json = False
) -> None:
    """What waits for a person."""
    if context.invoked_subcommand is not None:
        return
    page = _look(home, url, "/reviews")
    if json_:
        emit(page)
        return
    rows = page.get("reviews", [])
    if not rows:
        out().print("nothing waits for a person")
        return
    table = _table("review", "state", "action", "amount", "why", "run")
    for row in rows:
        amount = "" if row.get("amount") is None else reports.money(row["amount"])
        policy = f" [{plain(row['policy'])}]" if row.get("policy") else ""
        table.add_row(
            plain(row.get("id", "")), plain(row.get("state", "")), reports.call(row), amount,
            _text(f"{plain(row.get('why', ''))}{policy}"), plain(row.get("run", "")),
        )  # fmt: skip
    out().print(table)
    out().print("meshwright reviews approve ID   ·   meshwright reviews reject ID --reason WHY", style="dim")


@reviews.command()
def approve(
    review: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Goes into the record.")] = "",
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Let exactly this action be applied, once."""
    _decide(review, "approve", reason, url, home, as_json=json_)


@reviews.command()
def reject(
    review: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Goes into the record, and the customer is answered.")],
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Refuse the action; it is not applied."""
    _decide(review, "reject", reason, url, home, as_json=json_)


def _decide(review: str, decision: str, reason: str, url: str, home: Path, *, as_json: bool) -> None:
    async def work() -> dict[str, Any]:
        async with entrance(home, url) as mesh:
            return await mesh.tell(
                f"/reviews/{quote(review, safe='')}", {"decision": decision, "reason": reason}
            )

    row = asyncio.run(work())
    if as_json:
        emit(row)
        return
    from rich.text import Text

    words = "approved" if decision == "approve" else "rejected"
    out().print(
        Text.assemble((f"{words} ", "green" if decision == "approve" else "yellow"), reports.call(row))
    )
    if row.get("run"):
        out().print(f"see what comes of it: meshwright runs {plain(row['run'])}", style="dim", markup=False)


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
        table.add_column(column, overflow="fold")
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
