"""A review queue with people before it: an orchestrator with its real doors and tokens, and runs that somebody else drives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.types import Message, Part

from meshwright.database import Database, open_database
from meshwright.findings import Evidence, Proposal, Verdict
from meshwright.records.runs import RunStore
from meshwright.reviews.store import ReviewStore
from meshwright.settings import Settings
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.snapshot import Claim
from meshwright.testing import InProcess, Keyring
from orchestrator.server import orchestrator_app

PEOPLE = ("ann", "bob", "carol", "Ann", "аnn")
EVIDENCE = [Evidence(source="tool:workshop.look_at", quote="it costs 500")]


@dataclass
class Queue:
    """The queue on one database. `url` is where another process would find it."""

    database: Database
    reviews: ReviewStore
    url: str
    ring: Keyring
    mesh: InProcess
    claims: dict[str, Claim]

    async def run(self, run: str, client: str = "customer") -> Claim:
        """A run that is in the hands of the test, for an hour."""
        if run not in self.claims:
            ask = Ask(f"\x1f{client}", client, Message(message_id=run, parts=[Part(text="paint it")]), {}, 10)
            accepted = await self.database.write(
                lambda tx: accept(tx, Desk("orchestrator", "the test", 3600), ask)
            )
            assert accepted.claim is not None
            self.claims[run] = accepted.claim
            await RunStore(self.database).start(
                run, task_id=accepted.task_id, caller=client, request="paint it", graph_version="1"
            )
        return self.claims[run]

    async def put(
        self,
        key: str,
        *,
        run: str = "",
        needed: int = 1,
        risk: Any = "medium",
        client: str = "customer",
        by: str = "orders",
        arguments: Any = None,
        **more: Any,
    ) -> str:
        """Put a proposal before people; its hash is what is returned."""
        proposal = Proposal(
            action="paint",
            arguments={"thing": "t1", "colour": "gold"} if arguments is None else arguments,
            proposed_by=by,
            amount=500,
            evidence=EVIDENCE,
            why="the customer wants it",
        )
        verdict = Verdict(
            decision="review", policy="large", why="it is expensive", source="§3", approvals=needed, risk=risk
        )
        claim = await self.run(run or f"run-{key}", client)
        await self.reviews.open(key, run or f"run-{key}", proposal, verdict, claim, **more)
        return str((await self.reviews.one(key))["hash"])

    async def http(self, person: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the orchestrator as `person`; as a stranger for no name."""
        headers = dict(more.pop("headers", {}))
        if person:
            headers["authorization"] = f"Bearer {self.ring.signer(person).token('orchestrator')}"
        async with self.mesh.client() as client:
            return await client.request(method, f"http://orchestrator{path}", headers=headers, **more)

    async def say(self, person: str, key: str, decision: str, **more: Any) -> httpx.Response:
        """A decision; with a reason, if none is given."""
        word = {"decision": decision, "reason": "so", **more}
        return await self.http(person, "POST", f"/reviews/{key}", json=word)

    async def move(self, key: str, seconds: float) -> None:
        """Let so much time pass for a review: its times go back."""
        await self.database.execute(
            "UPDATE reviews SET created=created-?, due=due-?, expires=expires-?, claimed_until=claimed_until-? WHERE id=?",
            *(seconds, seconds, seconds, seconds, key),
        )

    async def log(self, kind: str = "") -> list[dict[str, Any]]:
        """What the audit log says of reviews, in order: {kind, actor, action, body}."""
        rows = [dict(row) for row in await self.database.execute("SELECT * FROM audit_log")]
        rows.sort(key=lambda row: row.get("seq", 0))
        found = [{**row, "body": json.loads(row.get("payload") or row["body"])} for row in rows]
        return [row for row in found if row["kind"].startswith(kind or "review.")]

    async def signals(self, run: str) -> int:
        """How often the run was told something."""
        rows = await self.database.execute("SELECT asked FROM tasks WHERE id=?", self.claims[run].task_id)
        return int(rows[0]["asked"]) - 1


@pytest.fixture
async def queue(url: str, tmp_path: Path) -> AsyncIterator[Queue]:
    ring, mesh = Keyring("orchestrator", "orders", "customer", operators=PEOPLE), InProcess({})
    settings = Settings(home=tmp_path, database=url, refresh=3600)
    mesh.apps["http://orchestrator"] = orchestrator_app(
        settings, ring.identity("orchestrator"), mesh.client()
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(mesh.running())
        database = await open_database(url)
        stack.push_async_callback(database.close)
        made = Queue(database, ReviewStore(database, "orchestrator"), url, ring, mesh, {})
        while (await made.http("ann", "GET", "/reviews")).status_code != 200:
            pass
        yield made
