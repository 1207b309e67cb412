"""kill -9 of an agent that waits for an effect, of the one below it, and of the orchestrator: the effect happens once, the work goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel

from aggregator.agent import AGENT as AGGREGATOR
from meshwright.agent import Agent, Job
from meshwright.cli import keys
from meshwright.cli.home import Home
from meshwright.findings import Split, Subtask
from meshwright.inbound.identity import load_identity
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.settings import Settings
from meshwright.testing import policy_in, serving
from meshwright.testing.processes import free_base
from meshwright.toolserver import Access, Call, ToolServer

HERE = Path(__file__).parent
PATIENCE = 60.0
RULES = '@id("any") @source("test") @why("anything is painted") permit (principal, action == Action::"paint", resource);'
COMMANDS = {
    "orders": [str(HERE / "member.py"), "orders"],
    "returns": [str(HERE / "member.py"), "returns"],
    "orchestrator": ["-m", "orchestrator"],
}


class Done(BaseModel):
    summary: str


class Places:
    """Where work stops until a test lets it go on: the first time that it comes there."""

    def __init__(self) -> None:
        self.painted: list[str] = []
        self._wanted = ""
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    def expect(self, place: str) -> None:
        self._wanted, self.reached, self.go_on = place, asyncio.Event(), asyncio.Event()

    async def at(self, place: str) -> None:
        if place == self._wanted:
            self._wanted = ""
            self.reached.set()
            await self.go_on.wait()

    def server(self) -> ToolServer:
        server = ToolServer("workshop", version="1")
        keys: set[str] = set()

        @server.read
        async def stop_at(place: str) -> Done:
            """Stop here."""
            await self.at(place)
            return Done(summary=place)

        @server.write
        async def paint(ticket: str, colour: str, call: Call) -> Done:
            """Paint it."""
            if call.key not in keys:
                keys.add(call.key)
                self.painted.append(ticket)
            await self.at("paint")
            return Done(summary=colour)

        return server


async def split(subtask: Subtask, job: Job) -> Split:
    return Split(topic="paint", subtasks=[Subtask(id="p", skill="order-change", instruction="paint it")])


class Team:
    """Three processes that can be killed and started again; who they need besides is in this one."""

    def __init__(self, folder: Path, home: Home, urls: dict[str, str]) -> None:
        self._folder, self._home, self._base = folder, home, free_base()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        places = {name: f"http://127.0.0.1:{self._base + i}" for i, name in enumerate(COMMANDS)}
        self.urls = {**places, **urls}

    async def start(self, name: str) -> None:
        settings = {
            "HOME": self._home.path,
            "PORT": self.urls[name].rpartition(":")[2],
            "LEASE": "1.5",
            "KEY": self._home.key(name),
            "TRUST": self._home.trust,
            "TOOLS": self.urls["workshop"],
            "POLICY": self._folder / "policy",
            "DEADLINE": "50",
            "REFRESH": "1",
            "LOG_LEVEL": "WARNING",
        }
        asks = {"orders": ("returns",), "orchestrator": ("triage", "orders", "aggregator")}.get(name, ())
        settings["PEERS"] = ",".join(self.urls[peer] for peer in asks)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")}
        environ |= {f"MESHWRIGHT_{key}": str(value) for key, value in settings.items()}
        process = self._running[name] = self._process(name, environ)
        async with httpx.AsyncClient() as http, asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.urls[name]}/readyz")).status_code == 200:
                        return
                assert process.poll() is None, (self._folder / f"{name}.log").read_text()[-2000:]
                await asyncio.sleep(0.02)

    def _process(self, name: str, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("a") as log:
            return subprocess.Popen([sys.executable, *COMMANDS[name]], env=environ, stderr=log, stdout=log)

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        for name in list(self._running):
            self.kill(name)

    async def rpc(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            answer = await http.post(self.urls["orchestrator"], json=body, headers={"A2A-Version": "1.0"})
        result: dict[str, Any] = answer.json()["result"]
        return result

    async def ended(self, task_id: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    task = await self.rpc("GetTask", {"id": task_id})
                    if task["status"]["state"] not in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"):
                        return task
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def team_in(folder: Path) -> AsyncIterator[tuple[Team, Places]]:
    policy_in(
        folder / "policy", rules=RULES, actions={"paint": "ticket: String, colour: String"}, speaks=False
    )
    home = Home.at(folder / "home")
    names = [*COMMANDS, "triage", "aggregator", "workshop"]
    keys.ensure(home, names)
    places, urls = Places(), {}
    async with contextlib.AsyncExitStack() as stack:
        for name in ("triage", "aggregator", "workshop"):
            settings = Settings(home=folder / name, key=home.key(name), trust=home.trust, grace=0)
            identity = load_identity(name, settings)
            agent = AGGREGATOR if name == "aggregator" else Agent("triage", playbook=split, answers=Split)
            access = Access(dict.fromkeys(names, ("*",)), {"orchestrator": ("*",)})
            is_tool = name == "workshop"
            app = (
                tool_app(places.server(), settings, identity, access)
                if is_tool
                else agent_app(agent, settings, identity)
            )
            urls[name] = await stack.enter_async_context(serving(app))
        team = Team(folder, home, urls)
        stack.callback(team.kill_all)
        await asyncio.gather(*(team.start(name) for name in COMMANDS))
        yield team, places
        places.go_on.set()


async def test_who_dies_in_the_middle_of_a_proposal_is_gone_on_from(tmp_path: Path) -> None:
    cases = [
        ("orders", "orders-after"),
        ("returns", "returns-after"),
        ("orchestrator", "paint"),
    ]
    async with team_in(tmp_path) as (team, places):
        for number, (victim, place) in enumerate(cases):
            places.expect(place)
            message = {"messageId": f"m{number}", "role": "ROLE_USER", "parts": [{"text": "paint it"}]}
            how = {"returnImmediately": True}
            task = (await team.rpc("SendMessage", {"message": message, "configuration": how}))["task"]
            async with asyncio.timeout(PATIENCE):
                await places.reached.wait()
            team.kill(victim)
            places.go_on.set()
            await team.start(victim)
            task = await team.ended(task["id"])
            assert task["status"]["state"] == "TASK_STATE_COMPLETED", (victim, place)
            words, report = (task["artifacts"][-1]["parts"][i] for i in (0, 1))
            assert words["text"].startswith("applied, says returns."), (victim, place, report["data"]["gaps"])
            assert len(places.painted) == number + 1, (victim, place)
    assert len(set(places.painted)) == len(cases)
