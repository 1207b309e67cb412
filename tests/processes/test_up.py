"""`meshwright up` with real processes: a toy team of two, and once the mesh that ships.

The toys are tiny HTTP servers, so that what is tried here is supervision and nothing else. Who has died is
learnt from the kernel (a pidfd becomes readable), not by waiting a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from meshwright.cli import keys
from meshwright.cli.app import run
from meshwright.cli.console import Trouble
from meshwright.cli.home import Home
from meshwright.cli.supervisor import Patience, Supervisor
from meshwright.cli.topology import Mesh, load
from meshwright.testing.processes import free_base

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ends of processes are learnt from a pidfd")

TOY = """
import http.server, json, os, signal, sys, threading

if os.environ.get("TOY_MODE") or os.path.exists(os.environ["MESHWRIGHT_HOME"] + "/refuses"):
    sys.exit("toy: I will not start")
if os.path.exists(os.environ["MESHWRIGHT_HOME"] + "/objects"):
    print("toy: so far so good\\ntoy: MESHWRIGHT_SHOP: set it", file=sys.stderr)
    sys.exit(2)
if os.path.exists(os.environ["MESHWRIGHT_HOME"] + "/deaf"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

class Toy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = json.dumps({"pid": os.getpid(), "environ": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["MESHWRIGHT_PORT"])), Toy).serve_forever()
"""
TEAM = """
entry = "front"
paths = ["rooms"]
[world]
file = "world.txt"
setting = "SHOP"
make = "toyworld:make"
[[process]]
name = "ledger"
kind = "mcp"
port = 1
module = "toy"
settings = ["SHOP"]
[[process]]
name = "front"
kind = "a2a"
port = 0
module = "toy"
uses = ["ledger"]
"""
QUICK = Patience(ready=20, grace=0.3, first_pause=0.01, look=0.02)


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A mesh file of two toys, in a folder of its own."""
    rooms = tmp_path / "team" / "rooms"
    rooms.mkdir(parents=True)
    (rooms / "toy.py").write_text(TOY)
    (rooms / "toyworld.py").write_text("def make(path):\n    path.write_text('a world')\n")
    file = tmp_path / "team" / "mesh.toml"
    file.write_text(TEAM)
    return file


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home.at(tmp_path / "home")
    place.make()
    return place


