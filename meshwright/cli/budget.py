"""`meshwright budget`: what each account may spend, has spent, and holds for calls that are under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from meshwright.cli.console import Json, emit, out
from meshwright.cli.db import UrlOption, each, urls_of
from meshwright.cli.home import DEFAULT, HomeOption
from meshwright.cli.topology import MeshOption

if TYPE_CHECKING:
    from meshwright.database import Database

app = typer.Typer()


@app.command()
def budget(
    home: HomeOption = DEFAULT, mesh: MeshOption = None, database: UrlOption = "", json_: Json = False
) -> None:
    """What budgets stand at: by run and task, by agent and tenant and day. Changes nothing."""
    found = each(urls_of(home, database, mesh), _standing)
    if json_:
        emit(found)
        return
    for url, facts in found.items():
        out().print(url, style="bold", markup=False, soft_wrap=True)
        for row in facts["accounts"]:
            out().print(f"  {_line(row)}", markup=False, soft_wrap=True)


async def _standing(database: Database) -> dict[str, Any]:
    from meshwright.cli.db import require_schema
    from meshwright.ledger import standing

    await require_schema(database)
    return {"accounts": [dict(row) for row in await database.read(standing)]}


def _line(row: dict[str, Any]) -> str:
    when = f" on {row['day']}" if row["day"] else ""
    parts = [_of(row["tokens"], row["tokens_held"], row["token_limit"], "tokens", 1)]
    if row["micros"] or row["micros_held"] or row["micro_limit"] is not None:
        parts.append(_of(row["micros"], row["micros_held"], row["micro_limit"], "dollars", 1_000_000))
    if row["doubts"]:
        parts.append(f"{row['doubts']} accounts of usage not believed")
    return f"{row['kind']} {row['name']}{when}: {'; '.join(parts)}"


def _of(spent: int, held: int, limit: int | None, unit: str, each_: int) -> str:
    def shown(number: int) -> str:
        return f"{number:,}" if each_ == 1 else f"{number / each_:.6f}"

    most = f"of {shown(limit)} {unit}" if limit is not None else f"{unit}, no limit"
    return f"{shown(spent)} spent, {shown(held)} reserved, {most}"
