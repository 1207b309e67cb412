"""What a playbook in a worker has, and what it has not: its tools, its time, and nothing of its server or of the task before."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.runaway.household import ROOT, Household, gone_within, household, parents
from benchmarks.runaway.wild import AGENT
from meshwright.inbound.server import agent_app
from meshwright.isolation.fence import obstacle
from meshwright.settings import Settings, SettingsError
from meshwright.testing import Keyring


async def test_tools_work_through_the_pipe_and_are_counted(ask, wild: Household) -> None:
    told = await ask(wild, "tool")
    assert told.facts["seen"] == [f"T{number}" for number in range(20)]
    assert told.usage["tools"] == ["workshop.look_at"] * 20


async def test_the_errors_of_tools_arrive_as_what_they_are(ask, wild: Household) -> None:
    told = await ask(wild, "refused")
    assert told.facts == {
        "look_at": "ToolRefused|there is no such thing|",
        "nothing": "NotFound|no tool server offers 'nothing'|",
        "break_down": "PeerUnreachable|workshop: break_down broke; its log says why|workshop",
    }


async def test_a_tool_that_hangs_has_the_callers_deadline(ask, wild: Household) -> None:
    told = await ask(wild, "hang-on-a-tool", seconds=1)
    assert told.code in ("PEER_TIMED_OUT", "DEADLINE_EXCEEDED")


async def test_an_error_of_the_playbook_is_told_and_one_of_its_code_is_not(ask, wild: Household) -> None:
    told = await ask(wild, "says-no")
    assert (told.state, told.code, told.text) == ("FAILED", "TOOL_REFUSED", "not like this")
    told = await ask(wild, "understands-nothing")
    assert (told.state, told.code, told.text) == ("REJECTED", "INVALID_REQUEST", "which one?")
    told = await ask(wild, "breaks")
    assert told.code == "INTERNAL"
    assert "4711" not in told.text
    assert "the secret is 4711" in wild.log.read_text(), "the log has the traceback"


async def test_a_worker_has_nothing_of_its_server(ask, tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, MODEL_KEY="4711") as wild:
        told = await ask(wild, "surroundings")
    assert not [name for name in told.facts["environment"] if name.startswith("MESHWRIGHT_")]
    assert "PATH" in told.facts["environment"], "what is not ours is the author's"
    assert told.facts["block"] == ""
    assert told.facts["title"] == "meshwright worker of wild"
    assert told.facts["files"] == [], "no database, no key"
    assert told.facts["sockets"] == 3, "its pipe, and two of its own event loop"


async def test_every_invocation_is_the_first_of_its_process(ask, wild: Household) -> None:
    first, second = await ask(wild, "surroundings"), await ask(wild, "surroundings")
    assert first.facts["left"] == second.facts["left"] == 1
    assert first.pid != second.pid


async def test_more_may_come_at_once_than_workers_wait(ask, wild: Household) -> None:
    told = await asyncio.gather(*(ask(wild, "well", seconds=30) for _ in range(30)))
    assert {one.state for one in told} == {"COMPLETED"}
    assert len({one.pid for one in told}) == 30


async def test_a_worker_knows_its_time_and_its_tokens(ask, wild: Household) -> None:
    told = await ask(wild, "surroundings", seconds=5)
    assert 0 < told.facts["remaining"] <= 5
    assert told.facts["tokens"] == Settings().budget_tokens


async def test_a_worker_cannot_signal_its_server(ask, wild: Household) -> None:
    told = await ask(wild, "kill-everybody")
    assert told.facts["refusals"] == [1, 1]


async def test_the_setting_decides_against_the_agent(ask, tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, ISOLATION="task") as wild:
        told = await ask(wild, "well")
    assert told.pid == wild.process.pid


def test_an_agent_that_wants_workers_is_not_served_without(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"wild: isolation .process. needs meshwright\.serve,"):
        agent_app(AGENT, Settings(home=tmp_path), Keyring("wild").identity("wild"))


THREADED = """
import threading
from benchmarks.runaway.wild import AGENT
threading.Thread(target=threading.Event().wait, daemon=True, name="made at import").start()
"""
TAME = """
from dataclasses import replace
from benchmarks.runaway import wild
AGENT = replace(wild.AGENT, isolation="task")
"""


def test_threads_that_a_module_starts_are_named_and_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"started threads: made at import; .*MESHWRIGHT_ISOLATION=task"):
        with household(tmp_path / "here", tools=False, source=THREADED):
            pass


def test_where_no_worker_is_wanted_no_nursery_stays(tmp_path: Path) -> None:
    with household(tmp_path / "here", tools=False, source=TAME) as tame:
        children = [pid for pid, parent in parents().items() if parent == tame.process.pid]
        assert gone_within(5, *children) == []


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "riscv64")]
)
def test_where_workers_cannot_be_fenced_in_they_are_refused(system: str, machine: str) -> None:
    assert f"{system} on {machine}" in str(obstacle(system, machine))
    assert obstacle() is None


@pytest.mark.parametrize(
    ("modules", "rooms"),
    [
        ("standby.agent, meshwright.process", set()),
        (
            "standby.agent, meshwright.inbound.server",
            {"meshwright.isolation.cradle", "meshwright.isolation.fence"},
        ),
    ],
)
def test_isolation_costs_nothing_where_it_is_not_wanted(modules: str, rooms: set[str]) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {name for name in loaded if name.startswith("meshwright.isolation.")} == rooms
    assert "multiprocessing" not in loaded or "meshwright.inbound.server" in loaded
