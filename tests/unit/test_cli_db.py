"""`meshwright db`: what stands in the databases, upgraded and purged from the command line, on both stores."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from a2a.types import Message, Part

from meshwright.cli.app import run
from meshwright.cli.db import shown
from meshwright.database import open_database
from meshwright.database.door import connect
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.book import TaskBook


def fill(url: str) -> None:
    """One task that ended long ago, one that ended just now, one that runs."""

    async def make() -> None:
        database = await open_database(url)
        book = TaskBook(database, "front")
        for name in ("old", "new", "running"):
            ask = Ask("", "", Message(message_id=name, parts=[Part(text="hi")]), {}, 10)
            made = await database.write(lambda tx, ask=ask: accept(tx, Desk("front", "me", 60), ask))  # type: ignore[misc]
            if name != "running":
                await book.cancel(made.task_id, "")
            if name == "old":
                await database.execute(
                    "UPDATE tasks SET created = 4.0, updated = 5.0 WHERE id = ?", made.task_id
                )
        book.feed.close()
        await database.close()

    asyncio.run(make())


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return next(iter(document.values()))  # type: ignore[no-any-return]


def test_status_upgrade_and_purge(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()
    assert run(["db", "status", "--database", url, "--json"]) == 0
    assert (found := said(capsys))["schema"] == 0
    assert len(found["pending"]) == found["known"]
    assert run(["db", "purge", "--database", url]) == 1
    assert "meshwright db upgrade" in capsys.readouterr().err
    assert run(["db", "upgrade", "--database", url, "--json"]) == 0
    assert said(capsys) == {"from": 0, "to": found["known"]}
    fill(url)
    assert run(["db", "status", "--database", url, "--json"]) == 0
    assert said(capsys)["tasks"] == {"front ended": 2, "front running": 1}
    assert run(["db", "purge", "--database", url, "--agent", "other", "--json"]) == 0
    assert said(capsys)["tasks"] == 0
    assert run(["db", "purge", "--database", url, "--older-than", "1d", "--json"]) == 0
    assert said(capsys)["tasks"] == 1
    assert run(["db", "status", "--database", url]) == 0
    assert "front ended: 1, front running: 1" in capsys.readouterr().out


def test_the_files_of_a_home_are_found_by_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(f"sqlite:///{tmp_path}/orders.db")
    assert run(["db", "status", "--home", str(tmp_path), "--json"]) == 0
    assert said(capsys)["tasks"] == {"front ended": 2, "front running": 1}


def test_the_files_of_a_mesh_that_one_brings_are_found_by_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(f"sqlite:///{tmp_path}/front.db")
    mesh = tmp_path / "mesh.toml"
    mesh.write_text('entry = "front"\n[[process]]\nname = "front"\nkind = "a2a"\nport = 0\n')
    assert run(["db", "status", "--home", str(tmp_path)]) == 1
    assert "--mesh" in capsys.readouterr().err
    assert run(["db", "status", "--home", str(tmp_path), "--mesh", str(mesh), "--json"]) == 0
    assert said(capsys)["tasks"] == {"front ended": 2, "front running": 1}
    assert run(["db", "upgrade", "--home", str(tmp_path), "--mesh", str(mesh), "--json"]) == 0
    assert (found := said(capsys))["from"] == found["to"]
    assert run(["budget", "--home", str(tmp_path), "--mesh", str(mesh), "--json"]) == 0
    assert said(capsys) == {"accounts": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "--home", "HERE"], "there is no database of the mesh that ships in"),
        (["status", "--database", "sqlite:///HERE/none.db"], "there is no file"),
        (["status", "--database", "mysql://x"], "MESHWRIGHT_DATABASE must be"),
        (["purge", "--older-than", "soon", "--home", "HERE"], "'soon' is no age"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["db", *(a.replace("HERE", str(tmp_path)) for a in arguments)]) == 1
    out, err = capsys.readouterr()
    assert said in err
    assert (err.count("\n"), out) == (1, "")


def test_a_database_of_0_1_0_keeps_its_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "orchestrator.db"
    with sqlite3.connect(file) as db:
        db.execute(
            "CREATE TABLE runs (id TEXT PRIMARY KEY, task_id TEXT NOT NULL, caller TEXT NOT NULL, request TEXT NOT NULL,"
            " state TEXT NOT NULL, graph_version TEXT NOT NULL, started DOUBLE PRECISION NOT NULL,"
            " ended DOUBLE PRECISION, report TEXT)"
        )
        db.execute("INSERT INTO runs VALUES ('r', 't', '', 'hi', 'done', '1', 1.0, 2.0, NULL)")
    db.close()
    assert run(["db", "upgrade", "--home", str(tmp_path), "--json"]) == 0
    assert said(capsys)["from"] == 0
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT state FROM runs").fetchall() == [("done",)]
    db.close()


def test_a_look_changes_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, other = tmp_path / "empty.db", tmp_path / "other.db"
    empty.touch()
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE things (id TEXT)")
    db.close()
    before = other.read_bytes()
    for file in (empty, other):
        assert run(["db", "status", "--database", f"sqlite:///{file}", "--json"]) == 0
        assert said(capsys)["schema"] == 0
    assert (empty.read_bytes(), other.read_bytes()) == (b"", before)


def execute(url: str, sql: str) -> None:
    async def make() -> None:
        database = await connect(url)
        await database.execute(sql)
        await database.close()

    asyncio.run(make())


def test_a_database_of_something_else_is_left_alone_in_one_line(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(url, "CREATE TABLE tasks (whose TEXT)")
    assert run(["db", "upgrade", "--database", url]) == 1
    out, err = capsys.readouterr()
    assert "cannot be brought up to date" in err
    assert (err.count("\n"), out) == (1, "")
    execute(url, "INSERT INTO tasks (whose) VALUES ('theirs')")
    assert run(["db", "status", "--database", url, "--json"]) == 0
    assert said(capsys)["schema"] == 0


def test_an_older_build_purges_nothing_of_a_schema_that_needs_a_newer_one(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()
    fill(url)
    execute(url, "INSERT INTO schema_versions (version, title, oldest, applied) VALUES (99, 'x', 99, 0.0)")
    assert run(["db", "purge", "--database", url, "--older-than", "1s"]) == 1
    assert "start a newer build" in capsys.readouterr().err
    assert run(["db", "status", "--database", url, "--json"]) == 0
    assert said(capsys)["tasks"] == {"front ended": 2, "front running": 1}


def test_a_table_that_one_may_not_read_is_one_line(postgres: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url := postgres())
    for sql in (
        "DROP ROLE IF EXISTS guest",
        "CREATE ROLE guest LOGIN",
        "GRANT USAGE ON SCHEMA public TO guest",
    ):
        execute(url, sql)
    assert run(["db", "status", "--database", url.replace("://postgres:", "://guest:")]) == 1
    out, err = capsys.readouterr()
    assert "permission denied" in err
    assert (err.count("\n"), out) == (1, "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:geheim@host/mesh",
        "postgresql://ann:ge@geheim@host/mesh",
        "postgresql://host/mesh?user=ann&password=geheim",
        "postgresql://host/mesh?sslpassword=geheim&x=1",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    assert "geheim" not in shown(url)
    assert "host/mesh" in shown(url)
