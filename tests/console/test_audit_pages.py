"""The page of the audit log: how the log stands, what is found in it, and nothing in an entry that is markup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.responses import JSONResponse

from meshwright.audit import Entry, append
from meshwright.database import open_database

GOOD = {"at": 1.0, "upto": 2, "ok": True, "why": "", "full": True}
LOG = {"entries": 2, "signed": 2, "checkpoint_age": 12.0, "broken": False, "verified": GOOD}


def telling(house: Any, told: Mapping[str, Any], status: int = 200) -> None:
    inner = house.town.mesh.apps["http://orchestrator"]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer = JSONResponse(dict(told), status) if scope.get("path") == "/audit" else inner
        await answer(scope, receive, send)

    house.town.mesh.apps["http://orchestrator"] = app


async def log(house: Any, *entries: Entry) -> None:
    database = await open_database(f"sqlite:///{house.town.home}/town.db")
    await database.write(lambda tx: append(tx, *entries))
    await database.close()


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (LOG, "The log is what was written"),
        (
            {**LOG, "broken": True, "verified": {**GOOD, "ok": False, "why": "entry 2 was edited"}},
            "Entry 2 was edited",
        ),
        ({**LOG, "broken": True}, "is signed no more"),
        ({**LOG, "signed": 0}, "nothing of it is signed"),
        ({**LOG, "signed": 0, "signs": False}, "MESHWRIGHT_AUDIT_KEY"),
        ({**LOG, "verified": None}, "Verifying the log"),
        ({**LOG, "trouble": "the disk is gone"}, "the disk is gone"),
        ({**LOG, "entries": 0, "signed": 0}, "Nothing is written yet"),
        ({"entries": "many", "verified": 7, "checkpoint_age": "old"}, "Verifying the log"),
        (None, "Verifying the log"),
    ],
)
async def test_how_the_log_stands_is_said_first(house: Any, standing: Any, says: str) -> None:
    telling(house, {"entries": [], "next": 0, "log": standing})
    page = await (await house.visitor()).get("/audit")
    assert page.status_code == 200
    assert says in page.text


async def test_a_broken_log_is_announced_and_offers_no_proof(house: Any) -> None:
    entry = {
        "seq": 1,
        "at": 1.0,
        "actor": "ann",
        "kind": "review.approved",
        "run": "r",
        "action": "k",
        "payload": {},
    }
    telling(house, {"entries": [{**entry, "hash": "ab"}], "next": 0, "log": {**LOG, "broken": True}})
    text = (await (await house.visitor()).get("/audit")).text
    assert 'role="alert"' in text
    assert "/audit/1/proof" not in text
    telling(house, {"entries": [{**entry, "hash": "ab"}], "next": 0, "log": LOG})
    text = (await (await house.visitor()).get("/audit")).text
    assert 'role="alert"' not in text
    assert "/audit/1/proof" in text


async def test_entries_are_found_by_person_run_tool_kind_and_words(house: Any) -> None:
    await log(
        house,
        Entry("gate.verdict", "orchestrator", {"action": "paint", "decision": "review"}, "run-1", "k1"),
        Entry("review.approved", "ann", {"reason": "as she said"}, "run-1", "k1"),
        Entry("effect.applied", "orchestrator", {"tool": "polish"}, "run-2", "k2"),
    )
    visitor = await house.visitor()
    for query, found in (
        ("actor=Ann", {2}),
        ("run=run-2", {3}),
        ("action=paint", {1}),
        ("kind=effect", {3}),
        ("q=she+said", {2}),
        ("kind=nonsense", {1, 2, 3}),
        ("q=nobody", set[int]()),
    ):
        text = (await visitor.get(f"/audit?{query}")).text
        assert {number for number in (1, 2, 3) if f'id="entry-{number}"' in text} == found, query


async def test_pages_lead_to_older_entries_and_back(house: Any) -> None:
    await log(house, *(Entry("gate.verdict", "orchestrator", {"n": number}, "run-1") for number in range(60)))
    visitor = await house.visitor()
    text = (await visitor.get("/audit?run=run-1")).text
    assert 'href="/audit?run=run-1&amp;before=11"' in text
    text = (await visitor.get("/audit?run=run-1&before=11")).text
    assert 'id="entry-10"' in text
    assert 'id="entry-11"' not in text
    assert 'href="/audit?run=run-1"' in text
    assert (await visitor.get("/audit?before=-1")).status_code == 200
    assert (await visitor.get("/audit?before=" + "9" * 4000)).status_code == 200


async def test_nothing_in_an_entry_is_markup_or_hides(house: Any) -> None:
    hostile = "</pre><script>alert(1)</script>\u202e"
    await log(house, Entry(hostile, hostile, {"reason": hostile, hostile: [hostile]}, hostile, hostile))
    text = (await (await house.visitor()).get("/audit")).text
    assert "<script>alert" not in text
    assert "\u202e" not in re.sub(r'data-copy="[^"]*"', "", text)  # what is copied is what is there


async def test_all_of_it_is_verified_when_a_person_says_so_and_not_by_a_link(house: Any) -> None:
    await log(house, Entry("gate.verdict", "orchestrator", {}))
    visitor = await house.visitor()
    await visitor.get("/audit")
    assert (await visitor.http.post("/audit/verify", data={"all": "1"})).status_code == 403
    assert (await visitor.get("/audit/verify")).status_code in (404, 405)
    answer = await visitor.post("/audit/verify")
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")


async def test_a_proof_that_there_is_not_is_a_page_that_says_so(house: Any) -> None:
    visitor = await house.visitor()
    for path in ("/audit/1/proof", "/audit/%2e%2e/proof", "/audit/x/proof"):
        assert (await visitor.get(path)).status_code in (400, 404), path


async def test_what_is_newer_is_counted_and_not_pushed_in_between(house: Any) -> None:
    await log(house, *(Entry("gate.verdict", "orchestrator", {"n": number}) for number in range(3)))
    visitor = await house.visitor()
    assert "2 newer entries" in (await visitor.get("/parts/audit?top=1")).text
    assert "newer" not in (await visitor.get("/parts/audit?top=3")).text.replace("are newer than", "")
