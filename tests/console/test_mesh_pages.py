"""What the page of the mesh makes of what it is told, by an orchestrator of this age or another, true or hostile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.responses import JSONResponse

from console.meshview import standing

HOSTILE = "</script><script>alert(1)</script>\u202egp.exe\u0000\" onload='x'"


def telling(house: Any, told: Mapping[str, Any], status: int = 200) -> None:
    """Have the orchestrator tell this of its mesh."""
    inner = house.town.mesh.apps["http://orchestrator"]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer = JSONResponse(dict(told), status) if scope.get("path") == "/mesh" else inner
        await answer(scope, receive, send)

    house.town.mesh.apps["http://orchestrator"] = app


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"status": "ready", "breaker": "closed"}, "ready"),
        ({"status": "ready", "breaker": "open"}, "sick"),
        ({"status": "ready", "breaker": "half-open"}, "being tried"),
        ({"status": "ready", "breaker": "closed", "health": {"overloaded": True}}, "asked for a pause"),
        ({"status": "cold", "breaker": "open"}, "cold"),
        ({"status": "draining", "breaker": "closed"}, "leaving"),
        ({"status": "stale", "breaker": "open"}, "unreachable"),
        ({"status": "unreachable"}, "unreachable"),
        ({"status": "silent", "breaker": "closed"}, "silent"),
        ({"status": "invalid"}, "bad card"),
        ({"status": "busy", "breaker": "closed"}, "busy"),
        ({"status": "of tomorrow"}, "of tomorrow"),
        ({}, "unknown"),
    ],
)
def test_every_way_to_be_has_a_word(row: dict[str, Any], word: str) -> None:
    assert standing(row).word == word


def test_no_two_ways_to_be_look_the_same() -> None:
    rows = [
        *({"status": status} for status in ("ready", "cold", "draining", "unreachable", "silent", "busy")),
        *({"status": "ready", "breaker": state} for state in ("open", "half-open")),
    ]
    looks = [(found.word, found.sign) for found in map(standing, rows)]
    assert len({word for word, _ in looks}) == len(looks)


def test_a_sick_one_says_why_since_when_and_what_comes_next() -> None:
    health = {"since": 1.0, "retry_in": 3.25, "failures": {"timeout": 5, "bad-output": 1}}
    why = standing({"status": "ready", "breaker": "open", "health": health}).why
    assert re.fullmatch(
        r"Its breaker is open for \d+ d: 5 × timeout, 1 × bad-output\. It is tried again in 3\.2 s\.", why
    )


async def test_the_page_shows_the_real_mesh_of_a_real_orchestrator(house: Any) -> None:
    visitor = await house.visitor()
    page = await visitor.get("/mesh")
    assert page.status_code == 200
    assert "Orchestrator" in page.text
    assert "Nobody called anybody" in page.text


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"agents": None, "tools": {}, "edges": "none"},
        {"agents": [None, 7, {}], "tools": [{}], "edges": [{}, {"from": 1, "to": None}]},
        {
            "agents": [
                {
                    "name": 5,
                    "skills": "many",
                    "latency": [],
                    "load": {"taken": "3"},
                    "budget": 7,
                    "health": [],
                }
            ]
        },
        {
            "agents": [
                {"name": "a", "latency": {"calls": 10**30, "failed": -1, "p50_ms": True, "p95_ms": 2**60}}
            ]
        },
        {"agents": [{"name": "a", "latency": {"calls": 3, "failed": 1, "p50_ms": None, "p95_ms": 9}}]},
        {
            "agents": [
                {
                    "name": "a",
                    "health": {"since": "x", "retry_in": "y", "failures": []},
                    "breaker": "open",
                    "status": "ready",
                }
            ]
        },
        {"unheard": 7, "since": "yesterday", "complete": "no"},
    ],
    ids=["nothing", "null", "empty", "types", "numbers", "half", "health", "rest"],
)
async def test_an_orchestrator_of_another_age_breaks_no_page(house: Any, told: dict[str, Any]) -> None:
    telling(house, told)
    visitor = await house.visitor()
    assert (await visitor.get("/mesh")).status_code == 200


async def test_nothing_that_a_peer_says_is_markup_or_hides(house: Any) -> None:
    row = {
        "name": HOSTILE,
        "title": HOSTILE,
        "url": HOSTILE,
        "version": HOSTILE,
        "status": "stale",
        "why": HOSTILE,
        "skills": [HOSTILE],
        "breaker": HOSTILE,
    }
    edges = [{"from": HOSTILE, "to": HOSTILE, "kind": "tool", "calls": 3, "failed": 1, "p95_ms": 5}]
    told = {"agents": [row, {**row, "here": True}], "tools": [{**row, "tools": [HOSTILE]}]}
    telling(house, {**told, "edges": edges, "unheard": [HOSTILE], "complete": True})
    text = (await (await house.visitor()).get("/mesh")).text
    assert "<script>alert" not in text
    assert " onload='x'" not in text
    assert "\u202e" not in text
    assert "\\u202e" in text


async def test_a_mesh_that_does_not_answer_leaves_the_navigation_and_a_way_out(house: Any) -> None:
    telling(house, {"error": {"code": 503, "message": "orchestrator: is still starting"}}, 503)
    page = await (await house.visitor()).get("/mesh")
    assert page.status_code == 503
    assert 'href="/reviews"' in page.text


async def test_the_part_that_lives_is_sent_only_when_it_is_another(house: Any) -> None:
    telling(house, {"agents": [{"name": "a", "status": "ready"}], "complete": True})
    visitor = await house.visitor()
    first = await visitor.get("/parts/mesh?hours=6")
    again = await visitor.get("/parts/mesh?hours=6", headers={"x-seen": first.headers["x-seen"]})
    assert (first.status_code, again.status_code) == (200, 204)
