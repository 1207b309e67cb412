"""Single use: what came of a key is kept in the transaction of its effect, and is all that anybody gets who asks again.

    def work(db):                                  # inside one transaction on `db`
        return once(db, call, lambda: paint(db))

    kept = await write(work)                       # committed
    return Receipt.model_validate(kept.answer())   # or the refusal, raised

For a DB-API connection with `execute` (sqlite3; psycopg with `mark="%s"`). The table may be made beside the tool's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from meshwright.errors import Forbidden, ToolRefused
from meshwright.toolserver import Call

#: One row for each key that something came of: who allowed it, and the result or the refusal. `at` is seconds since the epoch.
TABLE = """CREATE TABLE IF NOT EXISTS grants_used (
  jti TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, tool TEXT NOT NULL, args TEXT NOT NULL, ticket TEXT NOT NULL,
  issuer TEXT NOT NULL, policy TEXT NOT NULL, approvers TEXT NOT NULL, at BIGINT NOT NULL,
  result TEXT NOT NULL, refused TEXT NOT NULL)"""


class Connection(Protocol):
    """A DB-API connection that is inside a transaction, or begins one with its first statement."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of a key: a result, or a refusal. `replayed` when it came of it before. `jti` names the grant it was done under."""

    result: dict[str, Any]
    refused: str
    replayed: bool
    jti: str

    def answer(self) -> dict[str, Any]:
        """The result, marked if it is replayed. Raises ToolRefused. To be called after the commit, so that a refusal is kept too."""
        if self.refused:
            raise ToolRefused(self.refused)
        return {**self.result, "replayed": True} if self.replayed else self.result


def once(db: Connection, call: Call, work: Callable[[], BaseModel], *, mark: str = "?") -> Kept:
    """Use up the grant of `call` for `work`, which makes the change on `db`; the caller commits, also when it was refused.

    A ToolRefused of `work` undoes what it did and is kept like a result. Whatever else is raised must undo the transaction, and
    leaves the key free: Forbidden when the grant has run out or was used for another key, DeadlineExceeded when the time has.
    """
    grant = call.grant
    if grant is None:
        raise Forbidden("a write needs a grant, signed after a gate")
    columns = (
        *(grant.jti, grant.key, grant.tool, grant.args, grant.ticket, grant.iss, grant.verdict.policy),
        *(json.dumps(grant.approvers), int(time.time()), "", ""),
    )
    # First of all: on any database it is here that a second one waits for the first.
    taken = db.execute(
        f"INSERT INTO grants_used VALUES ({', '.join([mark] * len(columns))}) ON CONFLICT DO NOTHING", columns
    )
    if taken.rowcount == 0:
        return _found(db, call, mark)
    call.by.require()  # the wait for the lock may have used the time up, and late effects surprise people
    grant.require()
    db.execute("SAVEPOINT granted")
    try:
        result, refused = work().model_dump(mode="json"), ""
    except ToolRefused as refusal:
        db.execute("ROLLBACK TO SAVEPOINT granted")
        result, refused = {}, str(refusal)
    db.execute("RELEASE SAVEPOINT granted")
    db.execute(
        f"UPDATE grants_used SET result = {mark}, refused = {mark} WHERE jti = {mark}",
        (json.dumps(result), refused, grant.jti),
    )
    return Kept(result, refused, False, grant.jti)


def _found(db: Connection, call: Call, mark: str) -> Kept:
    """What came of the key before. A replay changes nothing, so it is given also to a grant that ran out meanwhile."""
    grant = call.grant
    assert grant is not None
    row = db.execute(
        f"SELECT tool, args, result, refused, jti FROM grants_used WHERE key = {mark}", (grant.key,)
    ).fetchone()
    if row is None:
        raise Forbidden("the grant was used for another key")
    tool, args, result, refused, jti = row
    if tool != grant.tool or args not in (grant.args, ""):
        raise ToolRefused(
            f"{grant.tool}: this key already stands for another write ({tool}); a new wish needs a new key"
        )
    return Kept(json.loads(result), refused, True, jti)
