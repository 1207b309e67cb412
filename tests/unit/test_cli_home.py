"""The folder a mesh lives in: private keys, trust that keeps what others wrote, one mesh at a time."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from meshwright.cli.app import run
from meshwright.cli.console import Trouble
from meshwright.cli.home import Home, Running
from meshwright.cli.keys import bearer, ensure
from meshwright.errors import Unauthenticated
from meshwright.inbound.identity import Trust

RUNNING = Running(1, "front", {"front": "http://127.0.0.1:9000"}, 1.5)


def test_keys_are_made_once_and_are_for_their_user_only(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    assert ensure(home, ["front"]) == ["front", "customer", "operator"]
    before = home.key("front").read_bytes()
    assert ensure(home, ["front", "clerk"]) == ["clerk"]
    assert home.key("front").read_bytes() == before
    assert stat.S_IMODE(home.key("front").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["operator", "customer", "ann"])
def test_no_process_has_the_key_of_a_person(tmp_path: Path, name: str) -> None:
    home = Home.at(tmp_path)
    ensure(home, ["front"], ["ann"])
    before = home.trust.read_text()
    with pytest.raises(Trouble, match=f"no process can be called '{name}'"):
        ensure(home, ["front", name])
    assert home.trust.read_text() == before


def test_trust_holds_public_keys_only_and_keeps_what_others_added(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    ensure(home, ["front"])
    trust = json.loads(home.trust.read_text())
    trust["agents"]["partner"] = {"kty": "OKP", "crv": "Ed25519", "x": "abc"}
    trust["operators"].append("partner")
    home.trust.write_text(json.dumps(trust))
    ensure(home, ["front", "clerk"])
    after = json.loads(home.trust.read_text())
    assert set(after["agents"]) == {"front", "clerk", "customer", "operator", "partner"}
    assert after["operators"] == ["operator", "partner"]
    assert not any("d" in jwk for jwk in after["agents"].values())


def test_people_are_operators_and_the_customer_is_none(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    ensure(home, ["front"])
    assert ensure(home, ["front"], ["ann", "bob"]) == ["ann", "bob"]
    document = json.loads(home.trust.read_text())
    assert document["operators"] == ["operator", "ann", "bob"]
    trust = Trust.from_document("front", document)
    for name in ("ann", "customer"):
        assert trust.caller(f"Bearer {bearer(home, name, 'front')}").operator is (name == "ann")
        assert trust.is_operator(name) is (name == "ann")
    assert not trust.is_operator("")


def test_a_process_that_people_log_in_to_speaks_for_them_and_keeps_whom_others_named(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    ensure(home, ["front", "console"], speakers=["console"])
    trust = json.loads(home.trust.read_text())
    assert trust["speakers"] == {"console": ["operator"]}
    trust["speakers"] |= {"portal": ["zoe"]}
    home.trust.write_text(json.dumps(trust))
    ensure(home, ["front", "console"], ["ann"], speakers=["console"])
    after = json.loads(home.trust.read_text())
    assert after["speakers"] == {"console": ["operator", "ann"], "portal": ["zoe"]}


def test_the_operators_token_is_good_for_the_one_it_names(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    ensure(home, ["front", "clerk"])
    header = f"Bearer {bearer(home, 'operator', 'front')}"
    document = json.loads(home.trust.read_text())
    assert Trust.from_document("front", document).caller(header).operator
    with pytest.raises(Unauthenticated):
        Trust.from_document("clerk", document).caller(header)


def test_a_token_is_for_the_entry_of_the_mesh_that_runs_where_nobody_else_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home.at(tmp_path)
    ensure(home, ["front"])
    document = json.loads(home.trust.read_text())

    def printed() -> str:
        assert run(["token", "--home", str(tmp_path)]) == 0
        return f"Bearer {capsys.readouterr().out.strip()}"

    assert Trust.from_document("orchestrator", document).caller(printed()).operator
    with home.held():
        home.announce(RUNNING)
        assert Trust.from_document("front", document).caller(printed()).operator


def test_a_broken_key_says_which_file_to_mend(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    ensure(home, [])
    home.key("operator").write_text("{")
    with pytest.raises(Trouble, match=r"operator\.json cannot be read as JSON"):
        bearer(home, "operator", "front")


def test_a_second_mesh_in_the_same_home_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.make()
    with home.held():
        home.announce(RUNNING)
        assert home.running() == RUNNING
        with (
            pytest.raises(Trouble, match=r"already running .*\(process 1, http://127\.0\.0\.1:9000\)"),
            home.held(),
        ):
            pass
    assert home.running() is None
    assert not home.state.exists()


def test_what_a_killed_mesh_left_behind_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.make()
    home.announce(RUNNING)
    assert home.running() is None
    with home.held():
        pass
