"""`meshwright up` and `down`: a whole mesh as processes of this machine, healthy or stopped, never half."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from meshwright.cli import keys, surroundings, topology
from meshwright.cli.console import FAILED, Json, Trouble, emit, err, out, settings_in_words
from meshwright.cli.display import Display, display
from meshwright.cli.home import DEFAULT, Home, HomeOption, Running
from meshwright.cli.supervisor import Supervisor
from meshwright.cli.topology import BASE_PORT, Mesh, MeshOption

PortsOption = Annotated[
    int, typer.Option("--ports", min=1024, max=64000, help="The base port; each process adds its own.")
]
DETACHED_LOG = "up"
#: The setting that has a process warm up before it is ready, and its seconds for `--warm`: all that a start may take.
WARM, WARM_SECONDS = "MESHWRIGHT_WARM", "30"
Result = TypeVar("Result")
app = typer.Typer()


@app.command()
def up(
    home: HomeOption = DEFAULT,
    ports: PortsOption = BASE_PORT,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Start just these (repeat, or a,b,c).")
    ] = None,
    mesh: MeshOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once it is healthy; `meshwright down` ends it.")
    ] = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Healthy only when all connections are open and all tools learnt.")
    ] = False,
    json_: Json = False,
) -> None:
    """Start the mesh and keep it running until Ctrl-C."""
    began = time.monotonic()
    place = Home.at(home)
    names = [name for given in only or [] for name in given.split(",") if name]
    part = topology.load(mesh).only(names)
    require_settings()
    if detach:
        running = _detached(place, ports, mesh, names, warm=warm)
        _say_healthy(part, place, running, as_json=json_, detached=True)
        return
    begin(_serve(part, place, ports, began, warm=warm, as_json=json_))


@app.command()
def down(home: HomeOption = DEFAULT, json_: Json = False) -> None:
    """Stop the mesh that runs from this home."""
    place = Home.at(home)
    running = place.running()
    if running is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
        if not place.wait_until_free(20):
            raise Trouble(
                f"process {running.pid} does not stop: see {place.path}/logs, or `kill -9 {running.pid}`"
            )
    if json_:
        emit({"stopped": running is not None})
    else:
        out().print("stopped" if running else f"no mesh runs from {place.path}", markup=False, soft_wrap=True)


@contextlib.asynccontextmanager
async def mesh_running(
    mesh: Mesh, home: Home, base: int, screen: Display, *, began: float, warm: bool = False
) -> AsyncIterator[tuple[Running, Supervisor]]:
    """A healthy mesh inside, none afterwards; seconds to healthy count from `began`, a monotonic instant.

    With `warm` it is healthy when its processes have gone every way between them once.

    Raises Trouble when another runs from this home, a port is taken, or a process does not start.
    """
    home.make()
    with home.held():
        surroundings.require_ports(mesh, base)
        keys.ensure(home, mesh.names, speakers=mesh.speakers, readers=[mesh.entry])
        make_world(mesh, home)
        running = Running(os.getpid(), mesh.entry, mesh.urls(base))
        home.announce(running)
        outer = {**os.environ, **({WARM: WARM_SECONDS} if warm else {})}
        supervisor = Supervisor(mesh, home, base, outer, screen.told)
        stop_on_signals(supervisor)
        with screen:
            await supervisor.start()
        try:
            running = replace(running, healthy_s=round(time.monotonic() - began, 2))
            home.announce(running)
            yield running, supervisor
        finally:
            await supervisor.stop()


def begin(work: Coroutine[Any, Any, Result]) -> Result | None:
    """Run until done, or until asked to stop: then None. A stop is a regular end, not an error."""
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        err().print("stopped")
        return None


def stop_on_signals(supervisor: Supervisor) -> None:
    """Ctrl-C, SIGTERM and a closed terminal stop the current task in order.

    Asked again, nobody waits any more.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    asked: list[signal.Signals] = []

    def stop(what: signal.Signals) -> None:
        asked.append(what)
        if len(asked) == 1:
            task.cancel()
        else:
            supervisor.kill()

    for what in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(what, stop, what)


def make_world(mesh: Mesh, home: Home) -> None:
    """Make what the tools stand on, if it is missing."""
    if mesh.world is None:
        return
    path = surroundings.world_file(mesh, home, os.environ)
    if path.exists():
        return
    with settings_in_words():
        shipped(mesh, mesh.world.make)(path)


