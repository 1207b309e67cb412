"""The schema, version by version. A version is never edited once released; a new one is added below it.

Replicas that start at once upgrade one after the other, under a lock. A build meets a newer schema after a rollback: it goes on
as long as that version says it may (`oldest`), and refuses to start otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshwright.database.schema import VERSIONS
from meshwright.settings import SettingsError

if TYPE_CHECKING:
    from meshwright.database.door import Database, Transaction

#: Any number, as long as it is ours alone among the advisory locks of one database.
LOCK = 7_301_001
#: Seconds that a statement of an upgrade may take, or wait for the upgrade of another replica: an index of a large table is not made in
#: the time that is enough for any statement of ours.
PATIENCE = 3_600.0

_TABLE = """CREATE TABLE IF NOT EXISTS schema_versions (
    version BIGINT PRIMARY KEY, title TEXT NOT NULL, oldest BIGINT NOT NULL, applied DOUBLE PRECISION NOT NULL)"""

#: The tables that every process reads, and writes into. The audit log is for its own; what may be done with it is said in `docs/audit.md`.
_WORKED_WITH = [
    found[1]
    for version in VERSIONS
    for statement in version.statements
    if (found := re.match(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", statement))
    and not found[1].startswith("audit_")
]


@dataclass(frozen=True, slots=True)
class Status:
    """Which schema version a database has, which this build brings, and what is still to be applied.

    `oldest` is the oldest version whose build can work with what is found.
    """

    found: int
    known: int
    pending: tuple[str, ...]
    oldest: int = 0

    @property
    def current(self) -> bool:
        return not self.pending


async def status(database: Database) -> Status:
    """What stands in the database, changing nothing."""
    try:
        rows = await database.read(_versions)
    except NoSchema:
        rows = []
    found = max((int(row["version"]) for row in rows), default=0)
    pending = tuple(f"{v.number}: {v.title}" for v in VERSIONS if v.number > found)
    oldest = max((int(row["oldest"]) for row in rows), default=0)
    return Status(found, VERSIONS[-1].number, pending, oldest)


def require_ours(there: Status) -> None:
    """Raises SettingsError when the database is too new for this build."""
    if there.oldest > there.known:
        raise SettingsError(
            f"the database has schema {there.found}, which needs a build that knows schema {there.oldest}; "
            f"this one knows {there.known}: start a newer build"
        )


async def require_rights(database: Database) -> None:
    """Raises SettingsError where there are tables that this user may not use: those that an upgrade by their owner has added, if nobody
    has granted them. Else that would be found out in the middle of each task."""

    async def op(tx: Transaction) -> list[Any]:
        if not tx.skip_locked:
            return []
        return await tx.execute(
            "SELECT name FROM regexp_split_to_table(?, ' ') AS name WHERE NOT has_table_privilege(to_regclass(name), 'SELECT')"
            " OR NOT has_table_privilege(to_regclass(name), 'INSERT') ORDER BY name",
            " ".join(_WORKED_WITH),
        )

    if closed := [row["name"] for row in await database.read(op)]:
        raise SettingsError(
            f"MESHWRIGHT_DATABASE: its user may not use {', '.join(closed)}: let the owner of the tables grant it"
        )


class NoSchema(Exception):
    """The database has no schema of ours yet."""


async def _versions(tx: Transaction) -> list[Any]:
    if not await _has_versions(tx):
        raise NoSchema
    return list(await tx.execute("SELECT version, oldest FROM schema_versions"))


async def _has_versions(tx: Transaction) -> bool:
    if tx.skip_locked:
        rows = await tx.execute("SELECT to_regclass('schema_versions') IS NOT NULL AS there")
    else:
        rows = await tx.execute("SELECT count(*) AS there FROM sqlite_master WHERE name = 'schema_versions'")
    return bool(rows[0]["there"])


async def upgrade(database: Database) -> int:
    """Apply what is missing, in one transaction. Returns the version that stands now.

    Raises SettingsError when the database is too new for this build.
    """

    async def op(tx: Transaction) -> int:
        tx.limit = PATIENCE
        if (
            tx.skip_locked
        ):  # CREATE TABLE IF NOT EXISTS is no protection against another replica doing the same
            await tx.execute("SELECT pg_advisory_xact_lock(?)", LOCK)
        await tx.execute(_TABLE)
        rows = await tx.execute("SELECT version, oldest FROM schema_versions")
        found = max((int(row["version"]) for row in rows), default=0)
        known = VERSIONS[-1].number
        for version in VERSIONS:
            if version.number > found:
                own = version.postgres if tx.skip_locked else version.sqlite
                for statement in (*version.statements, *own):
                    await tx.execute(statement if tx.skip_locked else statement.replace(" BYTES", " BLOB"))
                await tx.execute(
                    "INSERT INTO schema_versions (version, title, oldest, applied) VALUES (?, ?, ?, EPOCH())",
                    *(version.number, version.title, version.oldest),
                )
        return max(found, known)

    there = await status(database)
    require_ours(there)
    if there.current:  # the common case: a start of many replicas need not queue for the lock
        return there.found
    try:
        return await database.write(op)
    except database.refusals as error:
        raise SettingsError(
            f"the schema {there.found} cannot be brought up to date, and nothing was changed: {error}."
            " Is it a database of something else, or may this user not change it?"
        ) from error
