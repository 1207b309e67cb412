"""Thirty kills on real processes: nothing accepted is lost or stuck, nothing happens twice, no end changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_what_is_accepted_is_finished_once_whoever_is_killed(store: str) -> None:
    command = [sys.executable, "-m", "benchmarks.chaos", "--kills", "15", "--store", store, "--seed", "7"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    figures = json.loads(run.stdout.splitlines()[-1]) if run.stdout else {}
    assert run.returncode == 0, run.stderr[-4000:]
    assert figures["kills"] >= 15
    assert figures["accepted"] > figures["kills"]
    assert figures["effects"] > 0
    assert [figures[kind] for kind in ("lost", "stuck", "twice", "changed")] == [0, 0, 0, 0]
