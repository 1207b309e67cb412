"""The page of the audit log in a real browser, before an orchestrator that keeps and signs a real log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from meshwright.audit import Entry, append
from meshwright.inbound.identity import new_key
from meshwright.settings import Settings
from meshwright.testing.inprocess import lifespan_of
from orchestrator.server import orchestrator_app

DESKTOP, PHONE = (1280, 800), (390, 844)
PRIVATE, PUBLIC = new_key("orchestrator")
RUN, KEY = "run-5f1c0e77a2b94d10", "a-9d1f7c2be0"


def story(number: int) -> list[Entry]:
    """What a request leaves in the log that goes to a person."""
    run, key = f"{RUN}-{number}", f"{KEY}-{number}"
    arguments = {"order_id": "#W2378156", "item_ids": ["1151293680", "4983901480"]}
    verdict = {
        "action": "exchange_items",
        "decision": "review",
        "policy": "shop/4-items.large",
        "risk": "high",
    }
    return [
        Entry(
            "gate.verdict",
            "orchestrator",
            {**verdict, "proposed_by": "orders"} | {"arguments": arguments},
            run,
            key,
        ),
        Entry(
            "review.opened",
            "orchestrator",
            {"tool": "exchange_items", "policy": "shop/4-items.large"},
            run,
            key,
        ),
        Entry("review.approved", "ann", {"reason": "The customer said so on the phone."}, run, key),
        Entry("grant.issued", "orchestrator", {"tool": "exchange_items", "approvers": ["ann"]}, run, key),
        Entry("effect.applied", "orchestrator", {"tool": "exchange_items", "why": ""}, run, key),
    ]


@asynccontextmanager
async def signing(town: Any) -> AsyncIterator[None]:
    """Put an orchestrator in its place that signs the log at once."""
    key = town.home / "audit.jwk"
    key.write_text(json.dumps(PRIVATE))
    settings = Settings(
        home=town.home, database=f"sqlite:///{town.home}/town.db",
        refresh=3600, audit_key=key, audit_every=0.05,
    )
    app = orchestrator_app(settings, town.ring.identity("orchestrator"), town.mesh.client())
    town.mesh.apps["http://orchestrator"] = app
    async with lifespan_of(app):
        async with town.mesh.client() as http:
            me = town.ring.identity("operator").authorization("orchestrator")
            while (answer := await http.get("http://orchestrator/audit", headers=me)).status_code != 200:
                pass
            while (log := answer.json()["log"])["signed"] != log["entries"] or not log["verified"]:
                answer = await http.get("http://orchestrator/audit", headers=me)
        yield


async def keep(town: Any, stories: int = 3) -> None:
    for number in range(stories):
        await town.database.write(lambda tx, n=number: append(tx, *story(n)))


def tamper(home: Path) -> None:
    """What the owner of the database can do."""
    with closing(sqlite3.connect(home / "town.db")) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        file.execute("UPDATE audit_log SET actor = 'bob' WHERE seq = 3")
        file.commit()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1280", "390"])
async def test_the_page_holds_at_every_width_and_in_both_themes(
    town: Any, look: Any, size: tuple[int, int], dark: bool
) -> None:
    await keep(town)
    async with signing(town), town.console() as base:
        sight = await look(base, size=size, dark=dark)
        for path, name in (("/audit", "list"), ("/audit?q=nothing+like+that", "none")):
            await sight.go(path)
            await sight.page.locator("tbody summary").first.click() if name == "list" else None
            await sight.shot(f"audit-{name}-{size[0]}-{'dark' if dark else 'light'}")
            assert await sight.violations() == []
            assert not await sight.is_too_wide()
        tamper(town.home)
        await sight.go("/audit")
        await sight.page.get_by_role("button", name="Verify all of it").click()
        await sight.page.get_by_role("alert").wait_for()
        await sight.shot(f"audit-broken-{size[0]}-{'dark' if dark else 'light'}")
        assert await sight.violations() == []
