"""`meshwright audit`: what an operator sees, and the exit code that a script does."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from meshwright.audit import Entry, append
from meshwright.audit.anchor import Anchor
from meshwright.audit.notary import Notary
from meshwright.audit.note import signer_of
from meshwright.cli.app import run
from meshwright.cli.home import Home
from meshwright.cli.keys import ensure
from meshwright.database import open_database


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose orchestrator has logged and signed five entries."""
    ensure(Home.at(tmp_path), ["orchestrator"])
    grow(tmp_path, 5)
    return tmp_path


def grow(home: Path, count: int) -> None:
    async def make() -> None:
        database = await open_database(f"sqlite:///{home}/orchestrator.db")
        for number in range(count):
            entry = Entry(
                "gate.verdict", "orchestrator", {"why": f"größer {number}"}, run="r1", action=f"a{number}"
            )
            await database.write(
                lambda tx, e=entry: append(tx, e, Entry("review.opened", "anna\x1b[31m", {}, run="r2"))
            )  # type: ignore[misc]
        signer = signer_of("orchestrator", Home.at(home).key("orchestrator"))
        await Notary(database, signer, Anchor(home / "audit-orchestrator.checkpoints"), 60.0).sign()
        await database.close()

    asyncio.run(make())


def tampered(home: Path) -> None:
    with sqlite3.connect(home / "orchestrator.db") as file:
        file.execute("DROP TRIGGER audit_log_no_update")
        file.execute('UPDATE audit_log SET payload = \'{"why":"x"}\' WHERE seq = 7')
    file.close()


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_log_that_is_whole_is_clean(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["audit", "verify", "--home", str(home), "--json"]) == 0
    facts = next(iter(said(capsys).values()))
    assert (facts["clean"], facts["entries"], facts["signed"], facts["fault"]) == (True, 10, 10, None)
    assert run(["audit", "verify", "--home", str(home)]) == 0
    assert "10 entries clean, 10 of them signed by 1 checkpoints" in capsys.readouterr().out


def test_a_log_that_was_changed_is_not_and_the_entry_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tampered(home)
    capsys.readouterr()
    assert run(["audit", "verify", "--home", str(home), "--json"]) == 1
    assert next(iter(said(capsys).values()))["fault"]["seq"] == 7
    assert run(["audit", "verify", "--home", str(home)]) == 1
    assert "EDITED: entry 7 was edited" in capsys.readouterr().out
    assert (
        run(["audit", "prove", "3", "--home", str(home)]) == 0
    )  # its hashes are still those that were signed


def test_without_checkpoints_it_is_not_clean_unless_one_asks_for_the_chain_alone(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "audit-orchestrator.checkpoints").unlink()
    assert run(["audit", "verify", "--home", str(home)]) == 1
    told = capsys.readouterr().out
    assert "the chain alone proves nothing about its end" in told
    assert "at most MESHWRIGHT_AUDIT_EVERY seconds (60) after the first entry" in told
    assert run(["audit", "verify", "--home", str(home), "--chain-only"]) == 0


def test_the_collected_output_of_the_process_is_an_anchor_too(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    grow(home, 1)
    lines = capsys.readouterr().out
    (home / "collected.log").write_text(
        f"2026-01-01 something else\n2026-01-01T00:00:00Z stdout F {lines}more\n"
    )
    assert (
        run(["audit", "verify", "--home", str(home), "--anchor", str(home / "collected.log"), "--json"]) == 0
    )
    assert next(iter(said(capsys).values()))["signed"] == 12


def test_the_checkpoints_beside_another_database_file_are_found(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{home}/orchestrator.db"
    ensure(Home.at(tmp_path / "other"), ["orchestrator"])
    key = str(home / "trust.json")
    assert run(["audit", "verify", "--home", str(tmp_path / "other"), "--database", url, "--key", key]) == 0
    capsys.readouterr()
    assert run(["audit", "verify", "--home", str(tmp_path / "other"), "--database", url]) == 1
    assert "it is signed by no key that is known" in capsys.readouterr().out


def test_a_proof_is_checked_with_the_key_alone(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["audit", "prove", "7", "--home", str(home)]) == 0
    proof = said(capsys)
    key = str(home / "trust.json")
    file = tmp_path / "proof.json"

    def check(changed: dict[str, Any]) -> int:
        file.write_text(json.dumps(changed))
        return run(["audit", "check-proof", str(file), "--key", key, "--home", str(tmp_path / "nowhere")])

    assert check(proof) == 0
    assert "entry 7 is one of the 10 that meshwright/orchestrator/audit has signed" in capsys.readouterr().out
    other = {**proof["entry"], "payload": "{}"}
    for changed in (
        {**proof, "entry": other},
        {**proof, "path": proof["path"][1:]},
        {**proof, "path": [*proof["path"][1:], proof["path"][0]]},
        {**proof, "note": proof["note"].replace("\n10\n", "\n11\n")},
        {**proof, "entry": {**proof["entry"], "seq": 8}},
        {**proof, "entry": {**proof["entry"], "seq": "7"}},
        {"entry": 1},
    ):
        assert check(changed) == 1
    assert capsys.readouterr().err.count("\n") == 7


def test_what_is_not_signed_is_not_proved(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "prove", "11", "--home", str(home)]) == 1
    assert "10 entries are signed" in capsys.readouterr().err


def test_an_export_has_every_entry_and_the_last_checkpoint(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["audit", "export", "--home", str(home)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["seq"] for line in lines[:-1]] == list(range(1, 11))
    assert lines[-1]["checkpoint"].splitlines()[1] == "10"


def test_a_search_that_finds_nothing_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "list", "--home", str(home), "--run", "none"]) == 0
    assert capsys.readouterr().out == "no such entry stands in the log\n"


def test_the_log_can_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["audit", "list", "--home", str(home), "--run", "r1", "--kind", "gate", "--action", "a2"]) == 0
    line = capsys.readouterr().out
    assert "gate.verdict" in line
    assert "größer 2" in line
    assert line.count("\n") == 1
    assert run(["audit", "list", "--home", str(home), "--kind", "review", "--limit", "2", "--json"]) == 0
    rows = next(iter(said(capsys).values()))["entries"]
    assert [row["seq"] for row in rows] == [8, 10]
    assert run(["audit", "list", "--home", str(home)]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["verify", "--home", "HERE/none"], "there is no file"),
        (["verify", "--home", "HERE", "--key", "HERE/none"], "name a public key with --key"),
        (["verify", "--home", "HERE", "--key", "HERE/orchestrator.db"], "holds no public key"),
        (["check-proof", "HERE/none", "--home", "HERE"], "holds no JSON"),
    ],
)
def test_what_cannot_be_is_one_line(
    home: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["audit", *(each.replace("HERE", str(home)) for each in arguments)]) == 1
    shown, err = capsys.readouterr()
    assert text in err
    assert (err.count("\n"), shown) == (1, "")
