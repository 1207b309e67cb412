"""The doctor: what is well is said in a line, what is not with a way out; nothing that is ill keeps it from looking at the rest."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshwright.audit.anchor import Anchor
from meshwright.audit.log import Entry, append
from meshwright.audit.merkle import Tree
from meshwright.audit.note import signer_of
from meshwright.cli import keys, topology
from meshwright.cli.app import run
from meshwright.cli.checkup.diagnosis import Diagnosis, Patient, examine, well
from meshwright.cli.doctor import diagnosed, show
from meshwright.cli.home import Home, Running, write_private
from meshwright.database import open_database
from meshwright.database.migrations import status
from meshwright.passwords import hashed

MESH = topology.parse(
    """
entry = "front"
[[process]]
name = "front"
kind = "a2a"
port = 0
asks = ["clerk"]
uses = ["ledger"]
[[process]]
name = "clerk"
kind = "a2a"
port = 1
[[process]]
name = "ledger"
kind = "mcp"
port = 2
""",
    "the tests' mesh",
    None,
)
BASE = 18400
NAMES = {BASE + process.port: process.name for process in MESH.processes}
METRICS = """# TYPE meshwright_audit_broken gauge
meshwright_audit_entries 12
meshwright_audit_signed_entries 12
meshwright_audit_checkpoint_age_seconds 4
meshwright_audit_broken 0
"""
Answers = dict[tuple[str, str], Any]


def card(name: str) -> dict[str, Any]:
    return {"name": name, "version": version("meshwright"), "skills": [{"id": "s"}]}


class Team(httpx.MockTransport):
    """A mesh that runs, as its pages: `team["clerk", "/readyz"] = …` makes it say something else, or raise it."""

    def __init__(self) -> None:
        self.answers: Answers = {("front", "/metrics"): httpx.Response(200, text=METRICS)}
        self.off: dict[str, float] = {}
        rows = [{"name": "clerk", "status": "ready", "url": f"http://127.0.0.1:{BASE + 1}"}]
        tools = [{"name": "ledger", "status": "ready", "url": f"http://127.0.0.1:{BASE + 2}"}]
        self.answers["front", "/peers"] = {"peers": rows, "tools": tools}
        for name in NAMES.values():
            self.answers[name, "/.well-known/agent-card.json"] = card(name)
            self.answers[name, "/readyz"] = {"ready": True, "waiting_for": {}}
            self.answers[name, "/livez"] = {"alive": True, "name": name}
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = NAMES.get(request.url.port or 0, request.url.host)
        found = self.answers.get((name, request.url.path), httpx.Response(404, text="not here"))
        if isinstance(found, Exception):
            raise found
        date = {"date": formatdate(time.time() + self.off.get(name, 0.0), usegmt=True)}
        if isinstance(found, httpx.Response):
            return found
        return httpx.Response(200, json=found, headers=date)


@pytest.fixture
def team() -> Team:
    return Team()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """The home of a mesh that runs."""
    place = Home.at(tmp_path / "home")
    keys.ensure(place, list(NAMES.values()))
    with place.held():
        place.announce(Running(1, "front", MESH.urls(BASE)))
        yield place


@pytest.fixture
async def database(home: Home) -> Path:
    path = home.path / "front.db"
    await (await open_database(f"sqlite:///{path}")).close()
    return path


async def look(home: Home, team: Team, url: str = "", **environ: str) -> list[Diagnosis]:
    return await diagnosed(home, MESH, BASE, url, environ, team)


def the(found: list[Diagnosis], name: str) -> Diagnosis:
    (one,) = [each for each in found if each.name == name]
    return one


async def test_a_mesh_that_is_well_is_told_in_a_line_for_each_of_its_parts(
    home: Home, team: Team, database: Path
) -> None:
    found = await look(home, team)
    assert [each for each in found if each.state != "well"] == []
    assert [each.name for each in found] == [
        *("settings", "home", "keys", "ports", "card front", "card clerk", "process ledger"),
        *("clocks", "peers", "database front", "audit log", "exporter", "model", "console"),
    ]
    assert the(found, "card clerk").says == f"{version('meshwright')} · 1 skill · unsigned"
    assert (
        the(found, "audit log").says
        == "12 entries when it last looked, 12 signed, the last checkpoint 4 s ago"
    )


def breaker(state: str) -> dict[str, Any]:
    shown = {"state": state, "retry_in": 4.2, "failures": {"timeout": 3}}
    return {
        "ready": True,
        "waiting_for": {},
        "peers": {"clerk": shown},
        "tools": {"ledger": {"state": "closed"}},
    }


@pytest.mark.parametrize(
    ("where", "answer", "name", "state", "says"),
    [
        (("clerk", "/readyz"), httpx.ConnectError("no"), "card clerk", "ill", "does not answer (ConnectError)"),
        (("ledger", "/readyz"), httpx.ReadError("no"), "process ledger", "ill", "does not answer (ReadError)"),
        (("clerk", "/.well-known/agent-card.json"), httpx.Response(200, text="<html>"), "process clerk", "ill", "no card"),
        (("clerk", "/.well-known/agent-card.json"), httpx.Response(200, json=[1]), "process clerk", "ill", "no card"),
        (("clerk", "/readyz"), {"ready": False, "waiting_for": {"graph": "starting"}}, "card clerk", "ill", "graph: starting"),
        (("clerk", "/readyz"), {"ready": False, "draining": True}, "card clerk", "watch", "is leaving"),
        (("clerk", "/.well-known/agent-card.json"), {**card("clerk"), "version": "9.9"}, "card clerk", "watch", "9.9"),
        (("front", "/readyz"), breaker("open"), "breaker front", "ill", "open to clerk, asked again in 4 s"),
        (("front", "/readyz"), breaker("half-open"), "breaker front", "watch", "half-open to clerk"),
        (("front", "/peers"), {"peers": [{"name": "clerk", "status": "lost", "why": "refused"}]}, "peer clerk", "ill", "lost to front: refused"),
        (("front", "/peers"), {"peers": [{"name": "clerk", "status": "stale"}]}, "peer clerk", "watch", "stale"),
        (("front", "/peers"), httpx.Response(401, json={}), "peers", "ill", "does not let us in"),
        (("front", "/metrics"), httpx.Response(200, text=METRICS.replace("broken 0", "broken 1")), "audit log", "ill", "not what was signed"),
        (("front", "/peers"), httpx.Response(500, text="oh"), "peers", "ill", "is not a mesh"),
        (("front", "/metrics"), httpx.Response(200, text=METRICS.replace("entries 12\n", "entries 13\n", 1).replace("seconds 4", "seconds 900")), "audit log", "watch", "13 entries when it last looked, 12 signed"),
    ],
)  # fmt: skip
async def test_a_process_that_is_not_well_is_named_with_a_way_out_and_the_others_are_told_all_the_same(
    home: Home, team: Team, where: tuple[str, str], answer: Any, name: str, state: str, says: str
) -> None:
    team.answers[where] = answer
    found = await look(home, team)
    one = the(found, name)
    assert (one.state, says in one.says, bool(one.way_out)) == (state, True, True)
    assert the(found, "card front").state == "well"


async def test_an_entry_that_is_an_agent_and_no_orchestrator_is_well(home: Home, team: Team) -> None:
    team.answers["front", "/peers"] = httpx.Response(404, text="Not Found")
    peers = the(await look(home, team), "peers")
    assert (peers.state, peers.says) == ("well", "all breakers closed")
    team.answers["clerk", "/readyz"] = breaker("open")
    assert the(await look(home, team), "breaker clerk").state == "ill"


async def test_a_log_that_has_no_checkpoint_yet_has_no_last_one(home: Home, team: Team) -> None:
    unsigned = METRICS.replace("signed_entries 12", "signed_entries 0")
    team.answers["front", "/metrics"] = httpx.Response(200, text=unsigned)
    log = the(await look(home, team), "audit log")
    assert (log.state, log.says) == (
        "well",
        "12 entries when it last looked, 0 signed, no checkpoint yet",
    )


@pytest.mark.parametrize(("off", "state"), [(0.2, "well"), (-4.0, "watch"), (30.0, "ill"), (-3600.0, "ill")])
async def test_a_clock_that_is_off_is_told_before_its_tokens_are_refused(
    home: Home, team: Team, off: float, state: str
) -> None:
    team.off["clerk"] = off
    clocks = the(await look(home, team), "clocks")
    assert clocks.state == state
    assert ("clerk" in clocks.says) == (state != "well")


async def test_without_a_mesh_the_rest_is_checked(
    tmp_path: Path, team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    found = await look(Home.at(tmp_path / "none"), team)
    assert [each.name for each in found if each.state == "watch"] == ["home", "keys", "mesh", "database"]
    assert [each.name for each in found if each.state == "well"] == [
        *("settings", "ports", "exporter", "model", "console")
    ]
    assert all(each.way_out for each in found if each.state != "well")
    show(found)
    assert "nothing is wrong; 4 of 9 worth a look" in capsys.readouterr().out


async def test_a_mesh_elsewhere_is_looked_at_through_its_entry(home: Home, team: Team) -> None:
    found = await look(home, team, f"http://127.0.0.1:{BASE}/")
    assert [each.name for each in found if each.name.startswith(("card", "process"))] == [
        *("card front", "card clerk", "process ledger")
    ]


async def test_every_setting_that_no_process_would_start_with_is_named(home: Home, team: Team) -> None:
    wrong = {"MESHWRIGHT_MODLE": "x", "MESHWRIGHT_PORT": "many", "MESHWRIGHT_POLICY": "/not/there"}
    found = await look(home, team, **wrong, MESHWRIGHT_DEADLINE="300")
    said = "\n".join(each.says for each in found if each.name == "settings" and each.state == "ill")
    assert "did you mean MESHWRIGHT_MODEL?" in said
    assert "MESHWRIGHT_PORT: " in said
    assert "MESHWRIGHT_POLICY names /not/there" in said
    assert [each.says for each in found if each.state == "watch" and each.name == "settings"] == [
        "DEADLINE (300 s) is above DEADLINE_MAX (120 s), which then counts"
    ]


def others_may_read(home: Home) -> None:
    home.key("clerk").chmod(0o644)


def another_key(home: Home) -> None:
    trust = json.loads(home.trust.read_text())
    trust["agents"]["clerk"] = trust["agents"]["ledger"]
    home.trust.write_text(json.dumps(trust))


def a_stranger(home: Home) -> None:
    trust = json.loads(home.trust.read_text())
    del trust["agents"]["clerk"]
    home.trust.write_text(json.dumps(trust))


def speaks(home: Home) -> None:
    trust = json.loads(home.trust.read_text())
    home.trust.write_text(json.dumps({**trust, "speakers": {"front": ["mallory"]}}))


@pytest.mark.parametrize(
    ("harm", "name", "state", "says"),
    [
        (others_may_read, "keys", "ill", "others may read"),
        (lambda home: home.keys.chmod(0o755), "keys", "ill", "others may look into"),
        (lambda home: home.key("clerk").unlink(), "keys", "ill", "there is no key for clerk"),
        (lambda home: home.key("clerk").write_text("{}"), "keys", "ill", "clerk.json is no private key"),
        (another_key, "trust", "ill", "another key for clerk than it signs with"),
        (a_stranger, "trust", "ill", "trust.json does not know clerk"),
        (speaks, "trust", "watch", "front may speak for mallory, who is no operator"),
        (lambda home: home.trust.write_text("[]"), "trust", "ill", "cannot be read"),
    ],
)
async def test_a_key_that_opens_too_much_or_nothing_is_named(
    home: Home, team: Team, harm: Callable[[Home], Any], name: str, state: str, says: str
) -> None:
    harm(home)
    found = [each for each in await look(home, team) if each.name == name and says in each.says]
    assert [(each.state, bool(each.way_out)) for each in found] == [(state, True)]


async def test_ports_that_others_have_are_named_before_a_start(
    tmp_path: Path, team: Team, taken_port: int
) -> None:
    found = await diagnosed(Home.at(tmp_path), MESH, taken_port - 1, "", {}, team)
    ports = the(found, "ports")
    assert (ports.state, f"{taken_port} (clerk)" in ports.says) == ("ill", True)


# --- what must last


async def test_a_database_that_cannot_be_read_is_one_line_and_an_older_one_is_no_fault(
    home: Home, team: Team, database: Path
) -> None:
    harm(database, b"no database" * 1000)
    assert the(await look(home, team), "database front").state == "ill"
    harm(database, b"")
    empty = the(await look(home, team), "database front")
    assert (empty.state, "db upgrade" in empty.way_out) == ("watch", True)
    assert size(database) == 0, "it changes nothing"


def size(database: Path) -> int:
    return database.stat().st_size


def harm(database: Path, content: bytes) -> None:
    for file in database.parent.glob("front.db*"):
        file.unlink()
    database.write_bytes(content)


async def test_a_database_of_a_newer_build_says_that_this_one_must_not_start(
    home: Home, team: Team, database: Path
) -> None:
    opened = await open_database(f"sqlite:///{database}")
    newer = (await status(opened)).known + 1
    await opened.execute("INSERT INTO schema_versions VALUES (?, 'of tomorrow', ?, 0)", newer, newer)
    await opened.close()
    one = the(await look(home, team), "database front")
    assert (one.state, "too new for this build" in one.says) == ("ill", True)


async def test_a_log_that_ends_before_it_was_signed_is_found_without_a_mesh(
    home: Home, team: Team, database: Path
) -> None:
    team.answers["front", "/metrics"] = httpx.Response(404)
    assert "nothing stands in it" in the(await look(home, team), "audit log").says
    opened = await open_database(f"sqlite:///{database}")
    await opened.write(lambda tx: append(tx, Entry("gate.verdict", "front", {})))
    await opened.close()
    assert the(await look(home, team), "audit log").state == "watch", "nobody has signed it"
    leaves = [bytes(32)] * 2
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    note = signer_of("front", home.key("front")).note(2, tree.root)
    Anchor(home.path / "audit-front.checkpoints").add(note, 0, leaves)
    broken = the(await look(home, team), "audit log")
    assert (broken.state, broken.says) == ("ill", "it ends at 1, and 2 were signed")


# --- what is not the mesh's own

TO = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces:4318"}
KEYED = {**TO, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20c2VjcmV0"}


@pytest.mark.parametrize(
    ("environ", "answer", "state", "says"),
    [
        (TO, httpx.Response(200), "well", "answers 200 to an empty batch, without headers"),
        (KEYED, httpx.Response(200), "well", "with authorization"),
        (KEYED, httpx.Response(401), "ill", "answers 401"),
        (TO, httpx.Response(404), "ill", "answers 404"),
        (TO, httpx.Response(503), "ill", "answers 503"),
        (TO, httpx.Response(400), "watch", "answers 400"),
        (TO, httpx.ConnectError("no"), "ill", "http://traces:4318/v1/traces does not answer"),
        ({**TO, "OTEL_EXPORTER_OTLP_HEADERS": "Basic c2VjcmV0"}, None, "ill", "its part 1 is not name=value"),
        ({**TO, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None, "watch", "is grpc"),
        ({**TO, "OTEL_SDK_DISABLED": "true"}, None, "well", "none"),
    ],
)
async def test_where_traces_go_is_asked_with_the_headers_that_are_set_and_no_key_is_shown(
    home: Home, team: Team, environ: dict[str, str], answer: Any, state: str, says: str
) -> None:
    team.answers["traces", "/v1/traces"] = answer
    one = the(await look(home, team, **environ), "exporter")
    assert (one.state, says in one.says) == (state, True)
    assert "c2VjcmV0" not in str(one)


MODEL = {
    "MESHWRIGHT_MODEL": "openai/desk",
    "MESHWRIGHT_MODEL_URL": "http://gateway/v1",
    "MESHWRIGHT_MODEL_KEY": "sk-1",
}
PRICED = {**MODEL, "MESHWRIGHT_PRICE_IN": "1", "MESHWRIGHT_PRICE_OUT": "2"}


@pytest.mark.parametrize(
    ("environ", "answer", "state", "says"),
    [
        (PRICED, {"data": [{"id": "desk"}]}, "well", "openai/desk at http://gateway/v1"),
        (MODEL, {"data": [{"id": "desk"}]}, "watch", "no prices"),
        (PRICED, {"data": [{"id": "other"}]}, "ill", "serves other, and not openai/desk"),
        (PRICED, httpx.Response(401), "ill", "does not take the key"),
        (PRICED, httpx.Response(500), "watch", "answers 500"),
        (PRICED, httpx.ConnectError("no"), "ill", "does not answer (ConnectError)"),
        ({"MESHWRIGHT_MODEL": "openai/desk"}, None, "watch", "no MESHWRIGHT_MODEL_KEY"),
        ({"MESHWRIGHT_MODEL": "ollama/desk"}, None, "well", "not asked"),
    ],
)
async def test_a_model_is_asked_for_its_name_and_for_nothing_that_costs(
    home: Home, team: Team, environ: dict[str, str], answer: Any, state: str, says: str
) -> None:
    team.answers["gateway", "/v1/models"] = answer
    one = the(await look(home, team, **environ), "model")
    assert (one.state, says in one.says) == (state, True)
    assert "sk-1" not in str(one)


# --- where people look

WEB = topology.parse(
    """
