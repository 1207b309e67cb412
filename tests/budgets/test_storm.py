"""A hundred model calls at once on one budget, by three replicas, with a model server that is late, fails, streams and lies.

The tokens are counted where they are spent, at the model server, with the worst tokenizer there can be: a token for each byte.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from meshwright.database import open_database
from meshwright.ledger import standing
from meshwright.testing import ScriptedModel

pytestmark = [  # LiteLLM and what it brings warn about themselves
    pytest.mark.usefixtures("model_clients"),
    pytest.mark.filterwarnings("ignore"),
]

HERE = Path(__file__).parent
LIMIT, CALLS = 12_000, 100
WORDS = "one two three four five six seven eight nine ten " * 4
KINDS: list[Any] = [
    WORDS,
    "short",
    {"hang": True},
    {"status": 500},
    {"status": 502},
    {"status": 429},
    {"status": 401},
    {"stream": WORDS},
    {"text": WORDS, "usage": None},
    {"text": WORDS, "usage": {}},
    {"text": WORDS, "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
    {"text": WORDS, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
    {"text": WORDS, "usage": {"prompt_tokens": 10**9, "completion_tokens": 10**9, "total_tokens": 2 * 10**9}},
    {"text": WORDS, "usage": {"prompt_tokens": -40, "completion_tokens": -2, "total_tokens": -42}},
]


def replica() -> ModuleType:
    spec = importlib.util.spec_from_file_location("replica", HERE / "replica.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script() -> list[Any]:
    lines = KINDS * 8
    random.Random(8).shuffle(lines)
    return lines


async def settled(url: str) -> list[dict[str, Any]]:
    database = await open_database(url)
    found = [dict(row) for row in await database.read(standing)]
    await database.close()
    return found


def check(accounts: list[dict[str, Any]], server: ScriptedModel, outcomes: dict[str, int]) -> None:
    (shared,) = [row for row in accounts if row["kind"] == "agent"]
    assert sum(outcomes.values()) == CALLS
    assert server.used <= shared["tokens"] <= LIMIT, "more was spent than was reserved"
    assert all(row["tokens_held"] == 0 == row["micros_held"] for row in accounts), "something leaked"
    assert outcomes["answered"] > 0
    assert outcomes["BudgetExhausted"] > 0
    assert shared["doubts"] > 0
    assert all(prompt + answer <= LIMIT for prompt, answer in server.bills)


async def test_three_replicas_in_a_storm_spend_no_token_above_the_budget_and_leak_none(url: str) -> None:
    import litellm

    assert litellm is not None
    calls = replica().calls
    async with ScriptedModel(script(), bytes_per_token=1).serving() as server:
        counted = await asyncio.gather(
            *(calls(url, server.url, LIMIT, f"r{n}", CALLS // 3 + (n == 0), 4.0) for n in range(3))
        )
    check(await settled(url), server, sum(counted[1:], counted[0]))


@pytest.mark.timeout(120)
async def test_three_processes_in_a_storm_spend_no_token_above_the_budget_and_leak_none(url: str) -> None:
    await (await open_database(url)).close()
    async with ScriptedModel(script(), bytes_per_token=1).serving() as server:

        async def process(n: int) -> dict[str, int]:
            arguments = [url, server.url, str(LIMIT), f"p{n}", str(CALLS // 3 + (n == 0)), "6"]
            running = await asyncio.create_subprocess_exec(
                sys.executable, str(HERE / "replica.py"), *arguments, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await running.communicate()
            counted: dict[str, int] = json.loads(out.splitlines()[-1])
            return counted

        counts = await asyncio.gather(*(process(n) for n in range(3)))
    outcomes = {kind: sum(count.get(kind, 0) for count in counts) for kind in {k for c in counts for k in c}}
    check(await settled(url), server, outcomes)
