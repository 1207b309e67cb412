"""kill -9 while it is appended and signed: what happened has its entry, no entry is of what did not happen, and signing goes on."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from meshwright.audit.anchor import Anchor
from meshwright.audit.inspection import inspect
from meshwright.audit.notary import Notary
from meshwright.audit.note import signer_of
from meshwright.database import open_database
from meshwright.inbound.identity import new_key

#: Eight writers, each with a row and an entry per transaction, and a notary that signs all the time.
CHILD = """
import asyncio, sys
from pathlib import Path
from meshwright.audit import Entry, append
from meshwright.audit.anchor import Anchor
from meshwright.audit.notary import Notary
from meshwright.audit.note import signer_of
from meshwright.database import open_database

url, key, anchor, run = sys.argv[1:]

async def main():
    database = await open_database(url)
    notary = Notary(database, signer_of("orchestrator", Path(key)), Anchor(Path(anchor)), 0.001)
    notary.start()

    async def work(writer):
        for number in range(1_000_000):
            name = f"{run}-{writer}-{number}"
            async def op(tx):
                await tx.execute("INSERT INTO push_configs (task_id, id, body) VALUES (?, 'p', ?)", name, b"")
                await append(tx, Entry("effect.applied", "orchestrator", {}, run=name))
            await database.write(op)

    await asyncio.gather(*(work(writer) for writer in range(8)))

asyncio.run(main())
"""


async def test_after_kill_9_the_log_is_what_happened(url: str, tmp_path: Path) -> None:
    key, path = tmp_path / "key.json", tmp_path / "checkpoints"
    key.write_text(json.dumps(new_key("orchestrator")[0]))
    anchor, signer = Anchor(path), signer_of("orchestrator", key)
    for run in range(3):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CHILD, url, str(key), str(path), str(run)), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(3 + run):  # checkpoints that it tells of
            assert await child.stdout.readline()
        child.kill()
        await child.communicate()
    database = await open_database(url)
    await Notary(database, signer, anchor, 60.0).sign()
    found = await inspect(database, anchor.read([signer.verifier]), anchor)
    assert found.clean, (found.fault, found.wrong)
    assert found.signed == found.entries > 0
    rows = await database.execute("SELECT task_id AS name FROM push_configs ORDER BY task_id")
    told = await database.execute("SELECT run AS name FROM audit_log ORDER BY run")
    assert [row["name"] for row in rows] == [row["name"] for row in told]
    await database.close()
