"""The queue from the command line: what is approved is what was shown, by the person who says so."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from meshwright.cli import keys
from meshwright.cli.app import run
from meshwright.cli.home import Home
from meshwright.cli.sheet import call, listed, sheet, standing
from meshwright.inbound.identity import load_identity
from meshwright.settings import Settings
from orchestrator.server import orchestrator_app

Cli = Callable[..., Any]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"  # the doors are the same on both engines


@pytest.fixture
async def cli(queue: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Cli]:
    """`await cli("show", "k1")` → (exit code, stdout, stderr), of a mesh that is served on a port, with a home of its own."""
    home = Home.at(tmp_path / "home")
    keys.ensure(home, ["orchestrator"], ["ann", "bob"])
    settings = Settings(
        home=tmp_path, database=queue.url, refresh=3600, key=home.key("orchestrator"), trust=home.trust
    )
    app = orchestrator_app(settings, load_identity("orchestrator", settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]

    async def called(*arguments: str) -> tuple[int, str, str]:
        where = ["--url", f"http://127.0.0.1:{port}", "--home", str(home.path)]
        code = await asyncio.to_thread(run, ["reviews", *arguments, *where])
        return code, *capsys.readouterr()

    while "still starting" in (await called())[2]:
        pass
    yield called
    server.should_exit = True
    await serving


async def test_the_queue_is_listed_and_one_is_shown_by_the_first_letters_of_its_id(
    queue: Any, cli: Cli
) -> None:
    assert (await cli())[1] == "nothing waits for a person\n"
    await queue.put("abc-1", risk="high", needed=2)
    seen = await queue.put("xyz-1", arguments={"thing": "t1\u202e"})
    code, said, _ = await cli()
    assert (code, "abc-1" in said, "needs 2 people" in said, "odd characters" in said) == (
        0,
        True,
        True,
        True,
    )
    assert "\u202e" not in said
    code, said, _ = await cli("show", "x")
    for line in (
        'thing: "t1\\u202e"',
        "RIGHT-TO-LEFT OVERRIDE",
        seen,
        "it is expensive",
        "large, §3",
        "it costs 500",
    ):
        assert line in said
    assert "\u202e" not in said
    assert (await cli("show", "nothing"))[0] == 1


async def test_who_is_not_there_to_be_asked_says_what_they_saw(queue: Any, cli: Cli) -> None:
    seen = await queue.put("k1")
    assert "say --yes and its --hash" in (await cli("approve", "k1"))[2]
    assert "--yes needs --hash" in (await cli("approve", "k1", "--yes"))[2]
    assert "look at the review again" in (await cli("approve", "k1", "--yes", "--hash", "0" * 64))[2]
    assert (await queue.reviews.one("k1"))["state"] == "open"
    code, said, _ = await cli("approve", "k1", "--yes", "--hash", seen, "--as", "ann")
    assert (code, "approved paint(" in said) == (0, True)
    assert (await queue.reviews.one("k1"))["decided_by"] == "ann"


async def test_the_second_of_two_is_another_person(queue: Any, cli: Cli) -> None:
    seen = await queue.put("k1", needed=2)
    word = ("approve", "k1", "--yes", "--hash", seen, "--as")
    assert "1 of 2 people: another one has to approve it" in (await cli(*word, "ann"))[1]
    assert "another one has to" in (await cli(*word, "ann"))[2]
    assert "approved paint(" in (await cli(*word, "bob"))[1]


async def test_claim_release_reject_and_edit(queue: Any, cli: Cli, tmp_path: Path) -> None:
    for key in ("k1", "k2"):
        await queue.put(key)
    assert "is yours" in (await cli("claim", "k1", "--as", "ann"))[1]
    assert "ann has claimed this review" in (await cli("reject", "k1", "--reason", "no", "--as", "bob"))[2]
    assert "is free" in (await cli("release", "k1", "--as", "ann"))[1]
    assert (await cli("reject", "k1", "--reason", "no"))[0] == 0
    (tmp_path / "new.json").write_text('{"thing": "t2"}')
    edit = ("edit", "k2", "--reason", "so", "--yes", "--arguments")
    for wrong, why in (
        ("{", "is not JSON"),
        ('{"n": NaN}', "NaN"),
        ("nowhere.json", "cannot read"),
        ('{"n":1,"n":2}', "twice"),
    ):
        code, _, said = await cli(*edit, wrong)
        assert (code, why in said) == (2, True)
    assert (await cli(*edit, str(tmp_path / "new.json")))[0] == 0
    assert (await queue.reviews.one("k2"))["edited"] == {"thing": "t2"}
    rows = json.loads((await cli("--state", "all", "--json"))[1])["reviews"]
    assert {row["id"]: row["state"] for row in rows} == {"k1": "reject", "k2": "edit"}


def test_a_page_of_another_version_is_shown_as_far_as_it_goes() -> None:
    for page in (
        {},
        {"arguments": None, "conflict": None},
        {"state": "open", "due": "soon", "approvals": None},
    ):
        sheet(page, "0")
        listed([page])
        assert str(call(page)) == "?()"


def test_where_a_review_stands_in_a_few_words() -> None:
    now = time.time()
    page = {
        "state": "open",
        "needed": 2,
        "due": now + 7_300,
        "expires": now + 10 * 86_400 + 60,
        "approvals": [{}],
    }
    assert standing(page) == "needs 2 people · 1 approved · due in 2 h · expires in 10 d"
    held = {"state": "open", "escalated": True, "claimed_by": "ann\x1b[2J", "claimed_until": now + 60}
    assert standing(held) == "open · escalated · claimed by ann\ufffd[2J"
    assert standing({"state": "expired", "decided_by": "nobody"}) == "expired, by nobody"
