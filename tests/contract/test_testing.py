"""docs/testing.md: its tests pass as they stand there, on an agent that was made a moment ago."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(180)
def test_the_tests_of_the_document_pass_on_a_new_agent(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path / 'agents'}", "PATH": "/usr/bin:/bin"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    made = run("meshwright.cli", "new", "agent", "billing")
    assert made.returncode == 0, made.stderr
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)
    (tmp_path / "test_billing.py").write_text("\n\n".join(blocks))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    done = run("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:langsmith_plugin")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