@contextlib.contextmanager
def up(home: Home, team: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`meshwright up --json` around the body, and the line it printed when healthy."""
    command = [sys.executable, "-m", "meshwright.cli", "up", "--json", "--home", str(home.path)]
    command += ["--mesh", str(team), "--ports", str(free_base()), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield process, json.loads(line)
        finally:
            if process.poll() is None:
                process.terminate()


def ask(url: str) -> dict[str, Any]:
    with urlopen(url) as answer:
        return dict(json.load(answer))


def gone(pid: int, seconds: float = 15) -> bool:
    """Whether process `pid` has ended, or ends within `seconds`."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], seconds)[0])
    finally:
        os.close(watch)


class Events:
    """What the supervisor told, to be awaited."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    def told(self, name: str, state: str, note: str) -> None:
        self._told.put_nowait((name, state, note))

    async def of(self, name: str, state: str) -> str:
        """The note of the next such event."""
        while True:
            found = await self._told.get()
            if found[:2] == (name, state):
                return found[2]


@contextlib.asynccontextmanager
async def supervised(mesh: Mesh, home: Home, events: Events) -> AsyncIterator[Supervisor]:
    keys.ensure(home, [process.name for process in mesh.processes])
    supervisor = Supervisor(mesh, home, free_base(), os.environ, events.told, patience=QUICK)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def test_a_mesh_comes_up_is_found_by_others_and_leaves_nothing_behind(home: Home, team: Path) -> None:
    with up(home, team) as (process, line):
        assert line["processes"] == 2
        assert line["healthy_s"] > 0
        running = home.running()
        assert running is not None
        assert (running.pid, running.urls, running.url) == (process.pid, line["urls"], line["urls"]["front"])
        pids = [ask(url)["pid"] for url in line["urls"].values()]
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "stopped" in said
    assert all(gone(pid) for pid in pids)
    assert home.running() is None
    assert not home.state.exists()


def test_the_world_is_made_once_and_its_path_goes_to_who_names_it(home: Home, team: Path) -> None:
    with up(home, team) as (_, line):
        world = home.path / "world.txt"
        assert world.read_text() == "a world"
        assert ask(line["urls"]["ledger"])["environ"]["MESHWRIGHT_SHOP"] == str(world)
        assert "MESHWRIGHT_SHOP" not in ask(line["urls"]["front"])["environ"]


def test_a_warm_start_is_a_setting_of_every_agent_and_of_no_tool_server(home: Home, team: Path) -> None:
    with up(home, team, "--warm") as (_, line):
        assert ask(line["urls"]["front"])["environ"]["MESHWRIGHT_WARM"] == "30"
        assert "MESHWRIGHT_WARM" not in ask(line["urls"]["ledger"])["environ"]


def test_a_second_up_says_that_one_runs_already(
    home: Home, team: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with up(home, team) as (process, _):
        assert run(["up", "--home", str(home.path), "--mesh", str(team)]) == 1
        assert f"already running from {home.path} (process {process.pid}" in capsys.readouterr().err
        assert process.poll() is None


def test_when_up_is_killed_its_processes_end_with_it(home: Home, team: Path) -> None:
    with up(home, team) as (process, line):
        pids = [ask(url)["pid"] for url in line["urls"].values()]
        process.kill()
        assert all(gone(pid) for pid in pids)
    assert home.running() is None


def test_ctrl_c_while_it_starts_leaves_nothing(home: Home, team: Path) -> None:
    (home.path / "deaf").touch()
    text = team.read_text().replace('module = "toy"\nuses', 'module = "never"\nuses')
    team.write_text(text)
    (team.parent / "rooms" / "never.py").write_text("import threading\nthreading.Event().wait()\n")
    command = [sys.executable, "-m", "meshwright.cli", "up", "--home", str(home.path), "--mesh", str(team)]
    command += ["--ports", str(free_base())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "ledger" in process.stderr.readline()  # it is ready, and does not hear SIGTERM
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # asked twice: no grace
        process.communicate(timeout=20)
    assert len(children) == 2
    assert all(gone(int(pid)) for pid in children)


def test_up_in_the_background_and_down(home: Home, team: Path) -> None:
    def cli(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "meshwright.cli", *arguments, "--home", str(home.path), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return dict(json.loads(done.stdout))

    line = cli("up", "--detach", "--mesh", str(team), "--ports", str(free_base()))
    pids = [ask(url)["pid"] for url in line["urls"].values()]
    assert cli("down") == {"stopped": True}
    assert all(gone(pid) for pid in pids)
    assert cli("down") == {"stopped": False}


def test_the_ways_that_up_names_lead_there_whatever_the_home_is_called(tmp_path: Path, team: Path) -> None:
    home = tmp_path / "[red] x"
    command = [sys.executable, "-m", "meshwright.cli", "up", "--detach", "--home", str(home)]
    command += ["--mesh", str(team), "--ports", str(free_base())]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert run(["down", "--home", str(home)]) == 0
    assert f"meshwright down --home '{home}'" in said
    assert f"logs  {home}/logs" in said


async def test_a_process_that_dies_is_named_and_started_again(home: Home, team: Path) -> None:
    events = Events()
    async with supervised(load(team), home, events) as supervisor:
        await events.of("front", "ready")
        before = supervisor.pids()
        os.kill(before["front"], signal.SIGKILL)
        assert (await events.of("front", "died")).startswith("killed by SIGKILL, again in")
        await events.of("front", "ready")
        after = supervisor.pids()
        assert after["front"] != before["front"]
        assert after["ledger"] == before["ledger"]


async def test_a_process_that_never_starts_ends_the_start_with_its_last_words(home: Home, team: Path) -> None:
    (home.path / "refuses").touch()
    with pytest.raises(Trouble, match=r"does not start \(exit code 1, 3 times\)") as trouble:
        async with supervised(load(team), home, Events()):
            pass
    assert "toy: I will not start" in str(trouble.value)


async def test_of_a_process_that_objects_to_its_settings_the_line_with_the_way_out_is_shown(
    home: Home, team: Path
) -> None:
    (home.path / "objects").touch()
    with pytest.raises(Trouble, match=r"does not start \(exit code 2, 3 times\)") as trouble:
        async with supervised(load(team), home, Events()):
            pass
    assert str(trouble.value).splitlines()[1:] == ["    toy: MESHWRIGHT_SHOP: set it"]


async def test_a_process_that_does_not_hear_sigterm_is_killed_after_the_grace(home: Home, team: Path) -> None:
    (home.path / "deaf").touch()
    async with supervised(load(team), home, Events()) as supervisor:
        pids = supervisor.pids().values()
    assert all(gone(pid, 0) for pid in pids)


async def test_the_environment_of_up_stays_with_up(home: Home, team: Path) -> None:
    mesh = load(team)
    keys.ensure(home, [process.name for process in mesh.processes])
    outer = {**os.environ, "SECRET_OF_SOMEBODY": "x", "MESHWRIGHT_MODEL_KEY": "y"}
    base = free_base()
    supervisor = Supervisor(mesh, home, base, outer, Events().told, patience=QUICK)
    await supervisor.start()
    try:
        inner = await asyncio.to_thread(ask, mesh.urls(base)["front"])
    finally:
        await supervisor.stop()
    assert not {"SECRET_OF_SOMEBODY", "MESHWRIGHT_MODEL_KEY"} & inner["environ"].keys()


def test_the_demonstration_works_through_twelve_tickets_and_ends(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--json", "--ports", str(free_base())]) == 0
    line = json.loads(capfd.readouterr().out)
    outcomes = [ticket["outcome"] for ticket in line["tickets"]]
    assert len(outcomes) == 12
    assert "failed" not in outcomes
    by_text = {ticket["ticket"]: ticket for ticket in line["tickets"]}
    [large] = [ticket for text, ticket in by_text.items() if "#W8000000" in text]
    [hostile] = [ticket for text, ticket in by_text.items() if "Ignore your rules" in text]
    assert large["outcome"] == "waiting"
    assert (hostile["outcome"], hostile.get("applied", [])) == ("escalated", [])
    assert outcomes.count("done") >= 5
