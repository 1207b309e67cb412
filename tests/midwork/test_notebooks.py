"""A notebook is written by whoever holds the task, says what was said, and goes with its task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
from a2a.types import Message, Part

from meshwright.database import Database, open_database
from meshwright.errors import InvalidRequest, LeaseLost, PeerOverloaded, ToolRefused
from meshwright.notebook import MAX_BYTES, KeptTools, Notebook
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.book import TaskBook
from meshwright.tasks.notebooks import Notebooks
from meshwright.tasks.retention import purge
from meshwright.tasks.snapshot import Claim


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await open_database(url)
    yield opened
    await opened.close()


async def held(database: Database) -> Claim:
    ask = Ask("me", "me", Message(message_id="m", parts=[Part(text="x")]), {}, 30)
    accepted = await database.write(lambda tx: accept(tx, Desk("orders", "test", 60), ask))
    assert accepted.claim is not None
    return accepted.claim


async def test_only_who_holds_the_task_writes_and_it_goes_with_the_task(database: Database) -> None:
    claim, books = await held(database), Notebooks(database, "orders")
    await books.keep(claim, Notebook(text="first"))
    await books.keep(claim, Notebook(text="second", told={"x": '{"result": {}}'}))
    with pytest.raises(LeaseLost):
        await books.keep(Claim(claim.task_id, claim.token - 1), Notebook(text="a zombie's"))
    found = await books.find(claim.task_id)
    assert found == Notebook(text="second", told={"x": '{"result": {}}'})
    await TaskBook(database, "orders").cancel(claim.task_id, "me")
    assert await purge(database, -1) == 1
    assert await books.find(claim.task_id) is None


def test_more_than_can_be_kept_is_refused_in_words() -> None:
    with pytest.raises(InvalidRequest, match="are the most that is kept"):
        Notebook(told={"x": "y" * MAX_BYTES}).written()


class Fickle:
    """Tools that say something else each time."""

    def __init__(self) -> None:
        self.calls = 0

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        self.calls += 1
        if tool == "refuse":
            raise ToolRefused(f"no, for the {self.calls}. time")
        if tool == "rest":
            raise PeerOverloaded("workshop", "is busy", 3.0)
        return {"n": self.calls, "list": [1, 2]}


async def test_tools_say_to_a_second_run_what_they_said_to_the_first_errors_too() -> None:
    tools, notebook = Fickle(), Notebook()
    said: list[list[Any]] = []
    for _ in range(2):
        heard: list[Any] = []
        kept = KeptTools(tools, Notebook.read(notebook.written()) if said else notebook)
        for name in ("look", "look", "refuse", "rest"):
            try:
                result = await kept.call(name, thing="t1")
                heard.append(deepcopy(result))
                result["list"].append("what a playbook does with it is its own")
            except (ToolRefused, PeerOverloaded) as error:
                heard.append((type(error), str(error), getattr(error, "retry_after", None)))
        said.append(heard)
    assert tools.calls == 4
    assert [each["n"] for each in said[0][:2]] == [1, 2]
    assert said[1][:2] == [{"n": 1, "list": [1, 2]}, {"n": 2, "list": [1, 2]}]
    assert said[1][2:] == said[0][2:]
