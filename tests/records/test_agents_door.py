"""What an agent has decided, over HTTP: its own rows, as they stand there, for those whom it knows."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.database import open_database
from meshwright.findings import Finding, Subtask
from meshwright.inbound.decisionroute import LARGEST
from meshwright.records import decisions
from meshwright.records.decision import Decision, digest


async def looks(subtask: Subtask, job: Job) -> Finding:
    await job.tools.call("look_at", thing="t1")
    return Finding(reply="I looked.")


@pytest.mark.parametrize("who", ["caller", "operator"])
async def test_who_may_read_gets_the_rows_of_a_request_with_their_digests(start_house: Any, who: str) -> None:
    async with start_house(looks) as house:
        answer = await house.ask()
        correlation = answer.notes["correlation"]
        shown = (await house.get(f"/decisions?correlation={correlation}", who=who)).json()
        assert shown["agent"] == "orders"
        kept = {row["id"]: row for row in await house.rows()}
        assert {row["id"] for row in shown["decisions"]} == set(kept)
        for row in shown["decisions"]:
            assert len(row.pop("digest")) == 64
            assert row == kept[row["id"]]


async def test_the_digest_is_of_the_row_as_it_stands_in_the_database(start_house: Any) -> None:
    async with start_house(looks) as house:
        answer = await house.ask()
        told = (await house.get(f"/decisions?correlation={answer.notes['correlation']}")).json()["decisions"]
        database = await open_database(house.settings.database_of("orders"))
        rows = await database.execute("SELECT id, body FROM decisions")
        await database.close()
        assert {row["id"]: digest(row["body"]) for row in rows} == {
            each["id"]: each["digest"] for each in told
        }


async def test_a_stranger_and_who_is_only_known_get_nothing(start_house: Any) -> None:
    async with start_house(looks) as house:
        for path in ("/decisions?run=a", "/activity"):
            assert (await house.get(path, who="")).status_code in (401, 403)
            assert (await house.get(path, who="returns")).status_code == 403


ASKED = [
    "", "?", "?run=", "?run=a&correlation=abcdefgh", "?run=a&run=b", "?runs=a", "?run=a%00b", "?run=a%20b", "?correlation=short",
    "?run=" + "a" * 65, "?correlation=abcdefgh&limit=1", "?run=%ff", "?correlation=abcdefg'", "?run=a&",
]  # fmt: skip


@pytest.mark.parametrize("query", ASKED)
async def test_what_is_no_question_is_refused_or_finds_nothing(start_house: Any, query: str) -> None:
    async with start_house() as house:
        answer = await house.get(f"/decisions{query}")
        assert answer.status_code == (200 if query == "?run=a&" else 400)
        assert "decisions" in answer.json() or answer.json()["error"]["code"] == "INVALID_REQUEST"
        assert (await house.get("/decisions?run=nobody")).json() == {"agent": "orders", "decisions": []}


def row(name: str, agent: str, **more: Any) -> Decision:
    return Decision(id=name, kind="plan", at=1.0, agent=agent, run="r1", outcome="answered", **more)


async def test_only_its_own_rows_are_shown_where_agents_share_a_database(start_house: Any) -> None:
    async with start_house() as house:
        database = await open_database(house.settings.database_of("orders"))
        rows = [row("d1", "orders"), row("d2", "returns"), row("d3", "orders")]
        await database.write(lambda tx: decisions.write(tx, rows))
        await database.close()
        shown = (await house.get("/decisions?run=r1")).json()["decisions"]
        assert [each["id"] for each in shown] == ["d1", "d3"]


async def test_what_is_too_much_for_one_answer_is_left_off_and_counted(start_house: Any) -> None:
    async with start_house() as house:
        database = await open_database(house.settings.database_of("orders"))
        large = [row(f"d{n}", "orders", more={"x": "y" * 60_000}) for n in range(80)]
        await database.write(lambda tx: decisions.write(tx, large))
        await database.close()
        answer = await house.get("/decisions?run=r1")
        assert len(answer.content) <= LARGEST + 80 * 90
        shown = answer.json()
        assert shown["left_off"] == 80 - len(shown["decisions"]) > 0
