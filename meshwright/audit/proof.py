"""What one entry's place in the log is proved with, to somebody who has nothing but the public key."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshwright.audit.inspection import ILL_TYPED, lines_of
from meshwright.audit.log import COLUMNS, entry_hash
from meshwright.audit.merkle import includes, inclusion, root_of
from meshwright.audit.note import Checkpoint, NoteError, Verifier, opened
from meshwright.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from meshwright.audit.anchor import Anchor, Kept
    from meshwright.database import Database, Row, Transaction, Value

FIELDS = tuple(COLUMNS.split(", "))


def shown(line: Any) -> dict[str, Any]:
    """A row of the log as JSON: the body as the text that was hashed, hashes in hex."""
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in zip(FIELDS, line, strict=True)
    }


async def prove(database: Database, seq: int, kept: Kept, anchor: Anchor | None = None) -> dict[str, Any]:
    """That entry `seq` is under the last checkpoint. With an `anchor` that has the hashes, the rest of the log need not be read.

    Raises NotFound where there is no such entry or it is not signed yet, InvalidRequest if the log is not what was signed.
    """
    checkpoint = kept.checkpoints[-1] if kept.checkpoints else None
    if checkpoint is None or not 0 < seq <= checkpoint.size:
        size = checkpoint.size if checkpoint else 0
        raise NotFound(f"entry {seq} is under no checkpoint: {size} entries are signed")
    leaves = await asyncio.to_thread(anchor.hashes, checkpoint) if anchor is not None else []
    entry: dict[str, Any] = {}
    if leaves:
        async for lines in lines_of(database, seq, seq - 1):
            entry = shown(lines[0])
    else:
        async for lines in lines_of(database, checkpoint.size):
            leaves += [line[9] for line in lines]
            entry |= next((shown(line) for line in lines if line[0] == seq), {})
    return await asyncio.to_thread(_proof, entry, seq, leaves, checkpoint, kept.notes[checkpoint.size])


def _proof(
    entry: dict[str, Any], seq: int, leaves: list[bytes], checkpoint: Checkpoint, note: str
) -> dict[str, Any]:
    right = entry and len(leaves) == checkpoint.size and root_of(leaves) == checkpoint.root
    if not right or leaves[seq - 1].hex() != entry["hash"] or _computed(entry).hex() != entry["hash"]:
        raise InvalidRequest("the log is not what was signed: `meshwright audit verify` says where")
    path = [base64.b64encode(each).decode() for each in inclusion(seq - 1, leaves)]
    return {"entry": entry, "path": path, "note": note}


def _computed(entry: Mapping[str, Any]) -> bytes:
    """The hash of an entry as it stands. Raises one of ILL_TYPED, or KeyError."""
    texts = [entry[name] for name in FIELDS[2:8]]
    return entry_hash(bytes.fromhex(entry["prev"]), entry["seq"], entry["at"], *texts)


def checked(proof: Mapping[str, Any], keys: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint that the entry in `proof` is under. Raises InvalidRequest, with what does not hold."""
    try:
        entry = dict(proof["entry"])
        seq = entry["seq"]
        digest, computed = bytes.fromhex(entry["hash"]), _computed(entry)
        path = [base64.b64decode(each, validate=True) for each in proof["path"]]
        note = str(proof["note"])
    except (KeyError, AttributeError, *ILL_TYPED):
        raise InvalidRequest("this is no proof") from None
    if computed != digest:
        raise InvalidRequest(f"entry {seq} was edited: it is not what was hashed")
    try:
        checkpoint = opened(note, keys)
    except NoteError as error:
        raise InvalidRequest(f"its checkpoint is not to be believed: {error}") from None
    if not includes(checkpoint.root, checkpoint.size, seq - 1, digest, path):
        raise InvalidRequest(f"entry {seq} is not under the checkpoint")
    return checkpoint


async def exported(database: Database, kept: Kept | None) -> AsyncIterator[str]:
    """The log as lines of JSON: its entries, and at the end the last checkpoint that covers no more than these."""
    size = 0
    async for lines in lines_of(database):
        for line in lines:
            yield json.dumps(shown(line), ensure_ascii=False)
        size = int(lines[-1][0])
    signed = [number for number in (kept.notes if kept else {}) if number <= size]
    yield json.dumps({"checkpoint": kept.notes[max(signed)] if kept and signed else None}, ensure_ascii=False)


async def chosen(database: Database, wanted: Mapping[str, str], limit: int) -> list[dict[str, Any]]:
    """The newest `limit` entries of a run, an action, a kind (or a kind's first part), oldest first."""
    conditions = ["1 = 1"]
    values: list[Value] = []
    for name in ("run", "action", "actor"):
        if wanted.get(name):
            conditions.append(f"{name} = ?")
            values.append(wanted[name])
    if kind := wanted.get("kind"):
        conditions.append("(kind = ? OR substr(kind, 1, ?) = ?)")
        values += [kind, len(kind) + 1, f"{kind}."]

    async def op(tx: Transaction) -> list[Row]:
        return await tx.execute(
            f"SELECT {COLUMNS} FROM audit_log WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?",
            *(*values, limit),
        )

    return [shown(row) for row in reversed(await database.read(op))]
