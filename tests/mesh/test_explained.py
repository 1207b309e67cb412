"""x"""

from __future__ import annotations
import json
from typing import Any


async def chain_of(team: Any) -> dict[str, Any]:
    (run, *_) = (await team.operator("GET", "/runs")).json()["runs"]
    answer = await team.operator("GET", f"/runs/{run['id']}/chain")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_x(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        chain = await chain_of(team)
    for d in chain["decisions"]:
        print(json.dumps(d))
    print(chain["missing"], chain["links"], chain["intact"])
    assert 0
