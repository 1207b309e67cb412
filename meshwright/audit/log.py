"""Stub: what was decided and done, in the transaction of what it records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshwright.database import Transaction


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. With `once` it is appended at most once."""

    kind: str
    actor: str
    body: Mapping[str, Any]
    run: str = ""
    action: str = ""
    once: str = ""


async def append(tx: Transaction, *entries: Entry) -> None:
    """Put entries into the log, inside the caller's transaction."""
    for entry in entries:
        await tx.execute(
            "INSERT INTO audit_log (kind, actor, body, run, action, once) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (once) DO NOTHING",
            *(entry.kind, entry.actor, json.dumps(dict(entry.body)), entry.run, entry.action),
            entry.once or None,
        )