def tickets(mesh: Mesh, home: Home, seed: int = 7) -> list[str]:
    """Requests that this mesh's world can answer. Raises Trouble where it has none to offer."""
    teller = ticket_teller(mesh)
    try:
        with settings_in_words():
            return [str(ticket) for ticket in teller(surroundings.world_file(mesh, home, os.environ), seed)]
    except LookupError as error:
        raise Trouble(f"{error}: try it with another --home, where a new one is made") from None


def ticket_teller(mesh: Mesh) -> Any:
    """The function that writes tickets. Raises Trouble for a mesh without one."""
    if mesh.world is None or not mesh.world.tickets:
        raise Trouble(
            "this mesh has no demonstration: name a function for `tickets` in the [world] of its file"
        )
    return shipped(mesh, mesh.world.tickets)


def shipped(mesh: Mesh, name: str) -> Any:
    """A callable that comes with a mesh, by its `module:function`. Raises Trouble if it is not installed."""
    module, _, function = name.partition(":")
    for path in mesh.paths:
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise Trouble(
            f"the mesh file names {name}, which cannot be loaded ({error}): install it, or mend [world]"
        ) from None


def require_settings() -> None:
    """Raise Trouble for a MESHWRIGHT_* variable that no process knows, before all stumble over it."""
    from meshwright.settings import Settings

    with settings_in_words():
        Settings.from_env(os.environ)


async def _serve(mesh: Mesh, home: Home, base: int, began: float, *, warm: bool, as_json: bool) -> None:
    screen = display(mesh, base, quiet=as_json)
    async with mesh_running(mesh, home, base, screen, began=began, warm=warm) as (running, supervisor):
        _say_healthy(mesh, home, running, as_json=as_json, detached=False)
        await supervisor.stay()


def _say_healthy(mesh: Mesh, home: Home, running: Running, *, as_json: bool, detached: bool) -> None:
    if as_json:
        emit({"healthy_s": running.healthy_s, "processes": len(mesh.processes), "urls": running.urls})
        return
    from rich.markup import escape
    from rich.table import Table

    at = "" if home.path == Home.at(DEFAULT).path else escape(f" --home {shlex.quote(str(home.path))}")
    table = Table.grid(padding=(0, 2))
    table.add_row("[green]●[/]", healthy_words(mesh, running))
    for name in mesh.speakers:
        table.add_row(f"[dim]{name}[/]", f"[bold]{running.urls[name]}[/]")
    if running.url:
        table.add_row("[dim]ask[/]", f"meshwright ask{at} {escape(shlex.quote(_example(mesh, home)))}")
        table.add_row("[dim]look[/]", f"meshwright agents{at} · meshwright runs{at} · meshwright reviews{at}")
        table.add_row("[dim]card[/]", f"{running.url}/.well-known/agent-card.json")
    table.add_row("[dim]logs[/]", escape(str(home.log("").parent)))
    table.add_row("[dim]stop[/]", f"meshwright down{at}" if detached else "Ctrl-C")
    out().print(table)


def healthy_words(mesh: Mesh, running: Running) -> str:
    """`healthy in 9.4 s, 12 processes`, as markup."""
    number = len(mesh.processes)
    return f"[bold]healthy in {running.healthy_s:.1f} s[/], {number} process{'es' if number > 1 else ''}"


def _example(mesh: Mesh, home: Home) -> str:
    """A question that this mesh can answer: the shortest of its own tickets."""
    if mesh.world is None or not mesh.world.tickets:
        return "your question"
    return min(tickets(mesh, home), key=len, default="your question")


def _detached(home: Home, base: int, mesh: Path | None, only: list[str], *, warm: bool) -> Running:
    """Start `up` in a session of its own and wait until it is healthy.

    Raises Trouble with its last words if it is not.
    """
    home.make()
    command = [
        sys.executable,
        "-m",
        "meshwright.cli",
        "up",
        "--json",
        "--home",
        str(home.path),
        "--ports",
        str(base),
    ]
    command += ["--mesh", str(mesh)] if mesh else []
    command += ["--warm"] if warm else []
    command += [part for name in only for part in ("--only", name)]
    with home.log(DETACHED_LOG).open("wb") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    while child.poll() is None:
        running = home.running()
        if running is not None and running.pid == child.pid and running.healthy_s is not None:
            return running
        time.sleep(0.2)
    said = home.log(DETACHED_LOG).read_text(errors="replace").strip().removeprefix("error: ")
    raise Trouble(said or f"`up` ended with exit code {child.returncode}", child.returncode or FAILED)
