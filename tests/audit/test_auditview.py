"""The audit log over HTTP: what is looked for is found, page by page, within bounds; and one entry is proved to a stranger."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshwright.audit import Entry, append
from meshwright.audit.anchor import Anchor
from meshwright.audit.notary import Notary
from meshwright.audit.note import Notesigner
from meshwright.audit.proof import checked
from meshwright.database import Database
from meshwright.errors import MeshError, wire_of
from meshwright.inbound.identity import new_key
from orchestrator.auditview import AuditView

SIGNER = Notesigner.from_jwk("meshwright/orchestrator/audit", new_key("orchestrator")[0])


def _answering(endpoint: Any) -> Any:
    """As the orchestrator's API turns errors into answers."""

    async def answered(request: Request) -> JSONResponse:
        try:
            answer: JSONResponse = await endpoint(request)
        except MeshError as error:
            return JSONResponse({"error": str(error)}, wire_of(error).status)
        return answer

    return answered


class Pages:
    """The view over one database, asked over HTTP."""

    def __init__(self, database: Database) -> None:
        self.view = AuditView(lambda: cast(Any, SimpleNamespace(database=database)), span=50)
        self.database = database

        view = self.view
        routes = [
            Route("/audit", _answering(view.shown)),
            Route("/audit/verify", _answering(view.verify), methods=["POST"]),
            Route("/audit/{seq}/proof", _answering(view.proof)),
        ]
        self._app = Starlette(routes=routes)

    async def ask(self, method: str, path: str, **query: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://o") as client:
            return await client.request(method, path, params=query)

    async def found(self, **query: str) -> list[int]:
        answer = await self.ask("GET", "/audit", **query)
        assert answer.status_code == 200, answer.text
        return [entry["seq"] for entry in answer.json()["entries"]]

    async def log(self, *entries: Entry) -> None:
        await self.database.write(lambda tx: append(tx, *entries))


@pytest.fixture
async def pages(database: Database) -> AsyncIterator[Pages]:
    pages = Pages(database)
    yield pages
    await pages.view.aclose()


@asynccontextmanager
async def signed(pages: Pages, folder: Path) -> AsyncIterator[Notary]:
    notary = Notary(pages.database, SIGNER, Anchor(folder / "log.checkpoints"), 3600, out=io.StringIO())
    pages.view.notary = notary
    yield notary
    await notary.aclose()


ENTRIES = (
    Entry("gate.verdict", "orchestrator", {"action": "paint", "proposed_by": "orders"}, "run-1", "k1"),
    Entry("review.opened", "orchestrator", {"tool": "paint"}, "run-1", "k1"),
    Entry("review.approve", "Ann", {"reason": "100 % sure, été_1"}, "run-1", "k1"),
    Entry("effect.applied", "orchestrator", {"tool": "paint"}, "run-1", "k1"),
    Entry("gate.verdict", "orchestrator", {"action": "paint_over", "proposed_by": "returns"}, "run-2", "k2"),
)


LOOKED_FOR: list[tuple[dict[str, str], list[int]]] = [
    ({}, [5, 4, 3, 2, 1]),
    ({"run": "run-2"}, [5]),
    ({"run": "task-of-2"}, [5]),
    ({"run": "nobody's"}, []),
    ({"actor": "ann"}, [3]),
    ({"actor": "returns"}, [5]),
    ({"action": "k1"}, [4, 3, 2, 1]),
    ({"action": "paint"}, [4, 2, 1]),
    ({"action": "paint_over"}, [5]),
    ({"action": "paint%"}, []),
    ({"kind": "review"}, [3, 2]),
    ({"kind": "gate.verdict", "run": "run-1"}, [1]),
    ({"q": "100 %"}, [3]),
    ({"q": "%"}, [3]),
    ({"q": "_1"}, [3]),
    ({"q": "!"}, []),
    ({"q": "été"}, [3]),
    ({"q": "SURE"}, [3]),
    ({"q": "' OR 1=1 --"}, []),
]


async def test_what_is_looked_for_is_found_and_means_nothing_but_itself(pages: Pages) -> None:
    await pages.database.execute(
        "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started)"
        " VALUES ('run-2', 'task-of-2', '', '', 'done', '1', 0)"
    )
    await pages.log(*ENTRIES)
    for query, expected in LOOKED_FOR:
        assert await pages.found(**query) == expected, query


async def test_pages_go_on_where_the_last_one_ended(pages: Pages) -> None:
    await pages.log(*(Entry("gate.verdict", "o", {"n": n}) for n in range(7)))
    first = (await pages.ask("GET", "/audit", limit="3")).json()
    assert ([e["seq"] for e in first["entries"]], first["next"]) == ([7, 6, 5], 5)
    await pages.log(Entry("gate.verdict", "o", {"n": 8}))
    second = (await pages.ask("GET", "/audit", limit="4", before="5")).json()
    assert ([e["seq"] for e in second["entries"]], second["next"]) == ([4, 3, 2, 1], 0)


async def test_a_page_looks_through_no_more_than_its_span_and_says_where_to_go_on(pages: Pages) -> None:
    await pages.log(Entry("gate.verdict", "rare", {}))
    await pages.log(*(Entry("gate.verdict", "o", {}) for _ in range(60)))
    first = (await pages.ask("GET", "/audit", actor="rare")).json()
    assert first["entries"] == []
    last = (await pages.ask("GET", "/audit", actor="rare", before=str(first["next"]))).json()
    assert ([e["seq"] for e in last["entries"]], last["next"]) == ([1], 0)


NONSENSE = (
    *({"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"before": "-1"}, {"before": "9" * 400}),
    *({"q": "x" * 401}, {"run": "a\0b"}, {"before": "\u0662"}),
)


async def test_a_query_that_means_nothing_is_refused(pages: Pages) -> None:
    for query in NONSENSE:
        assert (await pages.ask("GET", "/audit", **query)).status_code == 400, query


async def test_the_state_says_what_is_signed_and_how_far_the_log_was_verified(
    pages: Pages, tmp_path: Path
) -> None:
    await pages.log(*ENTRIES)
    async with signed(pages, tmp_path) as notary:
        await notary.sign()
        answer = await pages.ask("POST", "/audit/verify")
        assert answer.status_code == 202
        while (state := (await pages.ask("GET", "/audit")).json()["log"])["verifying"]:
            pass
        assert (state["entries"], state["signed"], state["broken"]) == (5, 5, False)
        assert 0 <= state["checkpoint_age"] < 600
        assert (state["verified"]["upto"], state["verified"]["ok"]) == (5, True)


async def test_one_entry_is_proved_to_somebody_who_has_only_the_key(pages: Pages, tmp_path: Path) -> None:
    await pages.log(*ENTRIES)
    assert (await pages.ask("GET", "/audit/3/proof")).status_code == 404
    async with signed(pages, tmp_path) as notary:
        assert (await pages.ask("GET", "/audit/3/proof")).status_code == 404
        await notary.sign()
        answer = await pages.ask("GET", "/audit/3/proof")
        assert "entry-3.proof.json" in answer.headers["content-disposition"]
        assert answer.json()["entry"]["actor"] == "Ann"
        assert checked(answer.json(), [SIGNER.verifier]).size == 5
        notary.anchor.leaves.unlink()
        assert (await pages.ask("GET", "/audit/3/proof")).json() == answer.json()
        for wrong in ("0", "x", "-1", "9" * 30):
            assert (await pages.ask("GET", f"/audit/{wrong}/proof")).status_code == 400
        assert (await pages.ask("GET", "/audit/6/proof")).status_code == 404


async def test_entries_that_somebody_has_made_unreadable_are_shown_as_they_stand(
    pages: Pages, url: str
) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL has types")
    await pages.log(*ENTRIES)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        file.execute("UPDATE audit_log SET payload = '{\"n\": NaN}', at = 9e999 WHERE seq = 5")
        file.execute("UPDATE audit_log SET payload = x'ff00', actor = x'00' WHERE seq = 4")
        file.execute("UPDATE audit_log SET payload = '\"\\ud800\"' WHERE seq = 3")
        file.commit()
    page = (await pages.ask("GET", "/audit")).json()
    assert [list(entry["payload"]) for entry in page["entries"][:3]] == [["unreadable"]] * 3
    assert page["entries"][0]["at"] == 0
    await pages.view._watch().look(full=True, within=30)
    assert (await pages.ask("GET", "/audit")).json()["log"]["broken"] is True
