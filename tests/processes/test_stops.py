"""A process that is asked to stop stops, and has nothing to complain about."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_asked_to_stop_leaves_no_traceback(tmp_path: Path, asked: signal.Signals) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'agents'}",
        "MESHWRIGHT_HOME": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "advisor"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = ""
    while "startup complete" not in said:
        said = process.stderr.readline()
        assert said, "it has ended"
    process.send_signal(asked)
    _, words = process.communicate(timeout=60)
    assert "Finished server process" in words
    assert "Traceback" not in words
