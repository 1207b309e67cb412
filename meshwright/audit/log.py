"""The audit log: entries are appended in the transaction of what they record. A stub: it keeps nothing yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshwright.database import Transaction


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. With `once`, an entry of this name is appended at most once."""

    kind: str
    actor: str
    body: Mapping[str, Any]
    run: str = ""
    action: str = ""
    once: str = ""


async def append(tx: Transaction, *entries: Entry) -> None:
    """Append entries, inside the caller's transaction."""
