"""`meshwright db`: the databases of a mesh: which schema they have, bring it up to date, remove what is no longer needed."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshwright.cli import topology
from meshwright.cli.console import Json, Trouble, emit, out, settings_in_words
from meshwright.cli.home import DEFAULT, Home, HomeOption
from meshwright.cli.topology import MeshOption

if TYPE_CHECKING:
    from meshwright.database import Database, Transaction

UrlOption = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="MESHWRIGHT_DATABASE",
        help="Its URL; without one, every database file of the mesh in --home.",
    ),
]
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

app = typer.Typer(no_args_is_help=True, help="The databases that tasks live in.")


@app.command()
def status(
    home: HomeOption = DEFAULT, mesh: MeshOption = None, database: UrlOption = "", json_: Json = False
) -> None:
    """Which schema each database has, and what stands in it. Changes nothing."""
    _report(each(urls_of(home, database, mesh), _status, looks=True), json_)


@app.command()
def upgrade(
    home: HomeOption = DEFAULT, mesh: MeshOption = None, database: UrlOption = "", json_: Json = False
) -> None:
    """Bring the schema up to date. Processes do so when they start; this is for doing it before."""
    _report(each(urls_of(home, database, mesh), _upgrade), json_)


@app.command()
def purge(
    home: HomeOption = DEFAULT,
    mesh: MeshOption = None,
    database: UrlOption = "",
    older_than: Annotated[str, typer.Option(help="Age of an ended task: 90s, 30m, 12h or 30d.")] = "30d",
    agent: Annotated[str, typer.Option(help="Only this agent's tasks.")] = "",
    json_: Json = False,
) -> None:
    """Remove ended tasks and all that hangs on them, and old decisions. What runs or waits stays, and so do runs and reviews."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", older_than)
    if found is None:
        raise Trouble(f"{older_than!r} is no age: write it as 90s, 30m, 12h or 30d")
    seconds = float(found[1]) * _SECONDS[found[2]]

    async def act(open_: Database) -> dict[str, Any]:
        from meshwright.records import decisions
        from meshwright.tasks.retention import drop_checkpoints
        from meshwright.tasks.retention import purge as remove

        await require_schema(open_)
        tasks = await remove(open_, seconds, agent or None)
        gone = {"tasks": tasks, "checkpoints": await drop_checkpoints(open_, seconds)}
        # decisions belong to requests, which many agents have worked on
        return gone if agent else {**gone, "decisions": await decisions.purge(open_, seconds)}

    _report(each(urls_of(home, database, mesh), act), json_)


async def _status(database: Database) -> dict[str, Any]:
    from meshwright.database import migrations

    found = await migrations.status(database)
    schema = {"schema": found.found, "known": found.known, "pending": list(found.pending)}
    if not found.found:
        return schema

    async def op(tx: Transaction) -> dict[str, Any]:
        tasks = await tx.execute(
            "SELECT agent, work, count(*) AS n FROM tasks GROUP BY agent, work ORDER BY agent, work"
        )
        queued = await tx.execute(
            "SELECT EPOCH() - min(due) AS s, max(why) AS why FROM tasks WHERE work = 'queued'"
        )
        letters = await tx.execute(
            "SELECT kind, state, count(*) AS n FROM outbox WHERE state IN ('open', 'dead') GROUP BY kind, state"
        )
        return {
            "tasks": {f"{row['agent']} {row['work']}": row["n"] for row in tasks},
            "oldest_queued_s": round(queued[0]["s"], 1) if queued[0]["s"] is not None else None,
            "queued_because": queued[0]["why"] or "",
            "outbox": {f"{row['kind']} {row['state']}": row["n"] for row in letters},
        }

    return {**schema, **await database.read(op)}


async def _upgrade(database: Database) -> dict[str, Any]:
    from meshwright.database import migrations

    before = (await migrations.status(database)).found
    return {"from": before, "to": await migrations.upgrade(database)}


async def require_schema(database: Database) -> None:
    from meshwright.database import migrations

    there = await migrations.status(database)
    migrations.require_ours(there)
    if not there.current:
        raise Trouble("its schema is not up to date: run `meshwright db upgrade` first")


def urls_of(home: Path, database: str, mesh: Path | None) -> list[str]:
    """The database that is named, or those of a mesh's agents that lie in the home. Raises Trouble where there is none."""
    if database:
        return [database]
    place = Home.at(home)
    names = [process.name for process in topology.load(mesh).processes if process.kind == "a2a"]
    files = [place.path / f"{name}.db" for name in names if (place.path / f"{name}.db").exists()]
    if not files:
        whose = f"the mesh of {mesh}" if mesh else "the mesh that ships"
        raise Trouble(
            f"there is no database of {whose} in {place.path}: choose --home or --mesh, or name one with --database"
        )
    return [f"sqlite:///{file}" for file in files]


def each(
    urls: list[str], act: Callable[[Database], Awaitable[dict[str, Any]]], *, looks: bool = False
) -> dict[str, dict[str, Any]]:
    """What `act` finds in each database. One that only `looks` changes no file."""
    from meshwright.database.door import connect
    from meshwright.database.migrations import NoSchema

    async def one(url: str) -> dict[str, Any]:
        if url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):  # noqa: ASYNC240
            raise Trouble(
                f"there is no file {url.removeprefix('sqlite:///')}: a process makes it when it starts"
            )
        database = await connect(url, looks=looks)
        try:
            return await act(database)
        except NoSchema:
            raise Trouble(f"{shown(url)} has no schema yet: run `meshwright db upgrade`") from None
        except database.refusals as error:
            raise Trouble(f"{shown(url)}: {error}") from None
        finally:
            await database.close()

    async def all_() -> dict[str, dict[str, Any]]:
        return {shown(url): await one(url) for url in urls}

    with settings_in_words():
        return asyncio.run(all_())


def shown(url: str) -> str:
    """The URL without its password, wherever it stands."""
    url = re.sub(r"(://[^:/@?]*):[^/?]*@", r"\1:***@", url)
    return re.sub(r"(password=)[^&\s]*", r"\1***", url)


def _report(found: dict[str, dict[str, Any]], as_json: bool) -> None:
    if as_json:
        emit(found)
        return
    for url, facts in found.items():
        out().print(url, style="bold", markup=False, soft_wrap=True)
        for name, value in facts.items():
            shown = ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else value
            if shown not in ("", None, []):
                out().print(f"  {name.replace('_', ' ')}: {shown}", markup=False, soft_wrap=True)
