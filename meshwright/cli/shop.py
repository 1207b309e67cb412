"""`meshwright shop`: makes the demo shop, or one from your own files.

The shop itself comes with the tools, not with us: it is loaded by name when one of these commands runs, and
who installs the mesh without it never notices.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from meshwright.cli import surroundings, topology, up
from meshwright.cli.console import Json, Trouble, emit, out, settings_in_words
from meshwright.cli.home import DEFAULT, Home, HomeOption

ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Put it in the place of the one that is there.")
]

app = typer.Typer(no_args_is_help=True, help="The shop that the tools stand on.")


@app.command()
def seed(
    home: HomeOption = DEFAULT,
    number: Annotated[int, typer.Option(help="The same number always makes the same shop.")] = 7,
    replace: ReplaceOption = False,
    json_: Json = False,
) -> None:
    """Make the demo shop. Nobody in it exists."""
    mesh, path = _place(Home.at(home), replace)
    with settings_in_words():
        summary = up.shipped(mesh, "shop.demo:make")(path, number, replace=replace)
    _say(path, summary, as_json=json_)


@app.command("import")
def import_(
    shop: Annotated[Path, typer.Argument(metavar="SHOP.json", exists=True, dir_okay=False, readable=True)],
    handbook: Annotated[
        Path, typer.Argument(metavar="HANDBOOK.md", exists=True, dir_okay=False, readable=True)
    ],
    home: HomeOption = DEFAULT,
    replace: ReplaceOption = False,
    json_: Json = False,
) -> None:
    """Make a shop from your own data and handbook."""
    mesh, path = _place(Home.at(home), replace)
    import_shop = up.shipped(mesh, "shop.importer:import_shop")
    with tempfile.TemporaryDirectory(prefix="meshwright-import-") as folder:
        shutil.copyfile(shop, Path(folder) / "shop.json")  # the importer reads a folder with these two names
        shutil.copyfile(handbook, Path(folder) / "handbook.md")
        with settings_in_words():
            contents = import_shop(Path(folder), path, replace=replace)
    _say(path, contents.summary, as_json=json_)


def _place(home: Home, replace: bool) -> tuple[topology.Mesh, Path]:
    mesh = topology.load()
    if mesh.world is None:
        raise Trouble("this mesh has no world to make: its file has no [world]")
    path = surroundings.world_file(mesh, home, os.environ)
    if path.exists() and not replace:
        raise Trouble(f"there is a shop at {path}: choose another --home, or --replace it")
    if replace and home.running() is not None:
        raise Trouble(f"the mesh of {home.path} is using that shop: stop it with `meshwright down` first")
    return mesh, path


def _say(path: Path, summary: str, *, as_json: bool) -> None:
    if as_json:
        emit({"shop": str(path), "holds": summary})
    else:
        out().print(f"{summary}: in {path}", markup=False, soft_wrap=True)
