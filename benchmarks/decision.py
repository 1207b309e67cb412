"""What a decision costs: CPU to take the row of a read, of a call and of a choice, and to write one, in microseconds.

    python -m benchmarks.decision

The read tells an order of three items (1.1 kB), which is looked at, redacted and hashed. `write` is a row's share of a transaction of
that many rows beyond one without any, SQLite's thread included. The median of five rounds. Ends with one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from meshwright.database import Database, Transaction, open_database
from meshwright.outbound.called import agent_called, tool_called
from meshwright.records import decisions
from meshwright.records.decision import Decision
from meshwright.records.minutes import Minutes

ROUNDS, TIMES = 5, 400
NAMES = ("Mechanical Keyboard", "Smart Thermostat", "Headphones")
ORDER: dict[str, Any] = {
    "order_id": "#W2378156",
    "user_id": "yusuf_rossi_9620",
    "status": "delivered",
    "address": {"street": "763 Broadway", "city": "Philadelphia", "country": "USA", "zip": "19122"},
    "items": [
        {
            "name": name,
            "product_id": "1656367028",
            "item_id": f"115129368{place}",
            "price": 272.33 + place,
            "options": {"switch type": "linear", "backlight": "RGB", "size": "full size"},
        }
        for place, name in enumerate(NAMES)
    ],
    "fulfillments": [{"tracking_id": ["843053632392"], "item_ids": ["1151293680", "4983901480"]}],
    "payment_history": [
        {"transaction_type": "payment", "amount": 1043.03, "payment_method_id": "credit_card_9"}
    ],
}
NOTES = {"decisions": [f"d{n:024x}" for n in range(4)], "usage": {"tokens": 0, "micros": 0}}
OPTIONS = tuple(
    {"name": name, "score": place, "why_not": ""} for place, name in enumerate(("orders", "standby"))
)


def read(minutes: Minutes, number: int) -> None:
    asked = {"order_id": "#W2378156"}
    key = minutes.nth("tool_call", f"get_order{asked!r}")
    tool_called(
        minutes, "orderbook", "get_order", asked, ORDER, key=key, began=time.time(), deadline_ms=4_000
    )


def call(minutes: Minutes, number: int) -> None:
    known = {"key": f"{number}", "began": time.time(), "deadline_ms": 4_000, "tokens_given": 10_000}
    agent_called(minutes, "orders", "0" * 32, NOTES, "answered", **known)


def choice(minutes: Minutes, number: int) -> None:
    said = {"selected": "orders", "strategy": "owners-in-order", "reason": "it offers order-change"}
    minutes.take("route", key=f"{number}", began=time.time(), outcome="answered", options=OPTIONS, **said)


def taken(work: Callable[[Minutes, int], None]) -> tuple[float, list[Decision]]:
    """Microseconds of CPU for one, and what was taken."""
    minutes = Minutes("orders", f"task-{time.monotonic_ns()}", run="run")
    began = time.process_time()
    for number in range(TIMES):
        work(minutes, number)
    return (time.process_time() - began) * 1e6 / TIMES, minutes.open


async def written(database: Database, rows: list[Decision]) -> float:
    """Microseconds of CPU for a transaction with `rows`."""

    async def op(tx: Transaction) -> None:
        await tx.execute("UPDATE tasks SET claims = 0 WHERE id = 'nobody'")
        await decisions.write(tx, rows)

    began = time.process_time()
    await database.write(op)
    return (time.process_time() - began) * 1e6


async def shares(database: Database, rows: list[Decision], size: int) -> float:
    """A row's share of transactions of `size` rows."""
    without = [await written(database, []) for _ in range(50)]
    some = [rows[place : place + size] for place in range(0, len(rows) - size + 1, size)]
    full = [await written(database, each) for each in some]
    return (statistics.mean(full) - statistics.mean(without)) / size


async def main() -> None:
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        database = await open_database(f"sqlite:///{folder}/decisions.db")
        for _ in range(ROUNDS):
            rows: list[Decision] = []
            for work in (read, call, choice):
                cost, found = taken(work)
                figures.setdefault(work.__name__, []).append(cost)
                rows += found[: TIMES // 4]
            for size, some in ((4, rows[0::2]), (32, rows[1::2])):
                figures.setdefault(f"write in {size}", []).append(await shares(database, some, size))
        await database.close()
    medians = {name: round(statistics.median(each), 1) for name, each in figures.items()}
    for name, each in figures.items():
        print(f"{name:>12} {medians[name]:8.1f} µs   ({min(each):.1f} to {max(each):.1f})")
    print(json.dumps({"us": medians, "python": platform.python_version(), "cpus": os.cpu_count()}))


if __name__ == "__main__":
    asyncio.run(main())
