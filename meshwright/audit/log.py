"""The audit log: entries are appended in the transaction of what they record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshwright.database import Transaction


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: what, by whom, and to what."""

    kind: str
    actor: str
    body: Mapping[str, Any]
    run: str = ""
    action: str = ""
    once: str = ""


async def append(tx: Transaction, *entries: Entry) -> None:
    """Write entries inside the caller's transaction; one whose `once` is there already is not written again."""
    await tx.execute(
        "CREATE TABLE IF NOT EXISTS audit_log"
        " (kind TEXT, actor TEXT, body TEXT, run TEXT, action TEXT, once TEXT UNIQUE)"
    )
    for entry in entries:
        await tx.execute(
            "INSERT INTO audit_log VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (once) DO NOTHING",
            *(entry.kind, entry.actor, json.dumps(dict(entry.body), sort_keys=True)),
            *(entry.run, entry.action, entry.once or None),
        )
