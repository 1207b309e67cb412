"""`meshwright policy`: for whoever writes rules, before anything is started with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meshwright.cli.app import run
from meshwright.policy import Policy, cases

CASES = """
[base]
action = "paint"
agent = "painter"
proposal = { thing_id = "t1", colour = "red" }
thing = { state = "dry", price = 7 }
[[case]]
name = "what is dry is painted"
expect = "apply"
rules = ["paint"]
[[case]]
name = "what is dear is looked at"
change = { "thing.price" = 2000 }
expect = 2
rules = ["dear", "very-dear"]
"""


@pytest.fixture
def folder(write: Callable[..., Path]) -> Path:
    place = write()
    (place / "tests").mkdir()
    (place / "tests" / "paint.toml").write_text(CASES)
    return place


def test_a_policy_is_checked_for_people_and_for_machines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "check", str(folder)]) == 0
    assert "2 rules permit, 3 forbid" in capsys.readouterr().out
    assert run(["policy", "check", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"] == ["speak", "paint", "dry", "dear", "very-dear"]
    (folder / "team.cedar").write_text("permit (principal, action, resource);")
    assert run(["policy", "check", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "team.cedar: a rule without an id: it needs @id" in err


def test_the_policy_that_the_environment_names_is_meant_where_no_folder_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHWRIGHT_POLICY", str(folder))
    assert run(["policy", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["policy"] == str(folder)
    assert run(["policy", "test", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["cases"] == 2


def test_a_rule_that_no_case_has_decided_fails_the_test(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "test", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "2 cases, 0 wrong; 2 of 5 rules untested" in out
    assert "no case has ever decided dry" in out
    assert run(["policy", "test", str(folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"cases": 2, "failed": [], "untested": ["speak", "dry"]}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('expect = "apply"', 'expect = "reject"', "expected reject; decided by paint"),
        ("expect = 2", "expect = 1", "expected review by 1; decided by dear, very-dear"),
        ('rules = ["dear", "very-dear"]', 'rules = ["dear"]', "expected review by 2"),
    ],
)
def test_a_case_that_comes_out_otherwise_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, said: str
) -> None:
    (folder / "tests" / "paint.toml").write_text(CASES.replace(before, after))
    assert run(["policy", "test", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "! paint" in out
    assert said in out
    assert "2 cases, 1 wrong" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case = 3", "paint.toml: case"),
        ('[[case]]\nname = "n"\nexpect = "maybe"\nrules = []', "paint.toml: case.0.expect"),
        (
            '[[case]]\nname = "n"\nexpect = "apply"\nrules = []\nwithout = ["x.y"]',
            "there is no x.y that could be",
        ),
        (
            '[base]\na = 1\n[[case]]\nname = "n"\nexpect = "apply"\nrules = []\nchange = { "a.b" = 1 }',
            "no table",
        ),
        ("", "there are no cases in"),
    ],
)
def test_a_file_of_cases_that_is_wrong_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (folder / "tests" / "paint.toml").write_text(text)
    assert run(["policy", "test", str(folder)]) == 1
    assert said in capsys.readouterr().err


def test_one_case_does_not_change_the_next(folder: Path) -> None:
    policy = Policy.load(folder)
    swapped = CASES + '[[case]]\nname = "again"\nexpect = "apply"\nrules = ["paint"]\n'
    (folder / "tests" / "paint.toml").write_text(swapped)
    assert [result.right for result in cases.run(policy, folder / "tests")] == [True] * 3


def test_a_decision_is_explained_by_its_rules_and_sources(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = folder / "told.json"
    told = {
        "agent": "painter",
        "words": "t1, please",
        "thing": {"state": "dry", "price": 2000},
        "proposal": {"thing_id": "t1", "colour": "red"},
    }
    facts.write_text(json.dumps(told))
    command = ["policy", "explain", "paint", "--facts", str(facts), "--policy", str(folder)]
    assert run(command) == 0
    out = capsys.readouterr().out
    assert "review by 2 (risk high): it costs 2000; it costs so much that two look" in out
    assert "very-dear (team.cedar): house" in out
    assert "thing_id: customer" in out
    assert "colour: agent" in out
    assert run([*command, "--approvals", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"] == "apply"
    facts.write_text(json.dumps({**told, "proposal": {"thing_id": 1}}))
    assert run(command) == 0
    assert "failed to build request" in capsys.readouterr().out
    facts.write_text("[1]")
    assert run(command) == 1


def test_cedar_is_not_loaded_before_there_is_a_policy_to_read() -> None:
    code = "import sys, meshwright.policy.cases, orchestrator.gate, orchestrator.server; print('cedarpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
