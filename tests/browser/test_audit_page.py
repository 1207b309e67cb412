"""The page of the audit log in a real browser, before an orchestrator that keeps and signs a real log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from meshwright.audit import Entry, append
from meshwright.audit.note import verifier_of
from meshwright.audit.proof import checked
from meshwright.inbound.identity import new_key
from meshwright.settings import Settings
from meshwright.testing.inprocess import lifespan_of
from orchestrator.server import orchestrator_app

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
        home=town.home,
        database=f"sqlite:///{town.home}/town.db",
        refresh=3600,
        audit_key=key,
        audit_every=0.05,
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


async def test_the_page_holds_at_every_width_and_in_both_themes(town: Any, look: Any) -> None:
    await keep(town)
    async with signing(town), town.console() as base:
        sight = await look(base)
        await sight.go("/audit")
        await sight.page.locator("tbody summary").first.click()
        await sight.everywhere("audit-list")
        await sight.go("/audit?q=nothing+like+that")
        assert await sight.page.get_by_text("No entry is like that").is_visible()
        assert await sight.violations() == []
        tamper(town.home)
        await sight.go("/audit")
        await sight.page.get_by_role("button", name="Verify all of it").click()
        await sight.page.get_by_role("alert").wait_for()
        await sight.shot("audit-broken")
        assert await sight.violations() == []


async def test_a_person_finds_an_entry_by_keyboard_and_takes_its_proof_away(town: Any, look: Any) -> None:
    await keep(town)
    async with signing(town), town.console() as base:
        sight = await look(base)
        await sight.go("/audit")
        await sight.page.keyboard.press("/")
        await sight.page.keyboard.type("on the phone")
        await sight.page.keyboard.press("Enter")
        await sight.page.wait_for_url("**/audit?q=on+the+phone*")
        assert await sight.page.locator("tbody tr").count() == 3
        await sight.page.keyboard.press("j")
        await sight.page.keyboard.press("j")
        await sight.page.keyboard.press("Enter")
        async with sight.page.expect_download() as coming:
            await sight.page.get_by_role("link", name="Proof of entry 8").click()
        download = await coming.value
        assert download.suggested_filename == "entry-8.proof.json"
        taken = town.home / "proof.json"
        await download.save_as(taken)
        proof = json.loads(taken.read_text())
        assert checked(proof, [verifier_of("orchestrator", json.dumps(PUBLIC))]).size == 15


async def test_without_javascript_one_can_search_verify_and_see_that_the_log_was_changed(
    town: Any, look: Any
) -> None:
    await keep(town)
    async with signing(town), town.console() as base:
        sight = await look(base, js=False)
        await sight.go("/audit")
        assert await sight.page.get_by_text("The log is what was written").is_visible()
        await sight.page.get_by_label("Person or agent").fill("ann")
        await sight.page.get_by_label("Kind").select_option("Reviews")
        await sight.page.get_by_role("button", name="Search").click()
        assert await sight.page.locator("tbody tr").count() == 3
        tamper(town.home)
        await sight.page.get_by_role("button", name="Verify all of it").click()
        alert = sight.page.get_by_role("alert")
        assert "Entry 3 was edited" in await alert.inner_text()


async def test_that_the_log_was_changed_shows_by_itself_and_what_is_open_stays_open(
    town: Any, look: Any
) -> None:
    await keep(town)
    async with signing(town), town.console() as base:
        sight = await look(base, clock=True)
        await sight.go("/audit")
        await sight.page.locator("tbody summary").first.click()
        tamper(town.home)
        async with town.mesh.client() as http:
            me = town.ring.identity("operator").authorization("orchestrator")
            await http.post("http://orchestrator/audit/verify", headers=me)
        await sight.wait(9)
        await sight.page.get_by_role("alert").wait_for()
        assert await sight.page.locator("tbody details[open]").count() == 1
