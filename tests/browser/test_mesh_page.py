"""The page of the mesh in a real browser: everybody's state can be told, by looking and by listening, at every width."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse


def agent(name: str, status: str = "ready", breaker: str = "closed", **more: Any) -> dict[str, Any]:
    health = {
        "state": breaker,
        "since": time.time() - 130,
        "retry_in": 0.0,
        "failures": {},
        "overloaded": False,
    }
    row: dict[str, Any] = {
        "name": name,
        "title": name.capitalize(),
        "url": f"http://{name}:8080",
        "status": status,
        "why": "",
        "version": "0.4.2",
        "description": "",
        "skills": [f"{name}-status", f"{name}-change"],
        "breaker": breaker,
        "health": health,
        "cold": status == "cold",
        "replicas": 2,
        "load": {"taken": 3, "limit": 16, "waiting": 0},
        "latency": {"calls": 240, "failed": 0, "p50_ms": 84, "p95_ms": 410},
        "budget": {"tokens": 18_200, "token_limit": None, "micros": 0, "micro_limit": None},
        "here": False,
    }
    return row | more


def tool(name: str, *tools: str, **more: Any) -> dict[str, Any]:
    return agent(name, tools=list(tools), title=name, version="", **more)


def edge(source: str, target: str, kind: str, calls: int, failed: int = 0, p95: int | None = 120) -> Any:
    names = {"from": source, "to": target, "kind": kind}
    return {**names, "calls": calls, "failed": failed, "p95_ms": p95}


def busy_day() -> dict[str, Any]:
    """A mesh in which everything is there at once: well, sick, cold, leaving, gone, silent, and under load."""
    sick = {"state": "open", "since": time.time() - 130, "retry_in": 3.2, "failures": {"timeout": 5}}
    entry = agent("orchestrator", here=True, latency=None, health=None, skills=["handle-ticket"])
    full = {"taken": 15, "limit": 16, "waiting": 7}
    spent = {"tokens": 912_000, "token_limit": 1_000_000, "micros": 4_120_000, "micro_limit": None}
    failing = {"calls": 310, "failed": 21, "p50_ms": 900, "p95_ms": 7_400}
    agents = [
        entry,
        agent("triage", replicas=3),
        agent("orders", load=full, budget=spent),
        agent("returns", breaker="open", health=sick, latency=failing),
        agent("accounts", "cold", latency=None, load=None, replicas=1),
        agent("advisor", "draining"),
        agent("standby", "stale", why="cannot be reached (ConnectError)", replicas=0, load=None, budget=None),
        agent("aggregator", skills=["merge-findings"]),
    ]
    tools = [
        tool("orderbook", "find_order", "cancel_order", "exchange_items", "return_items"),
        tool("customers", "find_customer", "profile"),
        tool("handbook", "search", status="silent", why="no answer within 2 s"),
        tool("desk", "reply", "escalate", "close"),
    ]
    edges = [
        *(edge("orchestrator", "triage", "agent", 410), edge("orchestrator", "orders", "agent", 302)),
        *(
            edge("orchestrator", "returns", "agent", 310, 21, 7400),
            edge("orchestrator", "accounts", "agent", 12),
        ),
        *(edge("orchestrator", "advisor", "agent", 40), edge("orchestrator", "aggregator", "agent", 405)),
        *(edge("orchestrator", "standby", "agent", 9, 9, None), edge("advisor", "orders", "agent", 18)),
        *(edge("orders", "orderbook", "tool", 1280), edge("returns", "orderbook", "tool", 640, 3)),
        *(edge("accounts", "customers", "tool", 12), edge("triage", "customers", "tool", 400)),
        *(edge("advisor", "handbook", "tool", 80, 11), edge("orchestrator", "desk", "tool", 392)),
        edge("orchestrator", "orderbook", "tool", 201),
    ]
    now = time.time()
    return {
        "at": now,
        "hours": 1,
        "since": now - 3600,
        "complete": True,
        "unheard": ["standby"],
        "agents": agents,
        "tools": tools,
        "edges": edges,
    }


def telling(town: Any, told: Mapping[str, Any]) -> None:
    """Have the orchestrator tell this of its mesh."""
    inner = town.mesh.apps["http://orchestrator"]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer = JSONResponse(dict(told)) if scope.get("path") == "/mesh" else inner
        await answer(scope, receive, send)

    town.mesh.apps["http://orchestrator"] = app


async def test_the_page_holds_at_every_width_and_in_both_themes(town: Any, look: Any) -> None:
    telling(town, busy_day())
    async with town.console() as base:
        sight = await look(base)
        await sight.go("/mesh")
        await sight.everywhere("mesh")


async def test_everybody_can_be_told_apart_without_colour_and_without_the_picture(
    town: Any, look: Any
) -> None:
    telling(town, busy_day())
    async with town.console() as base:
        sight = await look(base)
        await sight.go("/mesh")
        cards = sight.page.get_by_role("article")
        assert await cards.count() == 12
        for name, word in (
            *(("Returns", "sick"), ("Accounts", "cold"), ("Advisor", "leaving")),
            *(("Standby", "unreachable"), ("handbook", "silent"), ("Triage", "ready")),
        ):
            assert word in await sight.page.get_by_role("article", name=name).inner_text()
            assert await sight.page.get_by_role("link", name=f"{name}: {word}").count() == 1
        returns = sight.page.get_by_role("row").filter(has_text="Returns").filter(has_text="Orchestrator")
        assert "21 · 6.8 %" in await returns.inner_text()
        failing = sight.page.locator(".graph.wide .line.failing")
        assert await failing.count() == 4
        dashes = [
            await line.locator(".curve").evaluate("e => getComputedStyle(e).strokeDasharray")
            for line in await failing.all()
        ]
        assert "none" not in dashes


async def test_without_javascript_all_of_it_is_there_and_links_lead_to_the_cards(
    town: Any, look: Any
) -> None:
    telling(town, busy_day())
    async with town.console() as base:
        sight = await look(base, js=False)
        await sight.go("/mesh")
        assert not await sight.page.locator(".live-note").is_visible()
        await sight.page.get_by_role("link", name="Returns: sick").click()
        assert sight.page.url.endswith("#agent-returns")
        await sight.page.get_by_role("link", name="24 hours").click()
        assert sight.page.url.endswith("/mesh?hours=24")


async def test_the_keyboard_reaches_every_box_of_the_picture_in_its_order(town: Any, look: Any) -> None:
    telling(town, busy_day())
    async with town.console() as base:
        sight = await look(base)
        await sight.go("/mesh")
        await sight.page.locator(".graph.wide").focus()
        names = []
        for _ in range(12):
            await sight.page.keyboard.press("Tab")
            names.append(await sight.page.evaluate("() => document.activeElement.getAttribute('aria-label')"))
        assert names[0] == "Orchestrator: ready"
        assert len({*names}) == 12
        await sight.page.keyboard.press("Enter")
        assert await sight.page.evaluate("() => location.hash") == "#tool-desk"


async def test_what_changes_shows_by_itself_and_leaves_the_focus_where_it_was(town: Any, look: Any) -> None:
    told = busy_day()
    telling(town, told)
    async with town.console() as base:
        sight = await look(base, clock=True)
        await sight.go("/mesh")
        await sight.page.get_by_role("link", name="Triage: ready").focus()
        told["agents"] = [
            {**row, "status": "cold"} if row["name"] == "orders" else row for row in told["agents"]
        ]
        await sight.wait(6)
        await sight.page.get_by_role("link", name="Orders: cold").wait_for()
        assert await sight.page.evaluate("() => document.activeElement.id") == "wide-agent-triage"
        assert await sight.page.locator(".live-note").inner_text() == "live"


async def test_an_empty_mesh_says_what_is_missing(town: Any, look: Any) -> None:
    telling(town, {**busy_day(), "agents": [agent("orchestrator", here=True)], "tools": [], "edges": []})
    async with town.console() as base:
        sight = await look(base)
        await sight.go("/mesh")
        for words in ("Nobody is there yet", "No tool server is set", "Nobody called anybody"):
            assert await sight.page.get_by_text(words).is_visible()
        assert await sight.violations() == []
