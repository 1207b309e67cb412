"""What /metrics says: the table of the documentation, the families of the code, and what a mesh at work and in trouble tells are one."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from evals.siege.town import Town, besieged
from meshwright.inbound.identity import new_key
from meshwright.records.metrics import FAMILIES
from meshwright.records.scores import Scores
from meshwright.records.telemetry import Telemetry
from meshwright.testing.backend import TraceBackend

ROOT = Path(__file__).parents[2]
ASK = "I am Ada Byron in zip code 73301. Please cancel order #W1001 because I no longer need it."
#: Told only where a second request was sent for a slow read: see tests/unit/test_hedge.py.
RARE = {"meshwright_hedges_total"}


def test_the_table_of_the_documentation_has_every_family_and_its_kind() -> None:
    text = (ROOT / "docs" / "observability.md").read_text()
    listed = re.findall(r"^\| `(meshwright_\w+)`[^|]*\| (gauge|counter) \|", text, re.MULTILINE)
    assert dict(listed) == {name: kind for name, (kind, _) in FAMILIES.items()}
    assert len(listed) == len(FAMILIES), "each once"


async def said(town: Town) -> set[str]:
    """The families that the processes of the mesh tell now."""
    found = set()
    async with town.mesh.client() as client:
        for origin in town.mesh.apps:
            lines = (await client.get(f"{origin}/metrics")).text.splitlines()
            found |= {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}
    return found


async def test_a_mesh_at_work_and_in_trouble_tells_every_family(
    tmp_path: Path, backend: TraceBackend
) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(new_key("orchestrator")[0]))
    telemetry = Telemetry("mesh", backend.exporter(), scores=Scores.from_env(backend.environment()))
    telemetry.start()
    tight = {"at_once": 3, "queue": 1, "budget_day_tokens": 1, "audit_key": key}
    try:
        async with besieged(tmp_path, **tight) as town:
            readiness = town.mesh.apps["http://orchestrator"].state.readiness  # type: ignore[attr-defined]
            readiness.metrics.append(telemetry.samples)  # as `meshwright.process` does
            await town.ask(ASK)
            town.mesh.down.add("http://accounts")
            await asyncio.gather(*(town.ask(f"{ASK} {number}") for number in range(12)))
            await town.ask(ASK)  # by now nobody asks them any more
            town.mesh.down.clear()
            found = await said(town)
    finally:
        await asyncio.to_thread(telemetry.stop)
    assert found == set(FAMILIES) - RARE
