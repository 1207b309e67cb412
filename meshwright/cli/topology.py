"""Which processes make up a mesh, who talks to whom, and on which ports.

Read from a TOML file, so that any team can bring its own with `--mesh FILE`:

    entry = "front"                      # where requests go in
    paths = ["agents", "tools"]          # where its packages lie, from the folder of this file; nothing if they are installed

    [[process]]
    name = "front"                       # its key, its log and its row in the tables
    kind = "a2a"                         # a2a | mcp | web: a page for people, who speaks for them
    port = 0                             # added to the base port
    module = "front"                     # what is run, as `python -m front`; its name, if nothing is said
    asks = ["billing"]                   # agents it may delegate to
    uses = ["ledger"]                    # tool servers it may call
    settings = ["MODEL"]                 # MESHWRIGHT_* it gets from the environment of `up`, and no others

`[world]` names what the tools stand on, where they need a file: see `World`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from meshwright.cli.console import Trouble

MeshOption = Annotated[
    Path | None,
    typer.Option("--mesh", help="A TOML file with another team's processes.", show_default="the shop's"),
]
Kind = Literal["a2a", "mcp", "web"]
BASE_PORT = 8400
HOST = "127.0.0.1"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_KEYS = {"name", "kind", "port", "module", "asks", "uses", "settings"}


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the mesh, started as `python -m <module>`.

    `port` is counted from the mesh's base port.
    """

    name: str
    kind: Kind
    port: int
    module: str
    asks: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def url(self, base: int) -> str:
        return f"http://{HOST}:{base + self.port}"


@dataclass(frozen=True, slots=True)
class World:
    """What the tools stand on: a file in the home, made by `make(path)` when it is missing.

    `make` and `tickets` name callables as `module:function`; they come with the mesh and the CLI loads them
    by name, because it serves any team and knows none. `setting` is the MESHWRIGHT_* variable that carries
    the file's path.
    """

    file: str
    setting: str
    make: str
    tickets: str = ""


@dataclass(frozen=True, slots=True)
class Mesh:
    """All processes, in the order in which they start. `paths` is put before the import path of each."""

    entry: str
    processes: tuple[Process, ...]
    world: World | None = None
    paths: tuple[Path, ...] = ()

    def only(self, names: list[str]) -> Mesh:
        """The part of the mesh made of `names`; all of it when there are none.

        Raises Trouble for an unknown name.
        """
        for name in names:
            if name not in self.names:
                raise Trouble(
                    f"there is no process {name!r} in this mesh: choose from {', '.join(self.names)}"
                )
        if not names:
            return self
        return replace(self, processes=tuple(process for process in self.processes if process.name in names))

    @property
    def names(self) -> list[str]:
        return [process.name for process in self.processes]

    @property
    def speakers(self) -> list[str]:
        """The processes that people log in to, and that speak for them."""
        return [process.name for process in self.processes if process.kind == "web"]

    def urls(self, base: int) -> dict[str, str]:
        return {process.name: process.url(base) for process in self.processes}


def load(path: Path | None = None) -> Mesh:
    """The mesh in the file at `path`, or the one that ships.

    Raises Trouble, which names what is wrong in the file.
    """
    if path is None:
        shipped = resources.files("agent_cards").joinpath("mesh.toml")
        return parse(shipped.read_text("utf-8"), "agent_cards/mesh.toml", None)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(
            f"cannot read the mesh file {path}: {getattr(error, 'strerror', None) or error}"
        ) from None
    return parse(text, str(path), path.resolve().parent)


def parse(text: str, where: str, folder: Path | None) -> Mesh:
    """The mesh that `text` describes.

    `where` names the file in errors, `folder` is what its `paths` are relative to.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Trouble(f"{where} is not TOML: {error}") from None
    _refuse_unknown(document, {"entry", "paths", "world", "process"}, where)
    processes = tuple(_process(table, where) for table in document.get("process", []))
    _check(processes, str(document.get("entry", "")), where)
    world = document.get("world")
    if world is not None:
        _refuse_unknown(world, {"file", "setting", "make", "tickets"}, f"{where}, [world]")
        try:
            world = World(**world)
        except TypeError as error:
            raise Trouble(f"{where}, [world]: it needs file, setting and make ({error})") from None
    paths = tuple((folder or Path()) / each for each in document.get("paths", ()))
    for path in paths:
        if not path.is_dir():
            raise Trouble(f"{where}: there is no folder {path}, which paths names")
    return Mesh(str(document["entry"]), processes, world, paths)


def _process(table: dict[str, Any], where: str) -> Process:
    name = str(table.get("name", ""))
    room = f"{where}, process {name!r}"
    _refuse_unknown(table, _KEYS, room)
    if not _NAME.fullmatch(name):
        raise Trouble(
            f"{room}: a name is lower case letters, digits, - and _, at most 40, beginning with a letter"
        )
    kind, port = table.get("kind"), table.get("port")
    if kind != "a2a" and kind != "mcp" and kind != "web":
        raise Trouble(f"{room}: kind must be a2a, mcp or web, not {kind!r}")
    if type(port) is not int or not 0 <= port < 1000:
        raise Trouble(
            f"{room}: port is counted from the base port, a whole number from 0 to 999, not {port!r}"
        )
    lists = {key: tuple(str(each) for each in table.get(key, ())) for key in ("asks", "uses", "settings")}
    return Process(name, kind, port, str(table.get("module", name)), **lists)


def _check(processes: tuple[Process, ...], entry: str, where: str) -> None:
    kinds: dict[str, str] = {}
    ports: dict[int, str] = {}
    for process in processes:
        if process.name in kinds:
            raise Trouble(f"{where}: process {process.name!r} is there twice")
        if process.port in ports:
            raise Trouble(
                f"{where}: {process.name} and {ports[process.port]} have the same port {process.port}"
            )
        kinds[process.name], ports[process.port] = process.kind, process.name
    if kinds.get(entry) != "a2a":
        raise Trouble(f"{where}: entry must name an a2a process of this mesh, not {entry!r}")
    for process in processes:
        for names, kind in ((process.asks, "a2a"), (process.uses, "mcp")):
            for name in names:
                if kinds.get(name) != kind:
                    raise Trouble(
                        f"{where}: {process.name} wants {name!r}, which is no {kind} process of this mesh"
                    )


def _refuse_unknown(table: dict[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise Trouble(f"{where}: unknown key {key!r}; known are {', '.join(sorted(known))}")
