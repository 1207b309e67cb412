"""The commands: quick to start, one line for what can be expected to go wrong, and scaffolds that run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshwright.cli import topology
from meshwright.cli.app import run

PROJECT = Path(__file__).parents[2]
HEAVY = ("rich", "httpx", "a2a", "mcp", "langgraph", "litellm", "shop", "uvicorn")


def test_starting_the_cli_imports_nothing_heavy() -> None:
    code = f"import sys, meshwright.cli.app; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_for_people_and_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out.startswith("meshwright ")
    assert run(["version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"version", "python"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ask", "  "], 2, "error: the request is empty: say what you want"),
        (["ask", "hi", "--url", "http://127.0.0.1:9"], 1, "no mesh at http://127.0.0.1:9: start one with"),
        (["ask", "hi", "--url", "nonsense"], 1, "'nonsense' is no address of a mesh"),
        (["agents", "--url", "http://127.0.0.1:9"], 1, "start one with `meshwright up`"),
        (["runs", "--url", "http://127.0.0.1:9", "--json"], 1, "start one with `meshwright up`"),
        (["reviews", "approve", "1", "--url", "http://127.0.0.1:9"], 1, "start one with `meshwright up`"),
        (["up", "--mesh", "missing.toml"], 1, "cannot read the mesh file missing.toml"),
        (["up", "--only", "nobody"], 1, "there is no process 'nobody' in this mesh"),
        (["token", "--as", "nobody"], 1, "there is no key for 'nobody'"),
    ],
)
def test_what_can_go_wrong_is_one_line_with_a_way_out(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home = [] if "--url" in arguments and arguments[0] != "ask" else ["--home", str(tmp_path)]
    assert run([*arguments, *home]) == code
    out, err = capsys.readouterr()
    assert said in err
    assert (err.count("\n"), out) == (1, "")


def cli(*arguments: str, home: Path, **started: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meshwright.cli", *arguments, "--home", str(home)]
    kept = {"text": True, "stderr": subprocess.PIPE, "check": False, **started}
    return subprocess.run(command, **kept)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]])
def test_an_answer_that_cannot_be_written_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = cli(*arguments, home=tmp_path, stdout=full)
    assert (done.returncode, done.stderr) == (1, "error: cannot write the answer: No space left on device\n")


def test_a_terminal_without_a_character_shows_its_escape_and_machines_read_it(tmp_path: Path) -> None:
    home = tmp_path / "für 👩"
    ascii_only = {"stdout": subprocess.PIPE, "env": {**os.environ, "PYTHONIOENCODING": "ascii"}}
    assert "\\u2713 settings" in cli("doctor", home=home, **ascii_only).stdout
    page = json.loads(cli("doctor", "--json", home=home, **ascii_only).stdout)
    assert f"{home} is not there yet" in [check["says"] for check in page["checks"]]


async def test_who_stops_waiting_is_told_that_the_mesh_may_go_on(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await reader.read()  # until who asks is gone
        writer.close()

    async with await asyncio.start_server(hangs, "127.0.0.1", 0) as server:
        where = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        command = (sys.executable, "-m", "meshwright.cli", "ask", "hi", "--url", where, "--home", tmp_path)
        asking = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        await heard.wait()
        asking.send_signal(signal.SIGINT)
        _, said = await asking.communicate()
    assert asking.returncode == 130
    assert b"the mesh may go on with it: see `meshwright runs`" in said


def test_a_misspelt_setting_is_found_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "meshwright.cli", "up", "--home", str(tmp_path / "home")]
    environ = {**os.environ, "MESHWRIGHT_MODLE": "x"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 1
    assert "unknown setting MESHWRIGHT_MODLE: did you mean MESHWRIGHT_MODEL" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_new_agent_runs_and_passes_the_linter(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "meshwright.cli", "new", "agent", "second_line"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "agents/second_line/agent.py" in made.stdout
    port = int(re.findall(r"MESHWRIGHT_PORT=(\d+)", made.stdout)[0])
    assert port not in {topology.BASE_PORT + process.port for process in topology.load().processes}
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    for words in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *words, "."], cwd=tmp_path, check=True)
    answered = """
import asyncio
from pathlib import Path
from meshwright.agent import Job
from meshwright.card import load_card
from meshwright.deadline import Deadline
from meshwright.findings import Subtask
from second_line.agent import AGENT
card = load_card(Path("agent_cards/second_line.json"))
subtask = Subtask(id="1", skill=card.skills[0].id, instruction="hello")
print(AGENT.name, asyncio.run(AGENT.playbook(subtask, Job(Deadline.after(5), tools=None))).reply)
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(["agents", os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", answered],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environ,
        check=True,
    )
    assert done.stdout.strip() == "second_line I was asked: hello"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Billing", "cannot be an agent's name"),
        ("../up", "cannot be an agent's name"),
        ("class", "a word of Python's own"),
        ("match", "a word of Python's own"),
        ("json", "there already"),
        ("meshwright", "there already"),
        ("customer", "who asks or decides"),
    ],
)
def test_a_name_that_would_not_run_is_refused(name: str, said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "meshwright.cli", "new", "agent", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_new_agent_does_not_write_over_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "agents" / "greeter").mkdir(parents=True)
    command = [sys.executable, "-m", "meshwright.cli", "new", "agent", "greeter"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "exists already" in done.stderr
