"""The one place where the shop changes: rule, effect and journal in one transaction.

The idempotency key is a row in `effects`. Whoever asks again with the same key and arguments gets the first
receipt; with other arguments it is refused, because two different wishes under one name would mean that one
of them is lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshwright.errors import InvalidRequest, ToolRefused
from meshwright.toolserver import Call
from shop.database import Shop
from shop.models import Receipt, Record


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an effect did; the fields are those of a Receipt."""

    summary: str
    state: str
    amount_cents: int = 0


class Effect(Record):
    """One row of the journal: a write that happened. `at` is UTC, ISO 8601."""

    seq: int
    key: str
    tool: str
    arguments: dict[str, Any]
    ticket: str
    caller: str
    at: str
    result: Receipt


#: Checks the rules and makes the change; a ToolRefused from it undoes both.
Work = Callable[[sqlite3.Connection], Outcome]


async def apply(shop: Shop, tool: str, arguments: Mapping[str, Any], call: Call, work: Work) -> Receipt:
    """Do `work` once for `call.key`. Raises ToolRefused when a rule says no or the key is taken."""
    return await shop.write(lambda db: once(db, tool, arguments, call, work))


def once(db: sqlite3.Connection, tool: str, arguments: Mapping[str, Any], call: Call, work: Work) -> Receipt:
    """The same, inside a transaction that the caller holds."""
    if not call.key:
        raise InvalidRequest(f"{tool}: a write needs an idempotency key")
    canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    row = db.execute("SELECT tool, arguments, result FROM effects WHERE key = ?", (call.key,)).fetchone()
    if row is not None:
        if (row["tool"], row["arguments"]) != (tool, canonical):
            raise ToolRefused(
                f"{tool}: this key already stands for another write ({row['tool']});"
                " a new wish needs a new key"
            )
        return Receipt.model_validate_json(row["result"]).model_copy(update={"replayed": True})
    call.by.require()  # the wait for the lock may have used the time up, and late effects surprise people
    outcome = work(db)
    receipt = Receipt(
        action=tool,
        key=call.key,
        amount_cents=outcome.amount_cents,
        summary=outcome.summary,
        state=outcome.state,
    )
    db.execute(
        "INSERT INTO effects (key, tool, arguments, ticket, caller, at, result) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (call.key, tool, canonical, call.ticket, call.caller, now(), receipt.model_dump_json()),
    )
    return receipt


def journal(db: sqlite3.Connection) -> list[Effect]:
    """Every write that happened, oldest first: `await shop.read(journal)`."""
    return [
        Effect(
            **{name: row[name] for name in ("seq", "key", "tool", "ticket", "caller", "at")},
            arguments=json.loads(row["arguments"]),
            result=Receipt.model_validate_json(row["result"]),
        )
        for row in db.execute("SELECT * FROM effects ORDER BY seq")
    ]


def now() -> str:
    """The time as the shop writes it down."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
