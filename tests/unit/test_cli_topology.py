"""The mesh as data: what ships is whole, and what is wrong in another team's file is named."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from meshwright.cli.console import Trouble
from meshwright.cli.home import Home
from meshwright.cli.surroundings import environment, free_base, require_ports
from meshwright.cli.topology import load, parse
from meshwright.settings import Settings

TEAM = """
entry = "front"
[world]
file = "world.db"
setting = "SHOP"
make = "team.world:make"
[[process]]
name = "ledger"
kind = "mcp"
port = 1
settings = ["SHOP"]
[[process]]
name = "front"
kind = "a2a"
port = 0
asks = ["clerk"]
uses = ["ledger"]
[[process]]
name = "clerk"
kind = "a2a"
port = 2
settings = ["MODEL", "MODEL_KEY"]
"""
_ALONE = """
entry = "front"
[[process]]
name = "front"
kind = "a2a"
port = 0
"""
OUTER = {
    "PATH": "/bin",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "HTTPS_PROXY": "http://proxy",
    "MESHWRIGHT_MODEL": "some/model",
    "MESHWRIGHT_MODEL_KEY": "k3y",
    "MESHWRIGHT_LOG_LEVEL": "DEBUG",
    "MESHWRIGHT_PORT": "1",
}


#: What `up` sets itself for each process, and the port of which each would need its own.
OWN = {"HOST", "PORT", "PUBLIC_URL", "HOME", "KEY", "TRUST", "PEERS", "TOOLS", "GRPC_PORT"}


def test_what_can_be_set_for_the_shipped_mesh_reaches_a_process_of_it(tmp_path: Path) -> None:
    mesh, home = load(), Home(tmp_path)
    outer = {f"MESHWRIGHT_{name.upper()}": "x" for name in Settings.model_fields}
    handed = {name for each in mesh.processes for name in environment(each, mesh, home, 8400, outer)}
    assert {name.removeprefix("MESHWRIGHT_") for name in outer.keys() - handed} == {"GRPC_PORT"}
    for process in mesh.processes:
        given = environment(process, mesh, home, 8400, outer)
        assert "x" not in {value for name, value in given.items() if name.removeprefix("MESHWRIGHT_") in OWN}


def test_the_mesh_that_ships_has_a_card_or_a_room_for_each_process() -> None:
    for process in load().processes:
        assert find_spec(process.module) is not None
        if process.kind == "a2a":
            assert Path("agent_cards", f"{process.name}.json").is_file()


def test_each_process_is_connected_to_the_tools_it_may_read_and_to_no_others() -> None:
    rights = tomllib.loads(Path("policies/access.toml").read_text())
    servers = {process.name for process in load().processes if process.kind == "mcp"}
    for process in load().processes:
        patterns = rights["read"].get(process.name, []) + rights["grant"].get(process.name, [])
        named = {pattern.partition(".")[0] for pattern in patterns if pattern != "*"}
        if process.kind == "a2a":
            assert set(process.uses) >= named & servers, process.name
            assert set(process.uses) <= named | ({"desk"} if "*" in patterns else set()), process.name


def test_a_process_gets_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    team, home = parse(TEAM, "team.toml", None), Home.at(tmp_path)
    ledger, front, clerk = (environment(process, team, home, 9000, OUTER) for process in team.processes)
    assert clerk["MESHWRIGHT_MODEL_KEY"] == "k3y"
    assert clerk["HTTPS_PROXY"] == "http://proxy"
    for inner in (ledger, front):
        assert not {"MESHWRIGHT_MODEL", "MESHWRIGHT_MODEL_KEY", "HTTPS_PROXY"} & inner.keys()
    assert ledger["MESHWRIGHT_SHOP"] == str(tmp_path / "world.db")
    assert "MESHWRIGHT_SHOP" not in front
    assert (front["MESHWRIGHT_PEERS"], front["MESHWRIGHT_TOOLS"]) == (
        "http://127.0.0.1:9002",
        "http://127.0.0.1:9001",
    )
    for inner in (ledger, front, clerk):
        assert "s3cret" not in inner.values()
        assert inner["MESHWRIGHT_LOG_LEVEL"] == "DEBUG"
        Settings.from_env(inner)


def test_a_page_for_people_knows_who_may_log_in_once_somebody_may(tmp_path: Path) -> None:
    page = (
        '[[process]]\nname = "page"\nkind = "web"\nport = 3\nasks = ["front"]\nsettings = ["CONSOLE_USERS"]\n'
    )
    team, home = parse(TEAM + page, "team.toml", None), Home.at(tmp_path)
    process = team.processes[-1]
    assert team.speakers == ["page"]
    inner = environment(process, team, home, 9000, {})
    assert inner["MESHWRIGHT_PEERS"] == "http://127.0.0.1:9000"
    assert not {"MESHWRIGHT_CONSOLE_USERS", "MESHWRIGHT_DATABASE"} & inner.keys()
    home.people.write_text("{}")
    assert environment(process, team, home, 9000, {})["MESHWRIGHT_CONSOLE_USERS"] == str(home.people)
    chosen = environment(process, team, home, 9000, {"MESHWRIGHT_CONSOLE_USERS": "/etc/people.toml"})
    assert chosen["MESHWRIGHT_CONSOLE_USERS"] == "/etc/people.toml"
    assert "MESHWRIGHT_CONSOLE_USERS" not in environment(team.processes[1], team, home, 9000, {})


def test_a_part_of_a_mesh_is_connected_only_to_what_runs(tmp_path: Path) -> None:
    part = parse(TEAM, "team.toml", None).only(["front", "ledger"])
    [front] = [process for process in part.processes if process.name == "front"]
    inner = environment(front, part, Home.at(tmp_path), 9000, {})
    assert inner["MESHWRIGHT_PEERS"] == ""


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('entry = "front"', 'entry = "ledger"', "entry must name an a2a process"),
        ("port = 2", "port = 1", "clerk and ledger have the same port 1"),
        ("port = 2", 'port = "2"', "port is counted from the base port"),
        ('name = "clerk"', 'name = "front"', "'front' is there twice"),
        ('name = "clerk"', 'name = "Clerk!"', "a name is lower case"),
        ('asks = ["clerk"]', 'asks = ["ledger"]', "front wants 'ledger', which is no a2a process"),
        ('uses = ["ledger"]', 'use = ["ledger"]', "unknown key 'use'"),
        ('kind = "mcp"', 'kind = "rest"', "kind must be a2a, mcp or web"),
        ('file = "world.db"', "", "it needs file, setting and make"),
        ("[world]", "[world", "is not TOML"),
        (
            'entry = "front"',
            'entry = "front"\npaths = ["agentz"]',
            "there is no folder agentz, which paths names",
        ),
    ],
)
def test_what_is_wrong_in_a_mesh_file_is_named(old: str, new: str, named: str) -> None:
    with pytest.raises(Trouble, match=r"^team\.toml") as trouble:
        parse(TEAM.replace(old, new, 1), "team.toml", None)
    assert named in str(trouble.value)


def test_an_unknown_process_is_answered_with_the_known_ones() -> None:
    with pytest.raises(Trouble, match=r"no process 'order' in this mesh: choose from .*orders"):
        load().only(["order"])


def test_a_taken_port_is_named_with_its_process_and_a_way_out(taken_port: int) -> None:
    # Of one process: the ports after this one are free or not as the machine likes.
    alone = parse(_ALONE, "team.toml", None)
    with pytest.raises(Trouble, match=rf"port {taken_port} \(front\) is taken .* with --ports"):
        require_ports(alone, taken_port)
    assert free_base(alone, taken_port) > taken_port
