"""A start is quick because of what it does not import, and nobody who comes too early is lost."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import agent_cards
from meshwright.card import offered
from meshwright.inbound.cardroute import PATH, card_routes
from meshwright.inbound.front import Front
from meshwright.settings import SettingsError
from meshwright.testing.inprocess import lifespan_of
from meshwright.testing.processes import free_base

ROOT = Path(__file__).parents[2]
MAINS = sorted(p for p in ROOT.glob("*/*/__main__.py") if p.parts[-3] in ("agents", "tools"))
#: Serves the card of the agent, and asks for it from the thread in which the app would be built: what is imported by then?
BEFORE = """
import sys, urllib.request
from meshwright.process import run
from meshwright.settings import SettingsError

def build(settings):
    url = f"http://127.0.0.1:{settings.port}/.well-known/agent-card.json"
    assert urllib.request.urlopen(url).status == 200
    print(*sys.modules)
    raise SettingsError("enough")

run(sys.argv[1], build)
"""
#: Serves a process and stops it once it is ready: what is imported by then?
READY = """
import os, runpy, signal, sys, threading, urllib.error, urllib.request

def watch():
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{os.environ['MESHWRIGHT_PORT']}/readyz")
            break
        except OSError:
            pass
    print(*sys.modules, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=watch, daemon=True).start()
runpy.run_module(sys.argv[1], run_name="__main__")
"""


def environment(home: Path, port: int) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MESHWRIGHT_", "OTEL_"))}
    return {
        **plain,
        "MESHWRIGHT_PORT": str(port),
        "MESHWRIGHT_HOME": str(home),
        "MESHWRIGHT_DATABASE": "memory:",
        "MESHWRIGHT_LOG_LEVEL": "ERROR",
    }


def imported(code: str, name: str, home: Path) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", code, name],
        cwd=ROOT,
        env=environment(home, free_base(1)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout, run.stderr
    return set(run.stdout.split())


def test_an_agents_card_is_served_before_anything_is_imported_that_only_its_work_needs(
    tmp_path: Path,
) -> None:
    modules = imported(BEFORE, "advisor", tmp_path)
    heavy = "advisor a2a.server a2a.client a2a.compat httpx aiohttp joserfc cryptography grpc mcp opentelemetry sqlite3"
    assert not modules & {
        *heavy.split(),
        "meshwright.findings",
        "meshwright.database",
        "meshwright.inbound.server",
    }


def test_a_card_that_lists_0_3_costs_its_types_and_no_server(tmp_path: Path) -> None:
    modules = imported(BEFORE, "orchestrator", tmp_path)
    assert "a2a.compat.v0_3.types" in modules
    assert not modules & {"a2a.server", "a2a.client", "httpx", "aiohttp", "joserfc", "langgraph", "grpc"}


def test_an_agent_that_is_ready_has_imported_no_model_no_graph_and_no_tool_server(tmp_path: Path) -> None:
    modules = imported(READY, "advisor", tmp_path)
    assert "advisor.agent" in modules
    heavy = "litellm openai langgraph langchain_core langsmith mcp mcp_types rich pygments typer httpcore asyncpg numpy"
    heavy += " opentelemetry.sdk opentelemetry.proto requests"  # and nothing that exports, where nothing is exported
    assert not modules & set(heavy.split())


@pytest.mark.parametrize("main", MAINS, ids=lambda p: p.parent.name)
def test_every_process_names_what_it_serves_and_imports_it_later(main: Path) -> None:
    tree = ast.parse(main.read_text())
    [call] = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.args]
    name, where = (ast.literal_eval(argument) for argument in call.args)
    module, _, attribute = where.partition(":")
    found = getattr(import_module(module), attribute)
    assert name == main.parent.name == getattr(found, "name", name)
    [door] = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert door in ("meshwright", "meshwright.process")


# The front


class Late:
    """An app that is built, and started, when the test says so."""

    def __init__(self) -> None:
        self.build_now, self.start_now = threading.Event(), asyncio.Event()
        self.starting = asyncio.Event()
        self.ended = self.drained = False
        self.fails: Exception | None = None
        self.told = asyncio.Event()
        self.card = offered(agent_cards.load("orders"), 0)
        self.front = Front("orders", self.card, None, self.build, self.told.set)

    def build(self) -> Starlette:
        self.build_now.wait(20)
        if self.fails:
            raise self.fails
        routes = [Route("/work", self.work, methods=["POST"]), *card_routes(self.card, None)]
        app = Starlette(routes=routes, lifespan=self.life)
        app.state.drain = self.drain
        return app

    @asynccontextmanager
    async def life(self, app: Starlette) -> AsyncIterator[None]:
        self.starting.set()
        await self.start_now.wait()
        yield
        self.ended = True

    async def work(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    def drain(self) -> None:
        self.drained = True

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.front), base_url="http://orders")


async def test_before_it_has_started_it_says_who_it_is_and_to_come_back_and_then_it_works() -> None:
    late = Late()
    async with lifespan_of(late.front), late.client() as client:
        early = await client.get(PATH)
        assert (await client.get("/livez")).json() == {"alive": True, "name": "orders"}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["waiting_for"]) == (503, {"start": "starting"})
        for path in ("/work", "/"):
            refused = await client.post(path, content=b"x")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        late.build_now.set()
        await late.starting.wait()
        assert (await client.post("/work", content=b"x")).status_code == 503, "built is not started"
        late.start_now.set()
        await late.told.wait()
        assert (await client.post("/work", content=b"x")).text == "x"
        kept = await client.get(PATH, headers={"if-none-match": early.headers["etag"]})
        assert kept.status_code == 304, "the card is the same before and after"
        late.front.drain()
        assert late.drained
    assert late.ended
    assert late.front.failure is None


async def test_what_keeps_it_from_starting_is_told() -> None:
    late = Late()
    late.fails = SettingsError("no such thing")
    late.build_now.set()
    async with lifespan_of(late.front), late.client() as client:
        await late.told.wait()
        assert (await client.get("/readyz")).status_code == 503
    assert late.front.failure is late.fails


async def test_one_that_is_stopped_while_it_starts_starts_no_work() -> None:
    late = Late()
    async with lifespan_of(late.front):
        late.start_now.set()
        late.build_now.set()
    assert late.ended, "what was opened is closed again"


@contextlib.contextmanager
def process(module: str, home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=environment(home, port), stderr=subprocess.PIPE
    ) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=30)


async def test_from_the_first_answer_on_no_request_is_lost_while_the_app_takes_over(tmp_path: Path) -> None:
    port, seen = free_base(1), set[int]()
    question: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    with process("advisor", tmp_path, port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while not seen:
                with contextlib.suppress(httpx.ConnectError):
                    seen.add((await client.get(PATH)).status_code)

            async def knock() -> None:
                """Ask until it is worked on; each answer is one of the two."""
                while True:
                    answer = await client.post("/", json=question, headers={"a2a-version": "1.0"})
                    seen.add(answer.status_code)
                    if answer.status_code != 503:
                        assert "result" in answer.json()
                        return

            await asyncio.wait_for(asyncio.gather(*(knock() for _ in range(8))), 30)
    assert seen == {200, 503}


def test_a_process_that_serves_something_of_another_name_does_not_start(tmp_path: Path) -> None:
    code = 'from meshwright import serve; serve("advisor", "orders.agent:AGENT")'
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(tmp_path, free_base(1)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("advisor: orders.agent:AGENT is called 'orders'")
