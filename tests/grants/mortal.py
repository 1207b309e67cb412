"""Processes that die at a statement: a driver of a run, and a tool server. Each life is a fork of this one, which has imported all.

Reads commands as lines of JSON on stdin and answers each with one. What is fatal is here and not in the product: the driver gets a
database and a transport that count, and in the tool server's process sqlite3 makes connections that do.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import socket
import sqlite3
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from desk.server import build
from meshwright.database import Database, Transaction, open_database
from meshwright.database.door import Statement
from meshwright.deadline import Deadline
from meshwright.findings import Verdict
from meshwright.inbound.identity import Identity, Signer, Trust
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.toolbox import Toolbox
from meshwright.policy.facts import Closing
from meshwright.policy.rules import Judgement
from meshwright.records.runs import RunStore
from meshwright.settings import Settings
from meshwright.tasks.outbox import Outbox
from meshwright.tasks.snapshot import Claim
from meshwright.toolserver import Access, ToolServer
from orchestrator.checkpoints import Checkpoints
from orchestrator.graph import build as graph_of
from orchestrator.work import Drive

T = TypeVar("T")
WRITES = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "SAVEPOINT", "RELEASE", "COMMIT")


class Fate:
    """Counts the moments at which this process could die, and kills it at one of them; 0 spares it."""

    def __init__(self, at: int) -> None:
        self.at, self.moments = at, 0

    def tick(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalTransaction:
    """A transaction before each statement of which its process can die."""

    def __init__(self, tx: Any, fate: Fate) -> None:
        self._tx, self._fate = tx, fate
        self.skip_locked = tx.skip_locked

    async def execute(self, sql: str, *values: Any) -> list[Any]:
        self._fate.tick()
        return await self._tx.execute(sql, *values)

    async def conclude(self, first: Statement, *then: Statement, wake: str | None = None) -> bool:
        self._fate.tick()
        return await self._tx.conclude(first, *then, wake=wake)

    def wake(self, topic: str) -> None:
        self._tx.wake(topic)

    def at_last(self, finish: Callable[..., Awaitable[None]], *what: Any) -> None:
        async def counted(tx: Transaction, all_of_it: list[Any]) -> None:
            await finish(MortalTransaction(tx, self._fate), all_of_it)

        self._tx.at_last(counted, *what)


class MortalDatabase:
    """A database before and after each commit of which its process can die."""

    def __init__(self, database: Database, fate: Fate) -> None:
        self._database, self._fate = database, fate
        self.listen, self.close, self.read = database.listen, database.close, database.read

    async def write(self, op: Callable[[Transaction], Awaitable[T]]) -> T:
        async def counted(tx: Transaction) -> T:
            result = await op(MortalTransaction(tx, self._fate))
            self._fate.tick()
            return result

        result = await self._database.write(counted)
        self._fate.tick()
        return result

    async def execute(self, sql: str, *values: Any) -> list[Any]:
        return await self.write(lambda tx: tx.execute(sql, *values))


class MortalTransport(httpx.AsyncHTTPTransport):
    """A transport before and after each request of which its process can die."""

    fate: Fate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.fate.tick()
        answer = await super().handle_async_request(request)
        self.fate.tick()
        return answer


class Lenient:
    """A policy that lets through whatever there is."""

    digest = ""

    def __init__(self, closing: Closing | None) -> None:
        self.closing = closing

    async def weigh(self, *around: Any) -> Judgement:
        return Judgement(Verdict(decision="apply", policy="lenient", why="a test"), {}, {}, {})


async def drive(order: dict[str, Any]) -> int:
    """A run, from where it stands to its end. Returns how many moments there were to die in."""
    fate = Fate(order["at"])
    signer = Signer.from_jwk("orchestrator", order["key"])
    identity = Identity("orchestrator", signer, Trust("orchestrator", {}))
    transport = MortalTransport(verify=False)  # there is no TLS, and its context would be half of a life
    transport.fate = fate
    database: Any = MortalDatabase(await open_database(order["url"]), fate)
    run, claim = order["run"], Claim(*order["claim"])

    async def say(line: str) -> None:
        return None

    nobody: Any = None
    policy: Any = Lenient(Closing() if order["closing"] else None)
    async with httpx.AsyncClient(transport=transport, timeout=None) as http:
        context = Drive(
            by=Deadline.after(30),
            purse=nobody,
            directory=nobody,
            toolbox=Toolbox([order["tools"]], http, identity),
            policy=policy,
            store=RunStore(database),
            reviews=nobody,
            say=say,
            outbox=Outbox(database, "orchestrator", claim),
            letters={},
            claim=claim,
            run=run,
        )
        config: Any = {"configurable": {"thread_id": run, "claim": claim}}
        graph = graph_of(Checkpoints(database))
        state = await graph.ainvoke(None, config, context=context, durability="sync")
        assert state["outcome"], "the run has not ended"
    await database.close()
    return fate.moments


class LastWord:
    """Dies before an answer to a call leaves: what was done is done, and nobody hears of it."""

    def __init__(self, app: ASGIApp, fate: Fate) -> None:
        self._app, self._fate = app, fate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def mortal(message: Message) -> None:
            if (
                scope.get("path") == "/mcp"
                and message["type"] == "http.response.start"
                and self._fate.moments
            ):
                self._fate.tick()
            await send(message)

        await self._app(scope, receive, mortal)


def serve(order: dict[str, Any], listener: socket.socket) -> None:
    """The desk, until it dies."""
    fate = Fate(order["at"])

    class MortalConnection(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.startswith(WRITES if fate.moments else "BEGIN IMMEDIATE"):
                fate.tick()
                Path(order["count"]).write_text(str(fate.moments))
            return super().execute(sql, *values)

    sqlite3.connect = functools.partial(sqlite3.connect, factory=MortalConnection)  # type: ignore[assignment]
    settings = Settings(shop=Path(order["shop"]))
    identity = Identity("desk", None, Trust.from_document("desk", order["trust"]))
    app = tool_app(build(settings), settings, identity, Access({}, {"orchestrator": ("desk.*",)}))
    config = uvicorn.Config(LastWord(app, fate), log_level="critical", lifespan="on")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def forked(life: Callable[[], int]) -> int:
    """The pid of a process that lives `life` and ends with what it returns."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = life()
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def guarded(order: dict[str, Any], listener: socket.socket) -> int:
    """A tool server that is started again when it dies, and then lives for ever; all one process group."""
    os.setsid()
    first = ended(forked(lambda: serve(order, listener) or 0))
    Path(order["count"] + ".died").write_text(f"{order['at']} {first}")
    serve({**order, "at": 0}, listener)
    return 0


def main() -> None:
    # what a server imports late is here before anybody is forked
    empty = tool_app(
        ToolServer("empty", version="1"), Settings(), Identity("empty", None, Trust("empty", {})), Access()
    )
    uvicorn.Config(empty, lifespan="on").load()
    groups: list[int] = []
    for line in sys.stdin:
        order = json.loads(line)
        if (
            order["do"] == "rehearse"
        ):  # a life of our own: what is imported late is here before anybody is forked
            answer: Any = asyncio.run(drive(order))
        elif order["do"] == "drive":
            answer = ended(forked(lambda order=order: asyncio.run(drive(order))))  # type: ignore[misc]
        elif order["do"] == "serve":
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen(64)
                groups.append(forked(lambda o=order, s=listener: guarded(o, s)))  # type: ignore[misc]
                answer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        else:
            group = groups.pop()
            os.killpg(group, signal.SIGKILL)
            answer = ended(group)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
