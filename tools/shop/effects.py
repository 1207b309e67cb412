"""The one place where the shop changes: grant, rule, effect and journal in one transaction.

What came of an idempotency key is kept in `grants_used`, a refusal like a receipt: whoever asks again with the same
key and arguments gets it again; with other arguments it is refused, because two different wishes under one name
would mean that one of them is lost. The journal, `effects`, holds what happened, and by its grant who allowed it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshwright.errors import Forbidden
from meshwright.grants.used import Kept, once
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
    """One row of the journal: a write that happened, and the grant it was done under. `at` is UTC, ISO 8601.

    `grant` begins with `before-`, and no policy is named, where the write is older than grants are.
    """

    seq: int
    key: str
    tool: str
    arguments: dict[str, Any]
    ticket: str
    caller: str
    at: str
    result: Receipt
    grant: str
    policy: str
    approvers: list[str]


#: Checks the rules and makes the change; a ToolRefused from it undoes both.
Work = Callable[[sqlite3.Connection], Outcome]


async def apply(shop: Shop, tool: str, arguments: Mapping[str, Any], call: Call, work: Work) -> Receipt:
    """Do `work` once for `call.key`. Raises ToolRefused when a rule says no or the key is taken."""
    kept = await shop.write(lambda db: granted(db, tool, arguments, call, work))
    return Receipt.model_validate(kept.answer())


def granted(db: sqlite3.Connection, tool: str, arguments: Mapping[str, Any], call: Call, work: Work) -> Kept:
    """The same, inside a transaction that the caller holds and commits, also when it was refused."""
    grant = call.grant
    if grant is None:
        raise Forbidden(f"{tool}: a write needs a grant")

    def effect() -> Receipt:
        outcome = work(db)
        receipt = Receipt(
            action=tool,
            key=call.key,
            grant=grant.jti,
            amount_cents=outcome.amount_cents,
            summary=outcome.summary,
            state=outcome.state,
        )
        canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        db.execute(
            "INSERT INTO effects (key, tool, arguments, ticket, caller, at, result) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (call.key, tool, canonical, call.ticket, call.caller, now(), receipt.model_dump_json()),
        )
        return receipt

    return once(db, call, effect)


def journal(db: sqlite3.Connection) -> list[Effect]:
    """Every write that happened, oldest first: `await shop.read(journal)`."""
    return [
        Effect(
            **{name: row[name] for name in ("seq", "key", "tool", "ticket", "caller", "at", "policy")},
            grant=row["jti"],
            approvers=json.loads(row["approvers"]),
            arguments=json.loads(row["arguments"]),
            result=Receipt.model_validate_json(row["result"]),
        )
        for row in db.execute(
            "SELECT effects.*, jti, policy, approvers FROM effects JOIN grants_used USING (key) ORDER BY seq"
        )
    ]


def now() -> str:
    """The time as the shop writes it down."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
