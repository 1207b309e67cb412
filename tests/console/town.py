"""An orchestrator with a queue of reviews, in one process, for consoles to stand before: over HTTP, and in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a2a.types import Message, Part
from starlette.applications import Starlette

import orchestrator.driver  # noqa: F401  # the app imports it in a thread, for which our asking without a pause leaves no time
from console.app import console_app
from meshwright.database import Database, open_database
from meshwright.findings import Evidence, Proposal, Verdict
from meshwright.records.runs import RunStore
from meshwright.reviews.store import ReviewStore
from meshwright.settings import Settings
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.testing import InProcess, Keyring
from meshwright.testing.serving import serving
from orchestrator.server import orchestrator_app

PEOPLE = ("operator", "ann", "bob")
#: What is put before people, and what the policy says of it, unless a test wants something else.
SAID = {
    "action": "paint",
    "arguments": {"thing": "t1", "colour": "gold"},
    "proposed_by": "orders",
    "amount": 50_000,
    "evidence": [Evidence(source="tool:workshop.look_at", quote="t1 is a chair and costs 500.00")],
    "why": "The customer asked for it in their own words.",
    "confidence": 0.9,
}
RULED = {
    "policy": "large",
    "why": "it is expensive: above 100.00 a person looks at it",
    "source": "policies/shop.cedar",
    "risk": "medium",
    "approvals": 1,
}


@dataclass
class Town:
    """An orchestrator with a queue, and consoles before it."""

    database: Database
    reviews: ReviewStore
    ring: Keyring
    mesh: InProcess
    home: Path
    claims: dict[str, Any] = field(default_factory=dict)

    def app(self, **settings: Any) -> Starlette:
        """A console with these settings."""
        wanted = Settings.model_validate({"peers": "http://orchestrator", "home": self.home, **settings})
        return console_app(wanted, self.mesh.client(), self.ring.identity("console"))

    @asynccontextmanager
    async def console(self, **settings: Any) -> AsyncIterator[str]:
        """The same on a free port; its address."""
        async with serving(self.app(**settings)) as base:
            yield base

    async def put(self, key: str, **more: Any) -> str:
        """Put a proposal before people; its hash."""
        run = more.pop("run", f"run-{key}")
        client, request = more.pop("client", "customer"), more.pop("request", "Please paint my chair gold.")
        if run not in self.claims:
            ask = Ask("", client, Message(message_id=run, parts=[Part(text=request)]), {}, 10)
            taken = await self.database.write(lambda tx: accept(tx, Desk("orchestrator", "test", 3600), ask))
            assert taken.claim is not None
            self.claims[run] = taken.claim
            await RunStore(self.database).start(
                run, task_id=taken.task_id, caller=client, request=request, graph_version="1"
            )
        proposal = Proposal(**{**SAID, **{name: more.pop(name) for name in list(more) if name in SAID}})
        ruled: dict[str, Any] = {**RULED, **{name: more.pop(name) for name in list(more) if name in RULED}}
        await self.reviews.open(
            key, run, proposal, Verdict(decision="review", **ruled), self.claims[run], **more
        )
        return str((await self.reviews.one(key))["hash"])

    async def state(self, key: str) -> str:
        return str((await self.reviews.one(key))["state"])


@asynccontextmanager
async def town(home: Path) -> AsyncIterator[Town]:
    """With its database at `home`, and ready."""
    url = f"sqlite:///{home}/town.db"
    ring = Keyring(
        "orchestrator", "orders", "customer", "console", operators=PEOPLE, speakers={"console": PEOPLE}
    )
    mesh = InProcess({})
    settings = Settings(home=home, database=url, refresh=3600)
    mesh.apps["http://orchestrator"] = orchestrator_app(
        settings, ring.identity("orchestrator"), mesh.client()
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(mesh.running())
        database = await open_database(url)
        stack.push_async_callback(database.close)
        async with mesh.client() as http:
            me = ring.identity("operator").authorization("orchestrator")
            while (await http.get("http://orchestrator/reviews", headers=me)).status_code != 200:
                pass
        yield Town(database, ReviewStore(database, "orchestrator"), ring, mesh, home)
