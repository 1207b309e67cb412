"""A warm start: ready once every way between the processes was gone, and nothing is left behind on any of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

AGENTS = {"triage", "orders", "standby", "aggregator"}


async def ready(team: Any, name: str) -> set[str]:
    """Wait until a process is ready; what it waited for meanwhile."""
    waited: set[str] = set()
    async with team.mesh.client() as client:
        while True:
            answer = await client.get(f"http://{name}/readyz")
            if answer.status_code == 200:
                return waited
            waited |= answer.json()["waiting_for"].keys()
            await asyncio.sleep(0)


def calls(team: Any, since: int = 0) -> list[tuple[str, str]]:
    """Who was called since then, and with what: an A2A or MCP method, or a path."""
    found = []
    for request in team.mesh.seen[since:]:
        body = json.loads(request.content) if request.content else {}
        found.append((request.url.host, str(body.get("method", request.url.path))))
    return found


async def test_a_warm_mesh_has_gone_every_way_before_it_is_ready_and_left_no_task(start_team: Any) -> None:
    async with start_team(warm=20) as team:
        for name in (*AGENTS, "orchestrator"):
            await ready(team, name)
        made = calls(team)
        assert {host for host, method in made if method == "CancelTask"} == AGENTS
        assert made.count(("workshop", "tools/list")) >= len(AGENTS) + 1
        assert not any("Send" in method for _, method in made)
        begin = len(team.mesh.seen)
        assert (await team.report("paint t1 red"))["outcome"] == "done"
        made = calls(team, begin)  # who looks around (by path) does so when it is time
        asked = {method for host, method in made if host != "orchestrator" and not method.startswith("/")}
        assert asked == {"SendStreamingMessage", "tools/call"}, "a first request finds all doors open"


async def test_one_who_is_down_keeps_nobody_from_being_ready(start_team: Any) -> None:
    async with start_team(warm=0.5) as team:
        team.mesh.down |= {"http://workshop", "http://standby"}
        assert "warm" in await ready(team, "orchestrator")
        assert (await team.report("sing"))["outcome"] != "failed"


async def test_a_start_that_is_not_to_be_warm_calls_nobody_but_for_cards(start_team: Any) -> None:
    async with start_team() as team:
        await ready(team, "orders")
        await ready(team, "orchestrator")
        assert not any(method in ("CancelTask", "tools/list") for _, method in calls(team))
