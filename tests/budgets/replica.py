"""One replica, as a process of its own: many model calls at once against an account that others share. Prints what came of them."""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections import Counter

from meshwright.budget import Budget
from meshwright.database import open_database
from meshwright.deadline import Deadline
from meshwright.errors import MeshError
from meshwright.ledger import Account, Ledger
from meshwright.outbound.model import Model
from meshwright.wallet import Wallet


async def call(model: Model, ledger: Ledger, account: Account, name: str, seconds: float) -> str:
    by = Deadline.after(seconds)
    budget = Budget(10_000, backing=Wallet(ledger, name, [account], seconds))
    try:
        said = await model.chat(
            [{"role": "user", "content": "What is in stock? " * 4}], by=by, budget=budget, max_tokens=60
        )
        return "answered" if said.text else "silent"
    except MeshError as error:
        return type(error).__name__
    finally:
        await budget.close()


async def calls(
    database_url: str, model_url: str, limit: int, name: str, number: int, seconds: float
) -> Counter[str]:
    """`number` calls at once; how many of each outcome."""
    database = await open_database(database_url)
    ledger, model = Ledger(database, name), Model("openai/scripted", model_url, "k")
    account = Account("agent", "shared", tokens=limit, daily=True)
    outcomes = await asyncio.gather(
        *(call(model, ledger, account, f"{name}/{n}", seconds) for n in range(number))
    )
    await ledger.aclose()
    await database.close()
    return Counter(outcomes)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import litellm

    assert litellm is not None  # before the deadlines begin
    url, server, most, name, number, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(calls(url, server, int(most), name, int(number), float(seconds)))))
