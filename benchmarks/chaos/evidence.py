"""What the mesh itself says of a storm, read from its databases when all its processes have stopped: audit log, runs, decisions."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos.authority import Line
from benchmarks.chaos.journal import EffectRow
from benchmarks.chaos.telling import Telling
from meshwright.audit.anchor import Anchor, Kept
from meshwright.audit.inspection import inspect
from meshwright.audit.note import verifier_of
from meshwright.cli.home import Home
from meshwright.database import Database
from meshwright.records.seal import intact
from meshwright.settings import Settings

ENTRY = "orchestrator"
#: Runs that still go on, as far as their rows say.
GOING_ON = ("working", "waiting")
_DECISIONS = "SELECT body FROM decisions WHERE run = ? AND run <> ''"


@dataclass(slots=True)
class Evidence:
    """Without a database that lasts there is none: then nothing is proved, and the verdict says so."""

    log: list[Line] = field(default_factory=list)
    #: What is wrong with the log as a whole.
    unsound: list[str] = field(default_factory=lambda: ["there is no audit log that outlives its process"])
    tellings: list[Telling] = field(default_factory=list)
    #: Entries that a checkpoint is signed over.
    signed: int = 0


async def gathered(
    database: Database | None, given: str, home: Home, journal: Sequence[EffectRow]
) -> Evidence:
    """All of it. `given` is the database that processes were told of, empty where each has its own file in `home`."""
    if database is None:
        return Evidence()
    place = Settings(home=home.path, database=given).audit_files(ENTRY)[0]
    anchor = Anchor(place)
    kept = anchor.read([verifier_of(ENTRY, home.trust.read_text())]) if place.exists() else Kept()
    found = await inspect(database, kept, anchor)
    log = [_line(row) for row in await database.execute("SELECT * FROM audit_log ORDER BY seq")]
    faults = [f"{found.fault.kind}: {found.fault.says}"] if found.fault else []
    tellings = await _tellings(database, home.path, log, journal)
    return Evidence(log, [*faults, *found.wrong], tellings, found.signed)


def _line(row: Any) -> Line:
    return Line(row["seq"], row["kind"], row["actor"], row["run"], row["action"], json.loads(row["payload"]))


async def _tellings(
    database: Database, folder: Path, log: Sequence[Line], journal: Sequence[EffectRow]
) -> list[Telling]:
    logged: dict[str, list[Line]] = defaultdict(list)
    for line in log:
        logged[line.run].append(line)
    done: dict[str, list[EffectRow]] = defaultdict(list)
    for effect in journal:
        done[effect.ticket].append(effect)
    ended = [
        row
        for row in await database.execute("SELECT id, task_id, state FROM runs")
        if row["state"] not in GOING_ON
    ]
    tellings = []
    with ExitStack() as stack:
        others = [stack.enter_context(closing(each)) for each in _agents(folder)]
        for row in ended:
            run = row["id"]
            bodies = [each["body"] for each in await database.execute(_DECISIONS, run)]
            bodies += [body for other in others for (body,) in other.execute(_DECISIONS, (run,))]
            sealed = await intact(database, run, row["task_id"])
            rows = [json.loads(body) for body in bodies]
            tellings.append(Telling(run, row["state"], sealed, rows, logged[run], done[run]))
    return tellings


def _agents(folder: Path) -> list[sqlite3.Connection]:
    """The files of the other agents, where each process has its own."""
    found = []
    for file in sorted(folder.glob("*.db")):
        db = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)
        if (
            file.stem != ENTRY
            and db.execute("SELECT 1 FROM sqlite_master WHERE name = 'decisions'").fetchone()
        ):
            found.append(db)
        else:
            db.close()
    return found
