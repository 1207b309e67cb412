"""The audit log over HTTP, for operators: what stands in it, whether it is what was written, and the proof of one entry.

A page reads no more than SPAN entries of the log, whatever is looked for, and says where the next one goes on.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse

from meshwright.audit.log import COLUMNS
from meshwright.audit.proof import prove, shown
from meshwright.audit.vigil import Vigil
from meshwright.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from meshwright.audit.notary import Notary
    from meshwright.database import Row, Transaction, Value
    from orchestrator.driver import Driver

#: Entries that one page looks through, and those it shows at most.
SPAN, MOST = 20_000, 200
#: Characters of what is looked for.
WORDS = 400
#: Seconds that a page waits for a look at what is new, and who had all of it read anew for that.
WAIT, WAIT_FOR_ALL = 0.05, 1.0
#: Above every number of an entry.
END = 2**62
FILTERS = ("run", "actor", "action", "kind", "q")


class AuditView:
    """The pages. `live` gives the driver, or says that the process still starts; `span` is how many entries a page looks through."""

    def __init__(self, live: Callable[[], Driver], span: int = SPAN) -> None:
        self._live, self._span = live, span
        #: Who signs the log, where somebody does.
        self.notary: Notary | None = None
        self._vigil: Vigil | None = None
        self._proving = asyncio.Lock()

    async def aclose(self) -> None:
        if self._vigil is not None:
            await self._vigil.aclose()

    async def shown(self, request: Request) -> JSONResponse:
        """Entries, the newest first; `?run=` `actor=` `action=` `kind=` `q=`, and `before=` to go on."""
        query = request.query_params
        wanted = {name: query[name] for name in FILTERS if query.get(name)}
        if any(len(value) > WORDS or "\0" in value for value in wanted.values()):
            raise InvalidRequest(f"what is looked for must be no longer than {WORDS} characters")
        limit = _number(query.get("limit", "50"), "limit", 1, MOST)
        before = _number(query.get("before", "0"), "before", 0, END - 1) or END
        await self._watch().look(within=WAIT)
        entries, after = await self._chosen(wanted, before, limit)
        return JSONResponse({"entries": entries, "next": after, "log": await self._state()})

    async def verify(self, request: Request) -> JSONResponse:
        """Begin to read all of it anew."""
        await self._watch().look(full=True, within=WAIT_FOR_ALL)
        return JSONResponse({"log": await self._state()}, 202)

    async def proof(self, request: Request) -> JSONResponse:
        """That one entry is under the last checkpoint, for somebody who has nothing but the public key."""
        seq = _number(request.path_params["seq"], "the number of an entry", 1, END)
        if self.notary is None:
            raise NotFound("this log is not signed: set MESHWRIGHT_AUDIT_KEY")
        async with self._proving:  # one at a time: each reads the hashes of all entries
            kept = await asyncio.to_thread(self.notary.kept)
            proof = await prove(self._live().database, seq, kept, self.notary.anchor)
        headers = {"content-disposition": f'attachment; filename="entry-{seq}.proof.json"'}
        return JSONResponse(proof, headers=headers)

    def _watch(self) -> Vigil:
        if self._vigil is None:
            self._vigil = Vigil(self._live().database, self.notary)
        return self._vigil

    async def _state(self) -> dict[str, Any]:
        vigil, notary = self._watch(), self.notary
        found = vigil.verified
        head = await self._live().database.read(_head)
        return {
            "entries": head,
            "signed": notary.signed if notary else 0,
            "signs": notary is not None,
            "checkpoint_age": round(notary.age, 1) if notary and notary.signed else None,
            "broken": bool(notary and notary.broken) or bool(found and not found.ok),
            "verifying": vigil.busy,
            "trouble": vigil.trouble,
            "full_at": vigil.full_at or None,
            "verified": {
                "at": found.at,
                "upto": found.upto,
                "ok": found.ok,
                "why": found.why,
                "full": found.full,
            }
            if found
            else None,
        }

    async def _chosen(
        self, wanted: Mapping[str, str], before: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """Entries below `before`, and where to go on; 0 where there is no more."""

        async def op(tx: Transaction) -> tuple[list[Row], int]:
            conditions, values = _conditions(wanted, await _runs(tx, wanted.get("run", "")))
            top = min(before, await _head(tx) + 1)
            floor = 0
            if wanted and not wanted.get("run"):  # a run's entries are found by an index
                floor = max(0, top - 1 - self._span)
            rows = await tx.execute(
                f"SELECT {COLUMNS} FROM audit_log WHERE seq < ? AND seq > ?{conditions}"
                " ORDER BY seq DESC LIMIT ?",
                *(before, floor, *values, limit + 1),
            )
            return rows, floor

        rows, floor = await self._live().database.read(op)
        entries = [_entry(row) for row in rows[:limit]]
        if len(rows) > limit:
            return entries, int(rows[limit - 1]["seq"])
        return entries, floor + 1 if floor else 0


def _entry(row: Row) -> dict[str, Any]:
    entry = shown(tuple(row[name] for name in COLUMNS.split(", ")))
    try:
        entry["payload"] = from_json(entry["payload"], allow_inf_nan=False)
    except (ValueError, TypeError):
        entry["payload"] = {
            "unreadable": ascii(entry["payload"])
        }  # somebody has edited it, or half a character is in it
    if not isinstance(entry["at"], int | float) or not math.isfinite(entry["at"]):
        entry["at"] = 0.0
    kept = ("seq", "at", "actor", "kind", "run", "action", "payload", "hash")
    return {name: entry[name] for name in kept}


async def _runs(tx: Transaction, run: str) -> list[str]:
    """The run of this id, and that of the task that its client knows by it."""
    rows = await tx.execute("SELECT id FROM runs WHERE task_id = ?", run) if run else []
    return [run, *(str(row["id"]) for row in rows)][:2]


def _conditions(wanted: Mapping[str, str], runs: list[str]) -> tuple[str, list[Value]]:
    found: list[str] = []
    values: list[Value] = []

    def say(condition: str, *value: Value) -> None:
        found.append(f" AND ({condition})")
        values.extend(value)

    if wanted.get("run"):
        # The condition on its own is what lets the engines use the index, which is of those that are not empty.
        say(f"run <> '' AND run IN ({', '.join('?' * len(runs))})", *runs)
    if actor := wanted.get("actor"):  # who did it, or the agent that proposed it
        name = _plain(json.dumps(actor))
        say("lower(actor) = lower(?) OR payload LIKE ? ESCAPE '!'", actor, f'%"proposed_by":{name}%')
    if action := wanted.get("action"):  # the key of an action, or the tool that it is a call of
        name = json.dumps(action)
        say(
            "action = ? OR payload LIKE ? ESCAPE '!' OR payload LIKE ? ESCAPE '!'",
            *(action, f'%"action":{_plain(name)}%', f'%"tool":{_plain(name)}%'),
        )
    if kind := wanted.get("kind"):
        say("kind = ? OR substr(kind, 1, ?) = ?", kind, len(kind) + 1, f"{kind}.")
    if words := wanted.get("q"):
        word = f"%{_plain(words.lower())}%"
        inside = f"%{_plain(json.dumps(words)[1:-1].lower())}%"  # as it stands in JSON that is ASCII only
        say(
            "lower(actor) LIKE ? ESCAPE '!' OR lower(run) LIKE ? ESCAPE '!' OR lower(action) LIKE ? ESCAPE '!'"
            " OR lower(kind) LIKE ? ESCAPE '!' OR lower(payload) LIKE ? ESCAPE '!'",
            *(word, word, word, word, inside),
        )
    return "".join(found), values


def _plain(text: str) -> str:
    """A text in a LIKE, meaning nothing but itself."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _number(text: str, what: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= most):
        raise InvalidRequest(f"{what} must be a number from {least} to {most}")
    return int(text)


async def _head(tx: Transaction) -> int:
    rows = await tx.execute("SELECT seq FROM audit_head WHERE id = 1")
    return int(rows[0]["seq"]) if rows else 0
