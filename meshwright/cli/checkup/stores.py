"""What must last: the databases with their disk, the log of what was decided, and the clock of a database elsewhere."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from meshwright.cli.checkup.diagnosis import Diagnosis, Patient, ill, size, watch, well
from meshwright.cli.checkup.house import FULL, TIGHT
from meshwright.cli.db import shown
from meshwright.errors import StoreUnavailable
from meshwright.inbound.identity import LEEWAY
from meshwright.settings import Settings, SettingsError

if TYPE_CHECKING:
    from meshwright.database import Database, Transaction

#: Bytes beyond which a write-ahead log says that somebody reads for ever.
LONG_WAL = 256_000_000
#: Of how many `audit_every` the last checkpoint may be old, when there is something to sign.
LATE = 5

_FILE = "sqlite:///"


async def databases(patient: Patient) -> list[Diagnosis]:
    """Every database of the mesh: within reach, of a schema that this build knows, with room to grow."""
    urls = _urls(patient)
    if not urls:
        return [watch("database", "there is none yet", "a process makes its own when it starts")]
    found: list[Diagnosis] = []
    for url in urls:
        found += await _database(url)
    return found


async def audit(patient: Patient) -> list[Diagnosis]:
    """The audit log: what the process that signs it says, else whether it ends where it was signed."""
    if url := patient.urls.get(patient.entry):
        told = await _metrics(patient, url)
        if told:
            return [_signing(patient, told)]
    url = _log_of(patient)
    if not url:
        return []  # `databases` says so
    try:
        database = await _connect(url)
    except SettingsError:
        return []
    try:
        return [_at_rest(patient, url, await database.read(_head))]
    except StoreUnavailable as error:
        return [ill("audit log", str(error), "see the database")]
    finally:
        await database.close()


def _urls(patient: Patient) -> list[str]:
    chosen = patient.settings
    if chosen is not None and chosen.database:
        return [] if chosen.database == "memory:" else [chosen.database]
    agents = [name for name, kind in patient.kinds.items() if kind == "a2a"]
    files = [patient.home.path / f"{name}.db" for name in agents]
    return [f"{_FILE}{file}" for file in files if file.exists()]


def _log_of(patient: Patient) -> str:
    """The database with the log; empty where there is none yet."""
    chosen, file = patient.settings, patient.home.path / f"{patient.entry}.db"
    if chosen is not None and chosen.database:
        return "" if chosen.database == "memory:" else chosen.database
    return f"{_FILE}{file}" if file.exists() else ""


async def _connect(url: str) -> Database:
    from meshwright.database.door import connect

    return await connect(url, looks=True)


async def _database(url: str) -> list[Diagnosis]:
    from meshwright.database import migrations

    file = Path(url.removeprefix(_FILE)) if url.startswith(_FILE) else None
    name = f"database {file.stem}" if file else "database"
    try:
        database = await _connect(url)
    except SettingsError as error:
        way_out = (
            "see that it runs and lets us in" if file is None else "restore it from a backup, or move it away"
        )
        return [ill(name, shown(str(error)), way_out)]
    try:
        schema = await migrations.status(database)
        now = time.time()
        theirs = await database.read(_clock)
    except StoreUnavailable as error:
        return [ill(name, shown(str(error)), "see whether it is locked, full or damaged")]
    finally:
        await database.close()
    says = f"schema {schema.found} of {schema.known}"
    at = "" if file else shown(url)
    if schema.found and schema.oldest > schema.known:
        return [ill(name, f"{says}: too new for this build", "install the newer meshwright")]
    off = theirs - now
    if abs(off) > LEEWAY:
        return [watch(name, f"its clock is {off:+.1f} s off ours", "let NTP keep the machines' time")]
    says = says if schema.found != schema.known else f"schema {schema.found}"
    state, room = _room(file) if file else ("", "")
    says = " · ".join(part for part in (says, at, room) if part)
    if state == "full":
        return [ill(name, says, "make room: a full disk takes no requests")]
    if state:
        return [watch(name, says, state)]
    if not schema.current:
        return [
            watch(
                name,
                says,
                "processes bring it up to date when they start; before that: `meshwright db upgrade`",
            )
        ]
    return [well(name, says)]


def _room(file: Path) -> tuple[str, str]:
    """What there is to do about its size ("full" on a full disk), and its size in words."""
    wal = file.with_name(f"{file.name}-wal")
    log = wal.stat().st_size if wal.exists() else 0
    free = shutil.disk_usage(file.parent).free
    says = f"{size(file.stat().st_size)}, WAL {size(log)}, {size(free)} free"
    if free < FULL:
        return "full", says
    if log > LONG_WAL:
        return "find who reads from it without end: its log cannot be emptied meanwhile", says
    return ("make room, or `meshwright db purge`" if free < TIGHT else ""), says


async def _clock(tx: Transaction) -> float:
    return float((await tx.execute("SELECT EPOCH() AS at"))[0]["at"])


async def _head(tx: Transaction) -> int | None:
    """How many entries the log has; None where there is none yet."""
    there = (
        "SELECT count(*) AS n FROM sqlite_master WHERE name = 'audit_head'"
        if not tx.skip_locked
        else "SELECT (to_regclass('audit_head') IS NOT NULL)::int AS n"
    )
    if not (await tx.execute(there))[0]["n"]:
        return None
    return int((await tx.execute("SELECT seq FROM audit_head"))[0]["seq"])


async def _metrics(patient: Patient, url: str) -> dict[str, float]:
    import httpx

    try:
        answer = await patient.http.get(url + "/metrics")
    except httpx.HTTPError:
        return {}  # `processes` says so
    found = {}
    for line in answer.text.splitlines() if answer.status_code == 200 else ():
        name, _, value = line.partition(" ")
        if name.startswith("meshwright_audit_"):
            try:
                found[name.removeprefix("meshwright_audit_")] = float(value)
            except ValueError:
                continue
    return found


def _signing(patient: Patient, told: dict[str, float]) -> Diagnosis:
    entries, signed = int(told.get("entries", 0)), int(told.get("signed_entries", 0))
    age = told.get("checkpoint_age_seconds", 0.0)
    every = (patient.settings or Settings()).audit_every
    if told.get("broken"):
        return ill(
            "audit log",
            f"it is not what was signed, at {entries} entries",
            "`meshwright audit verify` says which one",
        )
    last = f"the last checkpoint {age:.0f} s ago" if signed else "no checkpoint yet"
    says = f"{entries} entries when it last looked, {signed} signed, {last}"
    if entries > signed and age > LATE * every:
        return watch("audit log", says, f"it should be at most {every:g} s: see the log of {patient.entry}")
    return well("audit log", says)


def _at_rest(patient: Patient, url: str, entries: int | None) -> Diagnosis:
    """The log of a mesh that does not run: it must not end before its last checkpoint."""
    from meshwright.audit.anchor import Anchor
    from meshwright.audit.note import verifier_of

    if not entries:
        return well("audit log", "nothing stands in it yet")
    chosen = (patient.settings or Settings()).model_copy(
        update={
            "home": patient.home.path,
            "database": "" if url.startswith(_FILE + str(patient.home.path)) else url,
        }
    )
    anchor = Anchor(chosen.audit_files(patient.entry)[0])
    key = chosen.audit_key or chosen.trust or patient.home.trust
    try:
        kept = anchor.read([verifier_of(patient.entry, key.read_text())])
    except (OSError, ValueError, KeyError, AttributeError):
        return watch(
            "audit log",
            f"{entries} entries, and no checkpoints in {anchor.path} that a known key has signed",
            "keep checkpoints where the database's owner has no hand: docs/audit.md",
        )
    signed = max((each.size for each in kept.checkpoints), default=0)
    if signed > entries:
        return ill(
            "audit log", f"it ends at {entries}, and {signed} were signed", "`meshwright audit verify`"
        )
    if kept.wrong:
        return ill("audit log", kept.wrong[0], "`meshwright audit verify`")
    return well("audit log", f"{entries} entries, {signed} signed; `meshwright audit verify` reads them all")
