"""`meshwright keys person`: from a password on standard input to somebody who is let in, and believed by the mesh."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from meshwright.inbound.identity import Trust
from meshwright.passwords import matches

PASSWORD = "correct horse"


def person(home: Path, name: str, password: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meshwright.cli", "keys", "person", name, "--home", str(home), *more]
    return subprocess.run(command, input=password + "\n", capture_output=True, text=True, check=False)


async def test_somebody_is_let_in_and_believed(house: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = person(home, "ann", PASSWORD)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout
    file = home / "people.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert matches(PASSWORD, json.loads(file.read_text())["ann"])
    trust = Trust.from_document("orchestrator", json.loads((home / "trust.json").read_text()))
    assert trust.may_speak("console", "ann")
    assert not trust.may_speak("orders", "ann")
    visitor = await house.visitor(console_users=file)
    assert (await visitor.login("ann", PASSWORD)).status_code == 303


def test_a_line_for_a_file_of_ones_own_changes_nothing(tmp_path: Path) -> None:
    done = person(tmp_path / "home", "ann", PASSWORD, "--print")
    name, _, line = done.stdout.strip().partition(" = ")
    assert name == "ann"
    assert matches(PASSWORD, json.loads(line))
    assert not (tmp_path / "home").exists()


def test_who_cannot_be_a_person_is_told_why(tmp_path: Path) -> None:
    for name, password, why in (
        ("orders", PASSWORD, "no name of a process"),
        ("customer", PASSWORD, "no name of a process"),
        ("a b", PASSWORD, "letters and digits"),
        ("ann", "short", "10 to 256 characters"),
    ):
        done = person(tmp_path / "home", name, password)
        assert done.returncode != 0
        assert why in done.stderr
    assert not (tmp_path / "home").exists()
