"""kill -9 between a reservation and its settlement: no token above a limit reaches the model server, and nothing stays reserved.

Real processes; the model server counts, with a token for each byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from meshwright.database import Database, Row, Transaction, open_database
from meshwright.ledger import standing, sweep
from meshwright.testing import ScriptedModel
from meshwright.testing.processes import free_base

HERE = Path(__file__).parent
#: Seconds until something must have happened, on a machine where others work too.
PATIENCE = 60.0
#: Seconds; not much less than a process stands still for that imports LiteLLM on a busy machine.
LEASE = "2.5"
ANSWER = json.dumps({"reply": "It is blue. " * 140})


class Team:
    """Processes that can be killed and started again; all of one name share a store."""

    def __init__(self, home: Path, url: str, model: ScriptedModel) -> None:
        self._home, self._base = home, free_base()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")} | {
            "MESHWRIGHT_HOME": str(home),
            "MESHWRIGHT_LEASE": LEASE,
            "MESHWRIGHT_DATABASE": url,
            "MESHWRIGHT_DEADLINE": "50",
            "MESHWRIGHT_MODEL": "openai/scripted",
            "MESHWRIGHT_MODEL_URL": model.url,
            "MESHWRIGHT_MODEL_KEY": "k",
        }

    def address(self, place: int) -> str:
        return f"http://127.0.0.1:{self._base + place}"

    async def start(self, place: int, *command: str, **settings: str) -> None:
        """Start what listens at `place`, and wait until it is ready."""
        named = {f"MESHWRIGHT_{name.upper()}": value for name, value in settings.items()}
        environment = {**self._environment, "MESHWRIGHT_PORT": str(self._base + place), **named}
        self._running[place] = _process(list(command), environment, self._home / f"{place}.log")

        async def ready(http: httpx.AsyncClient) -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await http.get(f"{self.address(place)}/readyz")).status_code == 200
            return False

        async with httpx.AsyncClient() as http:
            await until(lambda: ready(http), f"{command} is ready")

    def kill(self, place: int) -> None:
        process = self._running.pop(place)
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        for place in list(self._running):
            self.kill(place)

    async def send(self, place: int, text: str) -> str:
        """A message that is accepted and not waited for; the id of its task."""
        message = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}]}
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "SendMessage",
            "params": {"message": message, "configuration": {"returnImmediately": True}},
        }
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            answer = await http.post(self.address(place), json=body, headers={"A2A-Version": "1.0"})
        return str(answer.json()["result"]["task"]["id"])


def _process(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("a") as out:
        return subprocess.Popen([sys.executable, *command], env=environment, stdout=out, stderr=out)


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Look until something is so that other processes bring about."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await true():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never came to this: {what}") from None


@contextlib.asynccontextmanager
async def around(home: Path, url: str) -> AsyncIterator[tuple[Team, Database, ScriptedModel]]:
    """A team that is still to be started, its store, and its model server."""
    async with ScriptedModel([ANSWER], bytes_per_token=1).serving() as model:
        store, team = await open_database(url), Team(home, url, model)
        try:
            yield team, store, model
        finally:
            team.kill_all()
            await store.close()


async def accounts(store: Database) -> dict[str, Row]:
    return {row["kind"]: row for row in await store.read(standing)}


async def asked(model: ScriptedModel, times: int) -> None:
    async def so_often() -> bool:
        return len(model.asked) >= times

    await until(so_often, f"the model is asked {times} times")


async def ended(store: Database, task: str) -> None:
    async def it_is() -> bool:
        rows = await store.execute("SELECT work FROM tasks WHERE id = ?", task)
        return bool(rows) and rows[0]["work"] == "ended"

    await until(it_is, f"task {task} ends")


async def after_an_hour(store: Database) -> None:
    """What is held now has been held for an hour, and the sweeper comes by."""

    async def op(tx: Transaction) -> None:
        await tx.execute("UPDATE budget_holds SET until = until - 3600.0")
        await sweep(tx, 86_400)

    await store.write(op)


@pytest.mark.timeout(180)
async def test_replicas_that_are_killed_in_the_middle_of_a_models_call_spend_no_more_than_the_day_has(
    tmp_path: Path, url: str
) -> None:
    limits = {"budget_day_tokens": "24000", "budget_tokens": "12000"}
    replica = (str(HERE / "member.py"), "orders")
    async with around(tmp_path, url) as (team, store, model):
        model.says([{"hang": True, "text": ANSWER}])
        for place in (0, 1):
            await team.start(place, *replica, **limits)
        for number, place in enumerate((0, 1)):
            task = await team.send(place, f"question {number}")
            await asked(model, number + 1)
            team.kill(place)
            if place == 1:
                await team.start(0, *replica, **limits)
            await ended(store, task)
            assert len(model.asked) == number + 1, "who took over had tokens that may have been spent"
        await ended(store, await team.send(0, "one more"))  # by the book: there is nothing left of the day
        assert (await accounts(store))["agent"]["tokens_held"] > 0, "who died holds it still"
        await after_an_hour(store)
        found = list(await store.read(standing))
    (agent,) = [row for row in found if row["kind"] == "agent"]
    assert len(model.bills) == 2
    assert 8_000 < model.used <= agent["tokens"] <= 24_000
    assert {(row["tokens_held"], row["micros_held"]) for row in found} == {(0, 0)}


@pytest.mark.timeout(180)
async def test_an_orchestrator_that_is_killed_before_it_settles_is_charged_once_what_its_agent_spent(
    tmp_path: Path, url: str
) -> None:
    own = {"database": f"sqlite:///{tmp_path}/team.db", "model": ""}
    async with around(tmp_path, url) as (team, store, model):
        model.says([{"late": True, "text": ANSWER}])
        await asyncio.gather(
            team.start(1, str(HERE / "member.py"), "triage", **own),
            team.start(2, str(HERE / "member.py"), "orders", **own | {"model": "openai/scripted"}),
            team.start(3, "-m", "aggregator", **own),
        )
        peers = ",".join(team.address(place) for place in (1, 2, 3))
        orchestrator, limits = ("-m", "orchestrator"), {"peers": peers, "budget_tokens": "40000", "model": ""}
        await team.start(0, *orchestrator, **limits)
        task = await team.send(0, "What is it?")
        await asked(model, 1)
        team.kill(0)
        assert (await accounts(store))["run"]["tokens_held"] > 0
        token = await token_of(store, task)
        await team.start(0, *orchestrator, **limits)
        await taken_over(store, task, token)
        model.let_go.set()
        await ended(store, task)
        run = (await accounts(store))["run"]
    assert len(model.asked) == 1, "the agent was asked again"
    assert (run["tokens"], run["tokens_held"], run["micros_held"]) == (model.used, 0, 0)


async def token_of(store: Database, task: str) -> int:
    return int((await store.execute("SELECT token FROM tasks WHERE id = ?", task))[0]["token"])


async def taken_over(store: Database, task: str, token: int) -> None:
    async def it_is() -> bool:
        return await token_of(store, task) > token

    await until(it_is, f"another process has task {task}")
