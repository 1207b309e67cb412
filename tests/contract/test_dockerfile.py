"""The Dockerfile makes an image of one process alone, run by nobody in particular, as process number one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from meshwright.cli import topology

ROOT = Path(__file__).parents[2]
MESH = {process.name: process for process in topology.load().processes}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SHIPPED: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]


def instructions() -> list[tuple[str, str]]:
    """(WORD, rest) of each instruction, continued lines joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def last_stage() -> list[tuple[str, str]]:
    steps = instructions()
    return steps[max(index for index, (word, _) in enumerate(steps) if word == "FROM") :]


def only(word: str, steps: list[tuple[str, str]]) -> str:
    (rest,) = [rest for each, rest in steps if each == word]
    return rest


def test_every_stage_stands_on_the_one_base() -> None:
    stages = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert stages == ["python:3.13-slim", "base", "base"]
    assert not [word for word, _ in instructions() if word == "ADD"]
    assert "index" not in (ROOT / "Dockerfile").read_text(), (
        "where packages come from is the builder's affair"
    )


def test_the_process_runs_as_nobody_where_nobody_may_write() -> None:
    steps = last_stage()
    assert only("USER", steps) == "65532:65532"
    assert only("WORKDIR", steps) == "/"
    assert [word for word, _ in steps].index("USER") > [word for word, _ in steps].index("RUN")


def test_there_is_an_extra_for_every_image() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert {*MESH, "mesh", "postgres", "model"} <= set(extras)


@pytest.mark.parametrize(
    ("process", "complaint"),
    [
        ("orders", ""),
        ("mesh", ""),
        ("billing", 'name in pyproject.toml what it needs, as  billing = ["meshwright[agent]"]'),
        ("", "name it with --build-arg PROCESS"),
    ],
)
def test_a_process_that_has_no_extra_is_not_built(process: str, complaint: str) -> None:
    (check,) = [rest for word, rest in instructions() if word == "RUN" and "grep" in rest]
    environment = {"PATH": "/usr/bin:/bin", **({"PROCESS": process} if process else {})}
    run = subprocess.run(
        ["sh", "-c", check], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode == 0) == (not complaint)
    assert complaint in run.stderr


def test_the_build_sees_all_that_is_shipped_and_no_more() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = only("COPY", [step for step in instructions() if "pyproject.toml" in step[1]]).split()[:-1]
    assert let_in == {*SHIPPED, *copied}
    assert {"pyproject.toml", "README.md", "LICENSE", "constraints.txt"} == set(copied)


def test_constraints_are_pins_that_pip_takes_from_any_registry() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert pins
    for pin in pins:
        assert re.match(r"^[A-Za-z0-9._-]+==[^\s\[\]@]+( *;.*)?$", pin), pin


# --- which rooms are in an image


def rooms_left(process: str, checkout: Path) -> set[str]:
    """Run the step of the Dockerfile that takes out the other processes, on an empty copy of the house."""
    for shelf, kind in (("agents", "a2a"), ("tools", "mcp")):
        for name, each in MESH.items():
            if each.kind == kind and name not in ("orchestrator", "aggregator"):
                (checkout / shelf / name).mkdir(parents=True)
    for room in (
        "tools/shop",
        "orchestrator",
        "aggregator",
        "console",
        "evals",
        "meshwright",
        "agent_cards",
        "policies",
    ):
        (checkout / room).mkdir(parents=True)
    step = next(rest for word, rest in instructions() if word == "RUN" and "rm -rf" in rest)
    prune = step[: step.rindex("fi;") + 2]
    subprocess.run(["sh", "-euc", prune], cwd=checkout, env={**os.environ, "PROCESS": process}, check=True)
    rooms = {path.relative_to(checkout).as_posix() for path in checkout.glob("*")} - {"agents", "tools"}
    return rooms | {path.relative_to(checkout).as_posix() for path in checkout.glob("[at]*s/*")}


EVERYWHERE = {"meshwright", "agent_cards", "policies"}


@pytest.mark.parametrize(
    ("process", "own"),
    [
        ("orders", {"agents/orders"}),
        ("orderbook", {"tools/orderbook", "tools/shop"}),
        ("orchestrator", {"orchestrator"}),
        ("aggregator", {"aggregator"}),
        ("console", {"console"}),
    ],
)
def test_an_image_holds_its_own_process_and_no_other(tmp_path: Path, process: str, own: set[str]) -> None:
    assert rooms_left(process, tmp_path) == EVERYWHERE | own


def test_the_image_of_the_command_line_holds_them_all(tmp_path: Path) -> None:
    rooms = {room.rpartition("/")[2] for room in rooms_left("mesh", tmp_path)}
    assert rooms == EVERYWHERE | set(MESH) | {"shop", "evals"}


# --- how it starts


def entrypoint() -> list[str]:
    command: list[str] = json.loads(only("ENTRYPOINT", last_stage()))
    return command


def run(process: str, *arguments: str, path: Path) -> tuple[int, str]:
    environment = {
        "PATH": f"{path}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PROCESS": process,
        "PYTHONPATH": str(path),
    }
    with subprocess.Popen(
        [*entrypoint(), *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        said, _ = child.communicate(timeout=30)
    return child.pid, said.strip()


def test_the_process_itself_is_number_one_so_that_it_hears_sigterm(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "__main__.py").write_text("import os\nprint(os.getpid())\n")
    pid, said = run("room", path=tmp_path)
    assert said == str(pid), "a shell that stays in between would keep the signal to itself"


def test_the_image_of_the_command_line_is_the_command(tmp_path: Path) -> None:
    command = tmp_path / "meshwright"
    command.write_text('#!/bin/sh\necho "$$: $@"\n')
    command.chmod(0o755)
    pid, said = run("mesh", "shop", "seed", path=tmp_path)
    assert said == f"{pid}: shop seed"
