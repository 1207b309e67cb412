"""What the orchestrator tells of its mesh: who is there and how, who called whom; from peers that may say anything."""

from __future__ import annotations

from typing import Any


async def mesh(team: Any, query: str = "?fresh=1", **more: Any) -> dict[str, Any]:
    answer = await team.operator("GET", f"/mesh{query}", **more)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_try(start_team: Any) -> None:
    import json
    async with start_team() as team:
        await team.report("paint t1 red")
        print(json.dumps(await mesh(team), indent=1))
        rows = (await team.operator("GET", "/mesh?fresh=1")).json()
