"""The tail of a mesh: what is new is told once, in its order, through restarts, until somebody has had enough."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any

import httpx
import pytest

from meshwright.cli.entrance import Entrance
from meshwright.cli.tail import FOLLOWED, MANY, Event, Watched, events
from tests.unit.decided_run import Page, row

Step = dict[str, tuple[str, list[str]]]


class Scripted(httpx.MockTransport):
    """A mesh that goes on by one step with each look: runs by id with their state and the ids of their decisions. None: it is away."""

    def __init__(self, *steps: Step | None) -> None:
        self._steps = list(steps)
        self._now: Step | None = None
        self.chains: list[str] = []
        self.over = asyncio.Event()
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/runs":
            if self._steps:
                self._now = self._steps.pop(0)
            else:
                self.over.set()
            if self._now is None:
                raise httpx.ConnectError("away", request=request)
            listed = [{"id": run, "state": state} for run, (state, _) in self._now.items()]
            return httpx.Response(200, json={"runs": listed[::-1]})
        run = request.url.path.split("/")[2]
        self.chains.append(run)
        if self._now is None or run not in self._now or self._now[run][0] == "gone":
            return httpx.Response(404, json={"error": {"message": "there is no such run"}})
        decisions = [row(name, "plan", int(name[1:] or 0), outcome="planned") for name in self._now[run][1]]
        return httpx.Response(200, json={"run": {"id": run}, "decisions": decisions[::-1]})


async def told(script: Scripted, since: int = 0) -> list[str]:
    """All that is told until the script is over: `r1 working`, `r1/d1`, or the words of the mesh."""
    found: list[str] = []

    async def follow(mesh: Entrance) -> None:
        async for event in events(mesh, 0, since):
            found.append(words(event))

    async with Entrance("http://mesh", None, transport=script) as mesh:
        following = asyncio.create_task(follow(mesh))
        await script.over.wait()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return found


def words(event: Event) -> str:
    if event.what == "mesh":
        return event.says
    run = str(event.run["id"])
    return f"{run} {event.run['state']}" if event.what == "run" else f"{run}/{event.decision['id']}"


async def test_a_run_is_told_from_its_beginning_to_its_end_and_nothing_twice() -> None:
    script = Scripted(
        {},
        {"r1": ("working", ["d1"])},
        {"r1": ("working", ["d1", "d2"]), "r2": ("working", [])},
        {"r1": ("done", ["d1", "d2", "d3"]), "r2": ("working", ["d9"])},
        {"r1": ("done", ["d1", "d2", "d3"]), "r2": ("failed", ["d9"])},
    )
    assert await told(script) == [
        *("r1 working", "r1/d1", "r1/d2", "r2 working", "r1/d3", "r1 done", "r2/d9", "r2 failed")
    ]
    assert script.chains.count("r1") == 3, "a run that has ended is asked for once more, and then left alone"


async def test_a_run_that_is_over_before_it_was_seen_working_is_told_whole() -> None:
    assert await told(Scripted({}, {"r1": ("done", ["d1"])})) == ["r1/d1", "r1 done"]


async def test_what_had_ended_before_is_told_only_if_it_is_asked_for_and_what_works_always() -> None:
    before: Step = {"r1": ("done", ["d1"]), "r2": ("waiting", ["d2"]), "r3": ("working", ["d3"])}
    assert await told(Scripted(before)) == ["r3 working", "r3/d3"]
    assert await told(Scripted(before), since=2) == ["r2/d2", "r2 waiting", "r3 working", "r3/d3"]


async def test_a_run_that_waited_is_told_on_when_somebody_has_decided_and_only_what_is_new() -> None:
    script = Scripted(
        {"r1": ("working", ["d1"])},
        {"r1": ("waiting", ["d1", "d2"])},
        {"r1": ("waiting", ["d1", "d2"])},
        {"r1": ("done", ["d1", "d2", "d3"])},
    )
    assert await told(script) == ["r1 working", "r1/d1", "r1/d2", "r1 waiting", "r1/d3", "r1 done"]


async def test_a_restart_is_told_once_and_what_happened_meanwhile_afterwards() -> None:
    script = Scripted(
        *({"r1": ("working", ["d1"])}, None, None, None),
        {"r1": ("done", ["d1", "d2"])},
    )
    assert await told(script) == [
        *("r1 working", "r1/d1", "no mesh at http://mesh: start one with `meshwright up`"),
        *("is back", "r1/d2", "r1 done"),
    ]


async def test_a_run_that_vanished_since_it_was_listed_ends_nothing() -> None:
    assert await told(Scripted({"r1": ("working", [])}, {"r1": ("gone", []), "r2": ("done", [])})) == [
        *("r1 working", "r1 gone", "r2 done")
    ]


async def test_a_busy_mesh_is_asked_for_a_few_runs_at_a_time_and_all_are_told_in_the_end() -> None:
    many = {f"r{n}": n for n in range(2 * FOLLOWED)}
    script = Scripted(
        {},
        {run: ("working", []) for run in many},
        {run: ("working", [f"d{n}"]) for run, n in many.items()},
        {run: ("done", [f"d{n}"]) for run, n in many.items()},
    )
    found = await told(script)
    assert len(script.chains) == 2 * FOLLOWED + FOLLOWED + 2 * FOLLOWED
    assert {f"{run}/d{n}" for run, n in many.items()} <= set(found)


async def test_what_is_remembered_of_runs_has_an_end() -> None:
    watched = Watched()
    for start in range(0, 10 * MANY, MANY):
        script = Scripted({f"r{start + n}": ("done", ["d1"]) for n in range(MANY)})
        async with Entrance("http://mesh", None, transport=script) as mesh:
            assert len([event async for event in watched.news(mesh, None)]) == 2 * MANY
    assert watched.remembered <= 2 * MANY


# --- the command


class Mesh:
    """A mesh on a port, which can be stopped and started there again."""

    def __init__(self) -> None:
        self.runs: list[Page] = []
        self.decisions: list[Page] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        mesh = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                chain = {"run": {"id": "run-1"}, "decisions": mesh.decisions}
                pages: dict[str, Any] = {"/livez": {"name": "front"}, "/runs": {"runs": mesh.runs}}
                body = json.dumps(pages.get(self.path.partition("?")[0], chain)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    found = Mesh()
    found.start()
    yield found
    found.stop()


@pytest.fixture
def tail(mesh: Mesh, tmp_path: Any) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "meshwright.cli", "tail", "--every", "0.1", *arguments]
        command += ["--url", f"http://127.0.0.1:{mesh.port}", "--home", str(tmp_path)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        started.append(subprocess.Popen(command, **pipes, env=environ))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def line(of: IO[str] | None) -> str:
    assert of is not None
    return of.readline().rstrip()


def test_the_command_goes_on_through_a_restart_and_ends_at_ctrl_c_without_a_word(
    mesh: Mesh, tail: Callable[..., subprocess.Popen[str]]
) -> None:
    mesh.runs = [{"id": "run-1-of-many", "state": "working", "request": "cancel\x1b[2J", "started": 1.0}]
    mesh.decisions = [row("d1", "gate", 1, outcome="allow", selected="cancel\u202e", reason="it is small")]
    child = tail()
    first = line(child.stdout)
    assert first.endswith("run-1-of · run working  cancel\\u001b[2J")
    second = line(child.stdout)
    assert second.endswith("run-1-of ✓ gate  The policy allowed cancel\\u202e  allowed  it is small")
    mesh.stop()
    assert "no mesh at" in line(child.stderr)
    mesh.decisions.append(row("d2", "final", 2, outcome="done"))
    mesh.start()
    assert line(child.stderr).endswith("is back")
    assert line(child.stdout).endswith("✓ final  orchestrator ended the request: done")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (0, "", "")


def test_each_line_of_json_is_a_document(mesh: Mesh, tail: Callable[..., subprocess.Popen[str]]) -> None:
    mesh.runs = [{"id": "run-1", "state": "working", "request": "hello"}]
    mesh.decisions = [row("d1", "plan", 1, outcome="planned")]
    child = tail("--json")
    began, decided = json.loads(line(child.stdout)), json.loads(line(child.stdout))
    assert (began["event"], began["run"]["request"]) == ("run", "hello")
    assert (decided["event"], decided["run"], decided["decision"]["id"]) == ("decision", "run-1", "d1")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_who_leaves_ends_it_without_a_word(
    mesh: Mesh, tail: Callable[..., subprocess.Popen[str]], form: list[str]
) -> None:
    mesh.runs = [{"id": "run-1", "state": "working"}]
    mesh.decisions = [row("d1", "plan", 1, outcome="planned")]
    child = tail(*form)
    line(child.stdout)
    assert child.stdout is not None
    child.stdout.close()
    mesh.decisions += [row(f"d{n}", "plan", n, outcome="planned") for n in range(2, 5)]
    child.wait(timeout=20)
    assert line(child.stderr) == ""


def test_where_there_is_no_mesh_it_does_not_wait_for_one(
    mesh: Mesh, tail: Callable[..., subprocess.Popen[str]]
) -> None:
    mesh.stop()
    out, err = tail().communicate(timeout=20)
    assert (out, err.count("\n")) == ("", 1)
    assert "start one with `meshwright up`" in err
