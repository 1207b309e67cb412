"""The log itself: entries are appended in the transaction of what they record, each with the hash of the one before.

Entries get their place at the end of the transaction (`Transaction.at_last`): the head of the log is the one row that every decision
has to lock. So they are in the order of the commits, without a gap, and what is undone has left no trace.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshwright.audit.privacy import keyed
from meshwright.clipping import storable

if TYPE_CHECKING:
    from meshwright.database import Transaction

#: What is woken when something was appended.
TOPIC = "audit"
#: The `prev` of the first entry.
GENESIS = bytes(32)
#: Characters of a body, as JSON, and of each other field. A longer body is not lost without a trace: its size and keyed hash stand for it.
BODY, FIELD = 65_536, 400
#: Rows of one INSERT: few different statements, for they are kept prepared.
ROWS = 16

COLUMNS = "seq, at, actor, kind, run, action, once, payload, prev, hash"
_HEADER = struct.Struct(">8s32sQd6I")
_MARK = b"mw-log-1"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. `body` is JSON and holds no personal data in clear (`meshwright.audit.privacy`).

    With a name in `once` the entry is appended at most once, so that work which is done again after a crash is not told twice.
    """

    kind: str
    actor: str
    body: Mapping[str, Any]
    run: str = ""
    action: str = ""
    once: str = ""


#: actor, kind, run, action, once, payload: an entry as it will stand in the log.
_Line = tuple[str, str, str, str, str, str]


async def append(tx: Transaction, *entries: Entry) -> None:
    """Append `entries`, one after the other, when `tx` commits. Raises ValueError or TypeError for a body that is no JSON."""
    if entries:
        tx.at_last(_write, *(_line(entry) for entry in entries))
        tx.wake(TOPIC)


def entry_hash(
    prev: bytes, seq: int, at: float, actor: str, kind: str, run: str, action: str, once: str, payload: str
) -> bytes:
    """SHA-256 over everything in a row, in one reading only: numbers in eight bytes, then the bytes of each text, then the texts.

    Raises TypeError, ValueError, OverflowError or struct.error for what cannot stand in a row.
    """
    texts = (actor, kind, run, action, once, payload)
    whole = f"{actor}{kind}{run}{action}{once}{payload}"
    # nearly always: then characters are bytes, and there is one text to encode instead of six
    lengths = map(len, texts) if whole.isascii() else (len(text.encode()) for text in texts)
    return hashlib.sha256(_HEADER.pack(_MARK, prev, seq, at, *lengths) + whole.encode()).digest()


def _line(entry: Entry) -> _Line:
    # ASCII only: half of a surrogate pair, which JSON can hold and no database can, is then no special case
    payload = json.dumps(
        entry.body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    if len(payload) > BODY:
        payload = json.dumps({"cut": len(payload), "keyed": keyed(payload)}, separators=(",", ":"))
    return (
        _text(entry.actor),
        _text(entry.kind),
        _text(entry.run),
        _text(entry.action),
        _text(entry.once),
        payload,
    )


def _text(value: str) -> str:
    """A short text that every database takes as it is."""
    if len(value) > FIELD:
        value = f"{value[:FIELD]}…{keyed(value)}"
    return storable(value)


async def _write(tx: Transaction, lines: Sequence[_Line]) -> None:
    lock = " FOR UPDATE" if tx.skip_locked else ""
    head = (
        await tx.execute(
            f"SELECT seq, hash, EPOCH() AS at FROM (SELECT seq, hash FROM audit_head{lock}) AS head"
        )
    )[0]
    seq, prev, at = int(head["seq"]), bytes(head["hash"]), float(head["at"])
    told = await _told(tx, sorted({line[4] for line in lines} - {""}))
    rows: list[Any] = []
    for line in lines:
        actor, kind, run, action, once, payload = line
        if once and once in told:
            continue
        told.add(once)
        seq += 1
        digest = entry_hash(prev, seq, at, actor, kind, run, action, once, payload)
        rows.append((seq, at, *line, prev, digest))
        prev = digest
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(some))
        await tx.execute(
            f"INSERT INTO audit_log ({COLUMNS}) VALUES {marks}", *(value for row in some for value in row)
        )


async def _told(tx: Transaction, names: Sequence[str]) -> set[str]:
    """Which of these names the log has already."""
    found: set[str] = set()
    for start in range(0, len(names), ROWS):
        some = names[start : start + ROWS]
        marks = ", ".join("?" * len(some))
        # The condition on its own is what lets the engines use the index, which is of names that are not empty.
        rows = await tx.execute(f"SELECT once FROM audit_log WHERE once <> '' AND once IN ({marks})", *some)
        found |= {str(row["once"]) for row in rows}
    return found
