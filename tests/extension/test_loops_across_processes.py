"""Agents in processes of their own, as `meshwright new agent` lays them out, that ask one another in a row and in a circle."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from meshwright.cli import keys
from meshwright.cli.home import Home
from meshwright.deadline import Deadline
from meshwright.errors import DelegationLoop
from meshwright.inbound.identity import Identity, Signer, Trust
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.peer import Answer

#: Whom each of them asks. `east` and `west` go in a circle.
ASKS = {"north": ("south",), "south": ("sea",), "sea": (), "east": ("west",), "west": ("east",)}
AGENT = '''"""Asks whoever comes next, if anybody does."""

from meshwright import Agent, Finding, Job, Subtask
from meshwright.serve import serve

NEXT = {next}


async def playbook(subtask: Subtask, job: Job) -> Finding:
    if not NEXT:
        return Finding(reply="water")
    found = await job.peers.ask(f"{{NEXT[0]}}-report", "what is there?")
    return Finding(reply=f"{name}, {{found.reply}}")


AGENT = Agent("{name}", playbook=playbook)

if __name__ == "__main__":
    serve("{name}", "{name}:AGENT")
'''


def card(name: str) -> str:
    skill = {
        "id": f"{name}-report",
        "name": "Report",
        "description": "Says what is there.",
        "tags": ["report"],
    }
    modes = ["application/json", "text/plain"]
    return json.dumps(
        {
            "name": name.title(),
            "description": "Reports.",
            "version": "1.0.0",
            "capabilities": {"streaming": True},
            "defaultInputModes": modes,
            "defaultOutputModes": modes,
            "skills": [skill],
        }
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder with everyone's keys, and where everyone is."""
    folder = tmp_path_factory.mktemp("compass")
    with ExitStack() as held:
        listeners = {name: held.enter_context(socket.socket()) for name in ASKS}
        for listener in listeners.values():
            listener.bind(("127.0.0.1", 0))
        urls = {name: f"http://127.0.0.1:{each.getsockname()[1]}" for name, each in listeners.items()}
    place = Home.at(folder)
    place.make()
    keys.ensure(place, list(ASKS))
    (folder / "agent_cards").mkdir()
    with ExitStack() as stack:
        for name, asks in ASKS.items():
            (folder / f"{name}.py").write_text(AGENT.format(name=name, next=asks))
            (folder / "agent_cards" / f"{name}.json").write_text(card(name))
            environ = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")}
            environ |= {
                "MESHWRIGHT_HOME": str(folder),
                "MESHWRIGHT_PORT": urls[name].rsplit(":", 1)[1],
                "MESHWRIGHT_KEY": str(place.key(name)),
                "MESHWRIGHT_TRUST": str(place.trust),
                "MESHWRIGHT_PEERS": ",".join(urls[peer] for peer in asks),
            }
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", name], cwd=folder, env=environ, stdout=log, stderr=log
            )
            stack.callback(process.wait, 15)
            stack.callback(process.terminate)
        yield folder, urls


async def ask(home: tuple[Path, dict[str, str]], name: str) -> Answer:
    folder, urls = home
    place = Home.at(folder)
    jwk = json.loads(place.key(keys.OPERATOR).read_text())
    me = Identity("operator", Signer.from_jwk("operator", jwk), Trust("operator", {}))
    async with asyncio.timeout(60), httpx.AsyncClient() as plain:
        for url in urls.values():
            while not await _is_ready(plain, url):
                await asyncio.sleep(0.1)
    async with http_client() as http:
        directory = Directory([urls[name]], http, me)
        await directory.refresh()
        part = {"subtask": {"id": "s", "skill": f"{name}-report", "instruction": "what is there?"}}
        return await directory.candidates(f"{name}-report")[0].ask(part, by=Deadline.after(20))


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url + "/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_row_of_three_processes_answers(home: tuple[Path, dict[str, str]]) -> None:
    answer = await ask(home, "north")
    assert answer.data[0]["reply"] == "north, south, water"


async def test_two_processes_that_ask_one_another_end_with_an_error_that_names_the_loop(
    home: tuple[Path, dict[str, str]],
) -> None:
    with pytest.raises(DelegationLoop, match="east → west → east"):
        await ask(home, "east")
