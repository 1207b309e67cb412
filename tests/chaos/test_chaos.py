"""Real processes under kill -9: nothing is lost, stuck, done twice, changed, written without a gate or left untold; and a mesh that forgets
is found out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OFFENCES = ("lost", "stuck", "twice", "changed", "ungated", "unsound", "untold")


def chaos(folder: Path, store: str, kills: int) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "benchmarks.chaos", "--store", store, "--kills", str(kills)]
    run = subprocess.run(
        [*command, "--keep", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stdout, run.stderr
    return run.returncode, json.loads(run.stdout), run.stderr


@pytest.mark.timeout(400)
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_what_is_accepted_is_finished_once_whoever_is_killed(tmp_path: Path, store: str) -> None:
    code, figures, said = chaos(tmp_path / "mesh", store, 15)
    assert {name: figures[name] for name in OFFENCES} == dict.fromkeys(OFFENCES, 0), said
    assert (code, figures["kills"]) == (0, 15)
    assert figures["accepted"] > 0
    assert figures["changes"] > 0
    assert figures["questions"] > 0
    assert figures["told"] > 0


@pytest.mark.timeout(400)
def test_a_mesh_whose_tasks_are_in_memory_is_found_out(tmp_path: Path) -> None:
    code, figures, said = chaos(tmp_path / "mesh", "memory", 4)
    assert code == 1
    assert figures["lost"] > 0, said
    assert figures["ungated"] > 0, "its log is gone with its processes"
