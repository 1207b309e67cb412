"""The commands that explain, against the pages of a real orchestrator on a port: what stands in its database is what they tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from meshwright.cli import keys
from meshwright.cli.app import run
from meshwright.cli.home import Home
from meshwright.database import open_database
from meshwright.inbound.identity import load_identity
from meshwright.records import decisions
from meshwright.records.decision import Decision
from meshwright.records.runs import RunStore, end_with_task
from meshwright.settings import Settings
from orchestrator.server import orchestrator_app
from tests.unit.decided_run import DECISIONS

Cli = Callable[..., Any]
NAMES = {"run": "run-of-ann", "task": "t0", "action": "action-1"}


@pytest.fixture
async def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Cli]:
    """`await cli("trace", "r1")` → (exit code, stdout, stderr), of an orchestrator that holds one run of two agents."""
    home = Home.at(tmp_path / "home")
    keys.ensure(home, ["orchestrator"])
    url = f"sqlite:///{tmp_path}/orchestrator.db"
    rows = [
        Decision.model_validate(
            {**each, "run": NAMES["run"], "action": NAMES["action"] if each.get("action") else ""}
        )
        for each in DECISIONS
    ]
    database = await open_database(url)
    store = RunStore(database)
    told = {"caller": "ann", "graph_version": "1"}
    await store.start("run-ended", task_id="t-ended", request="stop", **told)
    await database.write(lambda tx: end_with_task(tx, "t-ended", "canceled", "the client cancelled it"))
    await store.start("run-before", task_id="t-before", request="where is it?", **told)
    await store.start(NAMES["run"], task_id=NAMES["task"], request="cancel #W1 and/or #W2 please", **told)
    await database.write(lambda tx: decisions.write(tx, rows))
    await database.close()
    settings = Settings(
        home=tmp_path, database=url, refresh=3600, key=home.key("orchestrator"), trust=home.trust,
        trace_url="https://traces.example/{trace}",
    )  # fmt: skip
    app = orchestrator_app(settings, load_identity("orchestrator", settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]

    async def called(*arguments: str) -> tuple[int, str, str]:
        where = ["--url", f"http://127.0.0.1:{port}"]
        where += [] if "--home" in arguments else ["--home", str(home.path)]
        code = await asyncio.to_thread(run, [*arguments, *where])
        return code, *capsys.readouterr()

    while "still starting" in (await called("runs"))[2]:
        pass
    yield called
    server.should_exit = True
    await serving


async def test_the_last_run_is_traced_and_any_by_its_names(cli: Cli) -> None:
    for name in ((), (NAMES["run"],), (NAMES["task"],), ("run-of",), ("#W2 please",), ("and/or",)):
        code, said, _ = await cli("trace", *name)
        assert (code, "run run-of-ann" in said, "11 decisions of 2 agents" in said) == (0, True, True), name
    code, _, wrong = await cli("trace", "nothing-like-it")
    assert (code, wrong.count("\n")) == (1, 1)
    assert "`meshwright runs` lists what is" in wrong
    assert "2 requests have 'e' in them: say more of the words, or an id" in (await cli("trace", "e"))[2]
    assert "no decisions are known of it" in (await cli("trace", "t-before"))[1]


async def test_a_run_without_an_answer_says_why_it_has_none(cli: Cli) -> None:
    code, said, _ = await cli("runs", "run-ended")
    assert (code, "canceled" in said, "the client cancelled it" in said) == (0, True, True)


async def test_what_cannot_be_an_id_is_looked_for_in_words_and_then_not_known(cli: Cli) -> None:
    for command in (["trace"], ["why"], ["runs"], ["reviews", "show"], ["reviews", "claim"]):
        for name in ("a/b", "..", "../reviews"):
            code, said, wrong = await cli(*command, name)
            assert (code, said, wrong.count("\n")) == (1, "", 1), (command, name)
            assert repr(name) in wrong
            assert "`meshwright r" in wrong, "where to find one that there is"


async def test_bytes_that_are_no_text_are_one_line_of_trouble(cli: Cli) -> None:
    for command in (["ask"], ["trace"], ["runs"], ["why"], ["reviews", "show"]):
        code, said, wrong = await cli(*command, "caf\udce9")
        assert (code, said, wrong.count("\n")) == (2, "", 1), command
        assert "not UTF-8" in wrong


async def test_for_machines_it_is_one_line_of_the_kinds_that_they_want(cli: Cli) -> None:
    code, said, _ = await cli("trace", "--json", "--kind", "gate,effect")
    page = json.loads(said)
    assert (code, [each["kind"] for each in page["decisions"]]) == (0, ["gate", "effect"])
    assert page["run"]["task_id"] == NAMES["task"]


async def test_why_is_told_by_the_key_of_an_action_and_by_its_run(cli: Cli) -> None:
    for names in ((NAMES["action"],), (NAMES["run"],), (NAMES["task"], "cancel_order")):
        code, said, _ = await cli("why", *names)
        assert code == 0, names
        assert said.startswith("✓ Why was cancel_order carried out?  applied  order_id: #W1  run run-of-ann")
        assert "ann approved cancel_order" in said
    page = json.loads((await cli("why", NAMES["action"], "--json"))[1])
    assert page["outcome"] == "applied"
    assert [each["id"] for each in page["sentences"]] == [each["id"] for each in page["decisions"]]
    assert "proposed no action" in (await cli("why", "t-before"))[2]


async def test_whoever_is_no_operator_is_told_nothing(cli: Cli, tmp_path: Path) -> None:
    stranger = Home.at(tmp_path / "another")
    keys.ensure(stranger, ["orchestrator"])
    for command in (["trace"], ["why", NAMES["action"]], ["tail"]):
        code, said, wrong = await cli(*command, "--home", str(stranger.path))
        assert (code, said, wrong.count("\n")) == (1, "", 1)
        assert "does not let us in" in wrong


async def test_the_doctor_looks_at_a_mesh_through_its_entry(cli: Cli) -> None:
    page = json.loads((await cli("doctor", "--json"))[1])
    found = {each["name"]: each for each in page["checks"]}
    assert found["card orchestrator"]["state"] == "well"
    assert found["audit log"]["state"] == "well"
    assert found["clocks"]["state"] == "well"
