"""compose.yaml runs the same mesh as the topology and the charts, each process in a box with one way in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshwright.cli import topology
from meshwright.cli.home import Home
from meshwright.process import FAREWELL
from meshwright.settings import PREFIX, Settings

#: Seconds from SIGTERM until a process is gone.
LEAVING = int(Settings().grace) + FAREWELL

ROOT = Path(__file__).parents[2]
MESH = {process.name: process for process in topology.load().processes}
ONCE = {"keys", "shop"}
PERSON = {"cli"}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVED = {name: service for name, service in SERVICES.items() if name in MESH}


def settings_of(service: dict[str, Any]) -> Settings:
    """What the process would read, with no variable of the host set."""
    environment = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in service["environment"].items()
    }
    return Settings.from_env(environment)


def address(name: str) -> str:
    return f"http://{name}:{topology.BASE_PORT + MESH[name].port}"


def test_every_process_is_there_and_nothing_else_that_stays() -> None:
    assert set(SERVICES) == {*MESH, *ONCE, *PERSON}
    for name in ONCE | PERSON:
        assert "restart" not in SERVICES[name]
    for service in SERVED.values():
        assert service["restart"] == "unless-stopped"


def test_each_process_has_an_image_of_its_own() -> None:
    for name, service in SERVED.items():
        assert service["build"] == {"context": ".", "args": {"PROCESS": name}}
        assert service["image"].startswith(f"meshwright/{name}:")
    for name in ONCE | PERSON:
        assert SERVICES[name]["build"]["args"] == {"PROCESS": "mesh"}


def test_every_container_is_locked_down() -> None:
    for service in SERVICES.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
        assert {"privileged", "cap_add", "user", "devices", "pid"}.isdisjoint(service)


def test_a_process_understands_every_setting_it_is_given() -> None:
    for name, service in SERVED.items():
        settings = settings_of(service)
        assert settings.port == topology.BASE_PORT + MESH[name].port
        assert set(settings.peers) == {address(callee) for callee in MESH[name].asks}
        assert set(settings.tools) == {address(callee) for callee in MESH[name].uses}
        assert not settings.is_loopback


def test_nothing_is_set_that_the_topology_does_not_grant() -> None:
    everyone = {"HOST", "PORT", "HOME", "KEY", "TRUST", "PEERS", "TOOLS", "PUBLIC_URL", "LOG_LEVEL"}
    for name, service in SERVED.items():
        given = {variable.removeprefix(PREFIX) for variable in service["environment"]}
        assert given <= everyone | set(MESH[name].settings)


def test_each_process_signs_with_its_own_key() -> None:
    for name, service in SERVED.items():
        settings = settings_of(service)
        assert settings.key == Path(f"/run/secrets/meshwright/keys/{name}.json")
        assert settings.trust == Path("/run/secrets/meshwright/trust.json")
        assert "keys:/run/secrets/meshwright:ro" in service["volumes"]
        assert service["depends_on"]["keys"] == {"condition": "service_completed_successfully"}


def test_only_the_orchestrator_and_the_console_can_be_reached_and_only_from_this_machine() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"orchestrator": ["127.0.0.1:8400:8400"], "console": ["127.0.0.1:8420:8420"]}
    assert COMPOSE["networks"]["mesh"] == {"internal": True}
    outside = {name for name, service in SERVICES.items() if "door" in service.get("networks", ())}
    assert outside == {"orchestrator", "console"}


def test_the_console_starts_only_with_people_who_log_in_and_at_the_name_that_they_call_it_by() -> None:
    console, settings = SERVICES["console"], settings_of(SERVICES["console"])
    assert console["profiles"] == ["console"], "as long as nobody may log in the others start without it"
    assert settings.console_users == Path("/run/secrets/meshwright") / Home(Path()).people.name
    assert settings.public_url == "http://127.0.0.1:8420"
    assert settings.tools == ()


def test_only_tool_servers_see_the_shop_and_wait_until_it_is_there() -> None:
    for name, service in SERVED.items():
        is_tool = MESH[name].kind == "mcp"
        assert ("shop:/var/lib/shop" in service["volumes"]) == is_tool
        assert ("shop" in service["depends_on"]) == is_tool
        assert (settings_of(service).shop is not None) == is_tool
    shops = {settings_of(SERVICES[name]).shop for name in (*MESH, "shop")} - {None}
    assert len(shops) == 1


def test_what_an_agent_keeps_is_on_the_disk_and_its_own() -> None:
    homes = {
        name: [
            mount.partition(":")[0] for mount in service["volumes"] if mount.endswith(":/var/lib/meshwright")
        ]
        for name, service in SERVED.items()
        if MESH[name].kind == "a2a"
    }
    kept = [volume for (volume,) in homes.values()]
    assert len(set(kept)) == len(homes), "its tasks are none of the others' business"
    for name in homes:
        assert settings_of(SERVED[name]).home == Path("/var/lib/meshwright")
        assert not any("/var/lib/meshwright" in mount for mount in SERVED[name]["tmpfs"]), (
            "as memory it is full after some thousand tasks, and takes no more until the first are old"
        )


def test_every_process_is_asked_whether_it_is_ready_and_given_time_to_leave() -> None:
    for service in SERVED.values():
        assert "/readyz" in service["healthcheck"]["test"][-1]
        compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
        assert int(service["stop_grace_period"].removesuffix("s")) >= LEAVING + 5


def test_what_is_mounted_or_joined_is_declared() -> None:
    for service in SERVICES.values():
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
        assert set(service.get("networks", ())) <= set(COMPOSE["networks"])
        assert ("networks" in service) != ("network_mode" in service), "compose takes one or the other"


def test_docker_compose_reads_it() -> None:
    docker = shutil.which("docker")
    if (
        not docker
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no docker with compose here")
    command = [docker, "compose", "--file", str(ROOT / "compose.yaml"), "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
