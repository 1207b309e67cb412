"""kill -9 at every statement between intent, effect and outcome: each action is applied exactly once, and the log says so.

Fault points, not luck: the n-th life of a process ends before its n-th statement, commit, request or answer.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.types import Message, Part

from desk.server import build
from meshwright.database import Database, open_database
from meshwright.deadline import Deadline
from meshwright.findings import Proposal, Verdict
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.toolbox import Toolbox
from meshwright.records.runs import RunStore
from meshwright.settings import Settings
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.lease import claim
from meshwright.tasks.snapshot import Claim
from meshwright.testing import Keyring, serving
from meshwright.toolserver import Access
from orchestrator.apply import carry_out
from orchestrator.checkpoints import Checkpoints
from orchestrator.driver import run_id
from orchestrator.gate import action_key
from orchestrator.graph import build as graph_of
from orchestrator.work import Drive, new_work
from shop.database import Shop
from shop.effects import Effect, journal
from shop.testing import small_shop

MORTAL = Path(__file__).with_name("mortal.py")
KILLED = -signal.SIGKILL


class Mortals:
    """The process that all the others are forks of."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def do(self, what: str, **order: Any) -> Any:
        return await asyncio.to_thread(self._do, json.dumps({"do": what, **order}))

    def _do(self, line: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(MORTAL)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Mortals(process)
        assert process.stdin is not None
        process.stdin.close()


class Scene:
    """The orchestrator's store and the shop, as the dead leave them."""

    def __init__(self, store: Database, shop: Shop, ring: Keyring) -> None:
        self.store, self.shop, self.ring = store, shop, ring

    async def a_run(self, number: int) -> tuple[str, str]:
        """A run whose gate has let one action through, at the node that applies it: its task, and its name."""
        ask = Ask("\x1f", "", Message(message_id=f"m{number}", parts=[Part(text="hand me over")]), {}, 30)
        accepted = await self.store.write(lambda tx: accept(tx, Desk("orchestrator", "first", 3600), ask))
        task, run, mine = accepted.task_id, run_id(accepted.task_id), accepted.claim
        assert mine is not None
        await RunStore(self.store).start(run, task_id=task, caller="", request="x", graph_version="1")
        proposal = Proposal(
            action="escalate",
            arguments={"ticket_id": run, "reason": "asked for", "summary": "hand me over"},
        )
        row = {
            "key": action_key(run, proposal),
            "proposal": proposal.model_dump(mode="json"),
            "verdict": Verdict(decision="apply", policy="lenient", why="").model_dump(mode="json"),
            "state": "open",
        }
        state = {**new_work(run, "hand me over"), "round": 1, "actions": [row]}
        config: Any = {"configurable": {"thread_id": run, "claim": mine}}
        await graph_of(Checkpoints(self.store)).aupdate_state(config, state, as_node="gate")
        return task, run

    async def taken(self, task: str) -> list[Any]:
        """The task's lease has run out, and somebody takes it over."""
        await self.store.execute("UPDATE tasks SET lease_until = 0.0 WHERE id = ?", task)
        [mine] = await self.store.write(lambda tx: claim(tx, "orchestrator", "next", 3600, 1))
        assert mine.task_id == task
        return [mine.task_id, mine.token]

    async def effects(self, run: str) -> list[Effect]:
        return [effect for effect in await self.shop.read(journal) if effect.ticket == run]

    async def log(self, run: str) -> list[tuple[str, str, dict[str, Any]]]:
        """What stands of a run in the audit log, as (kind, action, body)."""
        rows = await self.store.execute(
            "SELECT kind, action, payload AS body FROM audit_log WHERE run = ? ORDER BY seq", run
        )
        return [(row["kind"], row["action"], json.loads(row["body"])) for row in rows]

    async def agrees(self, run: str, *, finished: list[str] | None = None) -> None:
        """The log and the journal tell the same: at the end all of it, before that nothing that is not so."""
        log, effects = await self.log(run), await self.effects(run)
        issued = {body["grant"] for kind, _, body in log if kind == "grant.issued"}
        said = {action: body["grant"] for kind, action, body in log if kind == "effect.applied"}
        done = {effect.key: effect.grant for effect in effects}
        assert len(done) == len(effects), "an action was applied twice"
        assert set(done.values()) <= issued, "an effect whose intent is not in the log"
        assert said.items() <= done.items(), "the log says of an action that it was applied, and it was not"
        if finished:
            assert said == done
            assert Counter(kind for kind, _, _ in log if kind.startswith("effect.")) == {
                "effect.applied": len(done)
            }
            assert [effect.tool for effect in effects] == finished


@asynccontextmanager
async def scene(folder: Path, url: str) -> AsyncIterator[Scene]:
    store = await open_database(url)
    with closing(small_shop(folder)) as shop:
        yield Scene(store, shop, Keyring("orchestrator", "desk"))
    await store.close()


@asynccontextmanager
async def desk_of(here: Scene, folder: Path) -> AsyncIterator[str]:
    settings = Settings(shop=folder / "shop.db")
    identity = here.ring.identity("desk", open_to_strangers=False)
    app = tool_app(build(settings), settings, identity, Access({}, {"orchestrator": ("desk.*",)}))
    async with serving(app) as url:
        yield url


async def lives(here: Scene, mortals: Mortals, folder: Path, url: str, tools: list[str]) -> None:
    """Each run dies at another moment of its first life, and is finished in its second. `tools` are those of its writes."""
    key = here.ring.signer("orchestrator").key.as_dict(private=True)
    async with desk_of(here, folder) as desk:
        order = {"url": url, "tools": desk, "key": key, "closing": len(tools) > 1}

        async def live(task: str, run: str, at: int, how: str = "drive") -> int:
            mine = await here.taken(task)
            return int(await mortals.do(how, **order, run=run, claim=mine, at=at))

        moments = await live(*await here.a_run(0), 0, "rehearse")
        assert moments > 10 * len(tools)
        for at in range(1, moments + 1):
            task, run = await here.a_run(at)
            assert await live(task, run, at) == KILLED, f"moment {at} of {moments} never came"
            await here.agrees(run)
            assert await live(task, run, 0) >= 0
            await here.agrees(run, finished=tools)


async def test_a_driver_that_dies_at_any_moment_leaves_its_action_applied_once_and_the_log_says_so(
    tmp_path: Path, url: str, mortals: Mortals
) -> None:
    async with scene(tmp_path, url) as here:
        await lives(here, mortals, tmp_path, url, ["escalate"])


@pytest.mark.timeout(600)
async def test_the_writes_that_end_a_run_are_no_different(
    tmp_path: Path, url: str, mortals: Mortals, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--every-moment"):
        pytest.skip("only with --every-moment")
    async with scene(tmp_path, url) as here:
        await lives(here, mortals, tmp_path, url, ["escalate", "reply", "close"])


async def test_a_tool_server_that_dies_at_any_moment_of_a_write_makes_it_once_and_the_log_says_so(
    tmp_path: Path, mortals: Mortals
) -> None:
    count, died = tmp_path / "count", tmp_path / "count.died"
    nobody: Any = None

    async def life(here: Scene, number: int, at: int) -> None:
        """One write while its server dies at a moment and is started again; then what everybody says of it."""
        task, run = await here.a_run(number)
        mine = Claim(*await here.taken(task))
        row = (
            await graph_of(Checkpoints(here.store)).aget_state({"configurable": {"thread_id": run}})
        ).values
        url = await mortals.do(
            "serve", at=at, shop=str(tmp_path / "shop.db"), trust=here.ring.document, count=str(count)
        )
        async with httpx.AsyncClient(timeout=None) as http:
            drive = Drive(
                by=Deadline.after(60),
                purse=nobody,
                directory=nobody,
                toolbox=Toolbox([url], http, here.ring.identity("orchestrator")),
                policy=nobody,
                store=RunStore(here.store),
                reviews=nobody,
                say=nobody,
                outbox=nobody,
                letters={},
                claim=mine,
                run=run,
            )
            done = await carry_out(drive, row["actions"][0], drive.by)
        await mortals.do("stop")
        assert done["state"] == "applied", (at, done["why"])
        await here.agrees(run, finished=["escalate"])

    async with scene(tmp_path, f"sqlite:///{tmp_path}/store.db") as here:
        await life(here, 0, 0)
        moments = int(count.read_text()) + 1  # and the answer
        assert moments > 6
        for at in range(1, moments + 1):
            await life(here, at, at)
            assert died.read_text() == f"{at} {KILLED}", f"moment {at} of {moments} never came"
