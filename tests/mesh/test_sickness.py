"""A peer or a tool that is sick is seen to be, by whoever looks: readiness, metrics, the command line."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.cli.reports import breaker
from meshwright.outbound.breaker import FAIL_MAX


async def page(team: Any, path: str, name: str = "orchestrator") -> Any:
    async with team.mesh.client() as stranger:
        answer = await stranger.get(f"http://{name}{path}")
    assert answer.status_code == 200
    return answer


async def test_whoever_asks_is_told_which_breaker_is_open_since_when_and_why(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.down.add("http://orders")
        for number in range(FAIL_MAX):
            await team.report(f"paint t1 colour{number}")
        shown = (await page(team, "/readyz")).json()
        peer = shown["peers"]["Orders"]
        assert peer["state"] == "open"
        assert peer["failures"] == {"transport": FAIL_MAX}
        assert 0 < peer["retry_in"] <= 5
        assert shown["tools"]["workshop"]["state"] == "closed"
        rows = {row["name"]: row for row in (await team.operator("GET", "/peers")).json()["peers"]}
        assert breaker(rows["orders"]).plain.startswith(f"open · {FAIL_MAX} transport · asked again in ")
        assert breaker(rows["triage"]).plain == "closed"


async def test_metrics_are_open_and_name_peers_and_reasons_only(start_team: Any) -> None:
    async with start_team() as team:
        await team.report("paint t1 red")
        team.mesh.down.add("http://orders")
        await team.report("paint t1 blue")
        answer = await page(team, "/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'kind="peer",peer="Orders",address="http://orders",outcome="transport"} ' in answer.text
        assert 'kind="tool",peer="workshop",address="http://workshop",outcome="well"} ' in answer.text
        assert "meshwright_places_limit " in answer.text
        assert "paint" not in answer.text
        await page(team, "/metrics", "workshop")  # a tool server lets no stranger in but here
        team.mesh.down.clear()
        assert 'kind="tool",peer="workshop"' in (await page(team, "/metrics", "orders")).text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"breaker": "closed"}, "closed"),
        (
            {"breaker": "closed", "health": {"overloaded": True, "retry_in": 1.25}},
            "closed · overloaded · asked again in 1.2 s",
        ),
        (
            {"breaker": "half-open", "health": {"failures": {"timeout": 6}, "retry_in": 0}},
            "half-open · 6 timeout",
        ),
        ({"breaker": "open\x1b[2J", "health": "?"}, "open�[2J"),
    ],
)
def test_the_command_line_says_what_is_known_and_nothing_from_outside_acts_on_it(row: Any, said: str) -> None:
    assert breaker(row).plain == said
