"""Budgets across processes: what a run reserves for its agents, what comes back of it, and what an agent does at its limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshwright.agent import Agent, Job, Playbook
from meshwright.budget import Amount, Budget
from meshwright.cli.app import run as command
from meshwright.database import Database, open_database
from meshwright.deadline import Deadline
from meshwright.errors import BudgetExhausted, PeerUnreachable
from meshwright.findings import Finding, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.ledger import Account, Ledger, standing, used_of
from meshwright.outbound.directory import Directory
from meshwright.outbound.peer import Answer
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring, ScriptedModel
from meshwright.toolserver import Access
from meshwright.wallet import Wallet
from orchestrator.purse import Purse

pytestmark = [  # LiteLLM and what it brings warn about themselves
    pytest.mark.usefixtures("model_clients"),
    pytest.mark.filterwarnings("ignore"),
]


async def accounts(path: Path, name: str) -> dict[str, dict[str, Any]]:
    database = await open_database(f"sqlite:///{path}/{name}.db")
    found = {row["kind"]: dict(row) for row in await database.read(standing)}
    await database.close()
    return found


def spending(tokens: int, claim: int | None = None) -> Any:
    """A playbook that spends some of its budget, and may say that it spent more."""

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        hold = await job.budget.hold(tokens - 50, 50)
        await hold.settle(Amount(tokens))
        job.budget.spent += (claim or tokens) - tokens
        return Finding(reply="done")

    return playbook


def granted(team: Any) -> list[int]:
    asked = [r for r in team.mesh.seen if r.method == "POST" and "x-mesh-budget-tokens" in r.headers]
    return [int(r.headers["x-mesh-budget-tokens"]) for r in asked if "orchestrator" not in str(r.url)]


async def test_what_agents_may_spend_together_is_reserved_and_what_they_spent_is_what_the_run_says(
    start_team: Any, tmp_path: Path
) -> None:
    async with start_team(orders=spending(120)) as team:
        answer = await team.ask("paint t1 red", tokens=10_000)
        reserved = granted(team)
    report = answer.data[0]
    assert report["usage"]["tokens"] == 240 == answer.notes["usage"]["tokens"]
    # a quarter to plan, 60 % of what is left for each wave, half of the rest to merge
    assert reserved == [3_500, 6_000, (10_000 - 120) * 6 // 10, (10_000 - 240) // 2]
    account = (await accounts(tmp_path, "orchestrator"))["run"]
    assert (account["tokens"], account["tokens_held"], account["token_limit"]) == (240, 0, 10_000)


async def test_an_agent_that_claims_more_than_it_was_given_is_charged_what_it_was_given(
    start_team: Any, tmp_path: Path
) -> None:
    async with start_team(orders=spending(120, claim=10**9)) as team:
        report = await team.report("paint t1 red", tokens=10_000)
    account = (await accounts(tmp_path, "orchestrator"))["run"]
    assert report["usage"]["tokens"] == account["tokens"] <= 10_000
    assert (account["doubts"], account["tokens_held"]) == (2, 0)


async def test_a_run_without_tokens_is_done_by_who_needs_none_and_who_needs_some_is_degraded(
    start_team: Any,
) -> None:
    async def needy(subtask: Subtask, job: Job) -> Finding:
        with pytest.raises(BudgetExhausted):
            await job.budget.hold(100, 100)
        return Finding(reply="as well as it goes without a model")

    async with start_team(orders=needy) as team:
        answer = await team.ask("paint t1 red", tokens=0)
        assert set(granted(team)) == {0}
    assert answer.notes["degraded"] == ["budget"]
    assert answer.data[0]["outcome"] == "done"


async def test_an_agent_that_fails_says_what_it_cost(start_team: Any, tmp_path: Path) -> None:
    async def failing(subtask: Subtask, job: Job) -> Finding:
        await (await job.budget.hold(100, 50)).settle(Amount(70))
        raise BudgetExhausted("that was all")

    async with start_team(orders=failing) as team:
        await team.ask("paint t1 red")
    assert (await accounts(tmp_path, "orchestrator"))["run"]["tokens"] % 70 == 0


async def test_who_takes_a_run_over_finds_its_reservations_and_what_it_spent(url: str) -> None:
    doors = [await open_database(url) for _ in range(2)]
    account = Account("run", "r", tokens=1000)
    first, second = (Purse(door, account) for door in doors)
    await doors[0].write(first.reserving("letter", await first.portion(0.6), 10))
    await doors[1].write(second.reserving("letter", await second.portion(0.6), 10))
    assert await second.granted("letter") == Amount(600)
    assert await second.portion(1.0) == Amount(400)
    assert await second.used() == Amount(600)  # a run that is cut off now may have spent it
    await doors[1].write(second.settling("letter", Amount(10)))
    await doors[0].write(first.settling("letter", None))
    assert await first.used() == Amount(10)
    for door in doors:
        await door.close()


async def test_a_task_that_is_taken_up_after_a_crash_spends_nothing_twice(url: str) -> None:
    database: Database = await open_database(url)
    ledger = Ledger(database, "orders")

    async def attempt() -> Budget:
        budget = Budget(1_000, backing=Wallet(ledger, "orders/task/message", [], 10))
        await (await budget.hold(200, 100)).settle(Amount(250))
        return budget

    await (await attempt()).close()  # handed over in good order: the rest is there
    crashed = await attempt()
    assert (crashed.limit, crashed.left) == (750, 500)
    with pytest.raises(BudgetExhausted):  # nobody knows what it spent
        await attempt()
    await database.close()


async def test_a_call_that_is_called_off_as_the_first_of_its_task_does_not_open_the_budget_for_free(
    url: str,
) -> None:
    database: Database = await open_database(url)
    ledger, account = Ledger(database, "orders"), Account("task", "orders/task/message")
    budget = Budget(1_000, backing=Wallet(ledger, account.name, [], 10))
    first = asyncio.create_task(budget.hold(100, 100))
    await asyncio.sleep(0)  # it waits for the database
    first.cancel()
    await asyncio.wait({first})
    hold = await budget.hold(500, 100)
    await ledger.aclose()
    assert (await database.read(lambda tx: used_of(tx, account)))["tokens_held"] == 1_000
    await hold.settle(Amount(600))
    await budget.close()
    assert (await database.read(lambda tx: used_of(tx, account)))["tokens"] == 600
    await database.close()


FINDING = json.dumps({"reply": "It costs 10."})


async def by_the_book(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="by the book")


async def asked_of_model(
    model: ScriptedModel,
    start: Callable[[], Any],
    home: Path,
    playbook: Playbook = by_the_book,
    instructions: str = "You look at things.",
    **limits: int,
) -> tuple[Answer, dict[str, Any]]:
    """One subtask to an agent that starts, reasons, and stops; its answer, and its accounts after that."""
    settings = Settings.model_validate(
        {
            "home": home,
            "tools": "http://workshop",
            "model": "openai/scripted",
            "model_url": model.url,
            "model_key": "k",
            **limits,
        }
    )
    ring, mesh = Keyring("orders", "workshop"), InProcess({})

    agent = Agent("orders", playbook=playbook, instructions=instructions)
    mesh.apps["http://orders"] = agent_app(agent, settings, ring.identity("orders"), mesh.client())
    access, tools = (
        Access({"orders": ("workshop.*",)}, {}),
        ring.identity("workshop", open_to_strangers=False),
    )
    mesh.apps["http://workshop"] = tool_app(start().server(), settings, tools, access)
    async with mesh.running():
        directory = Directory(["http://orders"], mesh.client(), ring.identity("operator"))
        await directory.refresh()
        part = {"subtask": {"id": "s", "skill": "order-status", "instruction": "what does t1 cost?"}}
        answer = await directory.candidates("order-status")[0].ask(part, by=Deadline.after(30), tokens=40_000)
    return answer, await accounts(home, "orders")


async def test_an_agents_day_is_limited_across_its_restarts_and_at_the_limit_it_answers_with_what_it_has(
    workshop: Any, tmp_path: Path
) -> None:
    async with ScriptedModel([FINDING], bytes_per_token=1).serving() as model:
        first, after = await asked_of_model(model, workshop, tmp_path, budget_day_tokens=9_000)
        assert (first.data[0]["mode"], first.notes.get("degraded")) == ("model", None)
        assert after["agent"]["tokens"] == first.notes["usage"]["tokens"] == model.used
        assert (after["agent"]["tokens_held"], after["task"]["tokens_held"]) == (0, 0)
        second, _ = await asked_of_model(model, workshop, tmp_path, budget_day_tokens=9_000)
        assert len(model.asked) == 1
    assert (second.data[0]["mode"], second.notes["degraded"]) == ("playbook", ["budget"])
    assert "agent orders has not that much left" in second.data[0]["facts"]["fallback"]


async def test_without_a_limit_by_the_day_an_agent_writes_once_for_a_task_and_not_for_each_call(
    workshop: Any, tmp_path: Path
) -> None:
    script = [{"tool": "look_at", "arguments": {"thing_id": "t1"}}, FINDING]
    async with ScriptedModel(script).serving() as model:
        answer, after = await asked_of_model(model, workshop, tmp_path)
        assert len(model.asked) == 2
    database = await open_database(f"sqlite:///{tmp_path}/orders.db")
    assert len(await database.execute("SELECT id FROM budget_holds")) == 1
    await database.close()
    assert after["task"]["tokens"] == answer.notes["usage"]["tokens"] > 0


async def test_what_a_playbook_leaves_under_way_counts_in_full_and_nothing_more_is_begun_after_its_end(
    workshop: Any, tmp_path: Path
) -> None:
    left: list[asyncio.Task[Any]] = []
    said = [{"role": "user", "content": "and?"}]

    async def hasty(subtask: Subtask, job: Job) -> Finding:
        async def asking() -> None:
            while True:
                with contextlib.suppress(PeerUnreachable):  # its server stops before the model answers
                    await job.model.chat(said, by=job.by, budget=job.budget)

        left.append(asyncio.create_task(asking()))
        while not model.asked:
            await asyncio.wait(left, timeout=0.01)
        return Finding(reply="I did not wait for it.")

    async with ScriptedModel([{"late": True}], bytes_per_token=1).serving() as model:
        answer, after = await asked_of_model(model, workshop, tmp_path, hasty, "")
        model.let_go.set()
        with pytest.raises(BudgetExhausted, match="is over"):
            await left[0]
        assert len(model.asked) == 1
    assert answer.notes["usage"]["tokens"] == after["task"]["tokens"] >= model.used > 0


async def test_money_is_counted_where_the_price_is_known(workshop: Any, tmp_path: Path) -> None:
    async with ScriptedModel([FINDING]).serving() as model:
        limits = {"price_in": 3_000_000, "price_out": 15_000_000, "budget_tenant_micros": 60_000}
        answer, after = await asked_of_model(model, workshop, tmp_path, **limits)
    ((prompt, written),) = model.bills
    assert answer.notes["usage"]["micros"] == after["tenant"]["micros"] == prompt * 3 + written * 15
    assert after["tenant"]["name"] == "operator"


def test_the_accounts_are_shown_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    async def fill() -> None:
        database = await open_database(f"sqlite:///{tmp_path}/x.db")
        account = Account("agent", "orders", tokens=5_000, micros=2_000_000)
        await Ledger(database, "me").reserve("k", [account], Amount(1_234, 500_000), Amount(), 60)
        await database.close()

    asyncio.run(fill())
    assert command(["budget", "--database", f"sqlite:///{tmp_path}/x.db"]) == 0
    said = capsys.readouterr().out
    assert (
        "agent orders: 0 spent, 1,234 reserved, of 5,000 tokens; 0.000000 spent, 0.500000 reserved, of 2.0"
        in said
    )
    assert command(["budget", "--database", f"sqlite:///{tmp_path}/x.db", "--json"]) == 0
    assert next(iter(json.loads(capsys.readouterr().out).values()))["accounts"][0]["tokens_held"] == 1_234