entry = "front"
[[process]]
name = "front"
kind = "a2a"
port = 0
[[process]]
name = "window"
kind = "web"
port = 3
asks = ["front"]
""",
    "a mesh with a console",
    None,
)
ANN = {"ann": hashed("a long password of ann")}


@pytest.mark.parametrize(
    ("people", "trusted", "environ", "state", "says"),
    [
        (None, ["ann"], {}, "well", "whoever sits at it is the operator"),
        (None, ["ann"], {"MESHWRIGHT_HOST": "0.0.0.0"}, "ill", "nobody may log in"),
        (ANN, ["ann"], {}, "well", "ann may log in"),
        (ANN, [], {}, "ill", "the console may not speak for them"),
        ({"ann": "in plain sight"}, ["ann"], {}, "ill", "no list of names and password hashes"),
        ({}, ["ann"], {}, "ill", "no list of names and password hashes"),
        (["ann"], ["ann"], {}, "ill", "no list of names and password hashes"),
    ],
)
async def test_who_may_log_in_is_known_to_the_mesh_and_nobody_else_comes_in(
    home: Home, team: Team, people: Any, trusted: list[str], environ: dict[str, str], state: str, says: str
) -> None:
    keys.ensure(home, ["front", "window"], trusted, speakers=["window"] if trusted else [])
    if people is not None:
        write_private(home.people, people)
    one = the(await diagnosed(home, WEB, BASE, "", environ, team), "console")
    assert (one.state, says in one.says, bool(one.way_out)) == (state, True, state != "well")


# --- how it speaks


async def test_what_never_answers_is_ill_after_its_time_and_keeps_nobody_waiting(
    home: Home, team: Team
) -> None:
    async def hangs(patient: Patient) -> list[Diagnosis]:
        await asyncio.Event().wait()
        return []

    async def quick(patient: Patient) -> list[Diagnosis]:
        return [well("quick", "there")]

    async with httpx.AsyncClient(transport=team) as http:
        patient = Patient(home, MESH, BASE, {}, None, "front", {}, http, http, None)  # type: ignore[arg-type]
        found = await examine(patient, [("stuck", hangs), ("quick", quick)], patience=0.01)
    assert [(each.name, each.state) for each in found] == [("stuck", "ill"), ("quick", "well")]


def test_one_line_of_json_and_an_exit_code_say_whether_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Home.at(tmp_path)
    keys.ensure(place, [process.name for process in topology.load().processes])
    arguments = ["doctor", "--home", str(tmp_path), "--json", "--ports", "29400"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["well"] is True
    place.key("orders").unlink()
    assert run(arguments) == 1
    page = json.loads(capsys.readouterr().out)
    assert run([each for each in arguments if each != "--json"]) == 1
    assert f"1 of {len(page['checks'])} is wrong" in capsys.readouterr().out
    assert page["well"] is False
    assert [each["says"] for each in page["checks"] if each["state"] == "ill"] == [
        "there is no key for orders"
    ]


def test_a_mesh_of_another_file_is_not_measured_by_the_one_that_ships(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--home", str(home.path)]) == 1
    said = capsys.readouterr().err
    assert "another mesh runs from" in said
    assert "(clerk, front, ledger of it): name its file with --mesh" in said


async def test_what_a_card_says_cannot_repaint_the_screen(
    home: Home, team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    team.answers["clerk", "/.well-known/agent-card.json"] = {
        **card("clerk"),
        "version": "\x1b[2J\u202e[red]1",
    }
    show(await look(home, team))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "[red]1" in said
