"""A process that cannot start says in its last line what to do, and exits with 2."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


def last_words(tmp_path: Path, process: str = "advisor", **settings: str) -> tuple[int, str]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'agents'}",
        "MESHWRIGHT_HOME": str(tmp_path),
        **settings,
    }
    run = subprocess.run(
        [sys.executable, "-m", process],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.returncode, run.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "MESHWRIGHT_DATABASE: no use of PostgreSQL"),
        ("sqlite:////proc/none/x.db", "MESHWRIGHT_DATABASE: cannot open"),
        ("mysql://x", "MESHWRIGHT_DATABASE must be sqlite:///"),
    ],
)
def test_a_database_that_cannot_be_had(tmp_path: Path, url: str, words: str) -> None:
    code, said = last_words(tmp_path, MESHWRIGHT_DATABASE=url)
    assert code == 2
    assert said.startswith(f"advisor: {words}")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = last_words(tmp_path, MESHWRIGHT_PORT=str(port))
    assert (code, said) == (
        2,
        f"advisor: cannot listen on 127.0.0.1:{port}: set MESHWRIGHT_PORT to a free port",
    )


def test_an_address_that_is_not_of_this_machine(tmp_path: Path) -> None:
    code, said = last_words(tmp_path, MESHWRIGHT_HOST="192.0.2.1", MESHWRIGHT_PORT="0")
    assert (code, said) == (
        2,
        "advisor: cannot listen on 192.0.2.1:0: set MESHWRIGHT_HOST to an address of this machine",
    )


def test_a_console_that_would_stand_open(tmp_path: Path) -> None:
    open_house = {"MESHWRIGHT_HOST": "0.0.0.0", "MESHWRIGHT_PEERS": "http://127.0.0.1:1"}
    code, said = last_words(tmp_path, "console", **open_house)
    assert code == 2
    assert said.startswith("console: 0.0.0.0 can be reached from other machines")
    assert "meshwright keys person NAME" in said


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", "billing.agent has no 'AGENT': serve what is there, as module:NAME"),
        ("AGENT = print\n", "billing.agent:AGENT must be an Agent; it is: builtin_function_or_method"),
        (
            "from meshwright.agent import Agent\nAGENT = Agent('orders', playbook=print)\n",
            "billing.agent:AGENT is called 'orders', and served as 'billing': one of the two is wrong",
        ),
        ("def (\n", "SyntaxError: invalid syntax"),
    ],
)
def test_an_agent_of_ones_own_that_is_not_what_is_served(tmp_path: Path, code: str, words: str) -> None:
    scaffold = [sys.executable, "-m", "meshwright.cli", "new", "agent", "billing"]
    subprocess.run(scaffold, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, check=True)
    (tmp_path / "agents" / "billing" / "agent.py").write_text(code)
    returned, said = last_words(tmp_path, "billing", PYTHONPATH=f"{ROOT}:{tmp_path / 'agents'}")
    assert said in (words, f"billing: {words}")
    assert returned != 0


def lacking(tmp_path: Path, module: str) -> str:
    """An import path on which `module` is as good as not installed."""
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('no {module}', name='{module}')\n")
    return f"{tmp_path}:{ROOT}:{ROOT / 'agents'}:{ROOT / 'tools'}"


@pytest.mark.parametrize(
    ("process", "module", "extra"),
    [
        ("advisor", "a2a", "agent"),
        ("console", "jinja2", "console"),
        ("orchestrator", "cedarpy", "orchestrator"),
    ],
)
def test_a_process_without_what_it_stands_on(tmp_path: Path, process: str, module: str, extra: str) -> None:
    more = {"PYTHONPATH": lacking(tmp_path, module), "MESHWRIGHT_PEERS": "http://127.0.0.1:1"}
    code, said = last_words(tmp_path, process, **more)
    assert (code, said) == (
        2,
        f"{process}: {module} is not installed: pip install 'meshwright[{extra}]'",
    )


def test_the_command_line_without_what_it_stands_on(tmp_path: Path) -> None:
    code, said = last_words(tmp_path, "meshwright.cli", PYTHONPATH=lacking(tmp_path, "typer"))
    assert (code, said) == (1, "error: the command line needs typer: pip install 'meshwright[mesh]'")


def test_an_orchestrator_that_cannot_make_its_graph_says_so_and_stays_unready(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": lacking(tmp_path, "langgraph"),
        "MESHWRIGHT_HOME": str(tmp_path),
        "MESHWRIGHT_PORT": str(port),
    }
    command = [sys.executable, "-m", "orchestrator"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            assert any("the graph cannot be made" in line for line in child.stderr)
            answer = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
        finally:
            child.terminate()
            child.communicate(timeout=60)
    assert answer.status_code == 503
    assert answer.json()["waiting_for"]["graph"] == "cannot be made: ModuleNotFoundError, see the log"
    assert child.returncode in (0, -15)
