"""The Runs pages over HTTP: what they ask the mesh for, and what they show of what anybody may have written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from console.app import console_app
from meshwright.records.decision import Decision
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring

#: What somebody would write who wants to be executed, or to be read as something else.
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\ud800{{7*7}}"


@dataclass
class Desk:
    """A console, and before it an orchestrator that says what the test has it say."""

    http: httpx.AsyncClient
    down: Callable[[str], None]
    said: dict[str, Any] = field(default_factory=dict)
    asked: list[httpx.URL] = field(default_factory=list)

    async def see(self, path: str, status: int = 200, **headers: str) -> str:
        answer = await self.http.get(f"http://127.0.0.1{path}", headers=headers)
        assert answer.status_code == status, answer.text
        return answer.text


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    mesh, ring = InProcess({}), Keyring("orchestrator", "console")
    found = Desk(mesh.client(), mesh.down.add)

    async def answer(request: Request) -> Response:
        found.asked.append(httpx.URL(str(request.url)))
        if request.url.path == "/livez":
            return JSONResponse({"name": "orchestrator"})
        told = found.said.get(unquote(request.url.path))
        missing = {"error": {"code": 404, "message": "there is no such run"}}
        return _json(told) if told is not None else JSONResponse(missing, 404)

    mesh.apps["http://orchestrator"] = Starlette(routes=[Route("/{path:path}", answer)])
    settings = Settings.model_validate({"peers": "http://orchestrator", "home": tmp_path})
    mesh.apps["http://127.0.0.1"] = console_app(settings, mesh.client(), ring.identity("console"))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(mesh.running())
        yield found


def _json(document: Any) -> Response:
    # also what our own servers would not send: half of a character, NaN
    return Response(json.dumps(document), media_type="application/json")


def listed(name: str, **more: Any) -> dict[str, Any]:
    known = {"id": name, "state": "done", "outcome": "done", "started": 1_795_700_000.0, "caller": "shop"}
    return {**known, "ended": 1_795_700_002.0, "request": "paint t1 red", "correlation": "c", **more}


def chain(*decisions: dict[str, Any], **run: Any) -> dict[str, Any]:
    known = {
        **listed("r1"),
        "task_id": "t",
        "report": {"outcome": "done", "reply": "It is red."},
        "trace": "",
        **run,
    }
    return {"run": known, "decisions": list(decisions), "missing": [], "links": {"trace": ""}, "intact": True}


def row(name: str, kind: str, at: float = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": kind,
        "at": 1_795_700_000 + at,
        "agent": "orchestrator",
        "outcome": "answered",
        **more,
    }


class Page(HTMLParser):
    """The tags of a page, its scripts, and where its links go."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.links += [value or "" for name, value in attrs if name == "href"]


async def test_the_list_passes_on_what_it_is_asked_for_and_leads_to_the_next_page(desk: Desk) -> None:
    desk.said["/runs"] = {
        "runs": [listed("r1"), listed("r2", state="waiting", outcome="waiting", ended=None)],
        "next": "c 2",
    }
    text = await desk.see("/runs?state=waiting&q=red%20shoes")
    assert dict(desk.asked[-1].params) == {"limit": "50", "state": "waiting", "q": "red shoes"}
    assert "/runs?state=waiting&amp;q=red+shoes&amp;before=c+2" in text
    assert text.count("paint t1 red") == 2


async def test_cancelled_runs_can_be_looked_for(desk: Desk) -> None:
    desk.said["/runs"] = {"runs": [listed("r1", state="canceled", outcome="canceled")], "next": ""}
    assert 'href="/runs?state=canceled" aria-current="true"' in await desk.see("/runs?state=canceled")
    assert desk.asked[-1].params["state"] == "canceled"


async def test_the_list_is_not_sent_again_while_nothing_has_changed(desk: Desk) -> None:
    desk.said["/runs"] = {"runs": [listed("r1")], "next": ""}
    first = await desk.http.get("http://127.0.0.1/runs/list")
    again = await desk.http.get("http://127.0.0.1/runs/list", headers={"x-seen": first.headers["x-seen"]})
    desk.said["/runs"]["runs"] += [listed("r2")]
    later = await desk.http.get("http://127.0.0.1/runs/list", headers={"x-seen": first.headers["x-seen"]})
    assert [first.status_code, again.status_code, later.status_code] == [200, 204, 200]


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "No runs yet"), ("?q=nothing", "No run is like that"), ("?before=c", "No run is like that")],
)
async def test_an_empty_list_says_why_it_is_empty(desk: Desk, query: str, words: str) -> None:
    desk.said["/runs"] = {"runs": [], "next": ""}
    assert words in await desk.see(f"/runs{query}")


async def test_a_run_that_is_not_there_is_said_to_be_not_there(desk: Desk) -> None:
    assert "There is no such thing" in await desk.see("/runs/nobody", 404)
    desk.said["/runs/r1/chain"] = chain()
    assert "this run has no such action" in await desk.see("/runs/r1/why/a9", 404)


@pytest.mark.parametrize("path", ["/runs/%2e%2e", "/runs/%2e/why/a1", "/reviews/%2e%2e", "/audit/%2e%2e"])
async def test_no_name_leads_to_another_page_of_the_mesh(desk: Desk, path: str) -> None:
    assert "There is no such" in await desk.see(path, 404)
    assert {url.path for url in desk.asked} <= {"/livez"}


async def test_a_run_of_before_there_were_decisions_is_shown_with_what_there_is(desk: Desk) -> None:
    desk.said["/runs/r1/chain"] = chain(report=None, state="failed")
    text = await desk.see("/runs/r1")
    assert "No decisions yet" in text
    assert "It ended as failed" in text


async def test_a_run_whose_decisions_were_changed_says_so(desk: Desk) -> None:
    desk.said["/runs/r1/chain"] = {**chain(row("d1", "plan")), "intact": False}
    assert "These decisions are not those that were logged" in await desk.see("/runs/r1")


async def test_the_news_of_a_run_cost_no_agent_a_question_and_say_when_it_has_moved_on(desk: Desk) -> None:
    desk.said["/runs/r1"] = {"id": "r1", "outcome": "working"}
    assert "It is being worked on" in await desk.see("/runs/r1/news?seen=working")
    desk.said["/runs/r1"]["outcome"] = "waiting"
    assert "It is waiting now" in await desk.see("/runs/r1/news?seen=working")
    assert not [url for url in desk.asked if "chain" in url.path]


async def test_a_run_that_was_cancelled_says_why(desk: Desk) -> None:
    report = {"outcome": "canceled", "why": "the client called it off"}
    desk.said["/runs/r1/chain"] = chain(report=report, state="canceled")
    assert "It ended as canceled: the client called it off" in await desk.see("/runs/r1")


async def test_a_run_that_an_older_build_cancelled_while_it_waited_does_not_wait(desk: Desk) -> None:
    desk.said["/runs/r1/chain"] = chain(report={"outcome": "waiting", "reply": ""}, state="canceled")
    assert "It ended as canceled" in await desk.see("/runs/r1")


async def test_both_sides_of_a_disagreement_stand_next_to_one_another(desk: Desk) -> None:
    sides = [
        {"agent": "orders", "says": "delivered", "confidence": 0.9, "evidence": ["tool:a.b"], "chosen": True},
        {"agent": "advisor", "says": "pending", "confidence": 0.4},
    ]
    desk.said["/runs/r1/chain"] = chain(
        row("d1", "resolve_conflict", outcome="chosen", sides=sides, reason="who read it is believed")
    )
    text = await desk.see("/runs/r1")
    both = text[text.index('<div class="sides">') :]
    both = both[: both.index("</div>")]
    assert both.index("delivered") < both.index("tool:a.b") < both.index("pending")
    assert "orders and advisor disagreed; orders was believed" in text


async def test_a_mesh_that_does_not_answer_is_said_with_the_way_out(desk: Desk) -> None:
    desk.down("http://orchestrator")
    text = await desk.see("/runs", 502)
    assert "The mesh does not answer" in text
    assert 'href="/runs"' in text


async def test_the_json_of_a_run_is_what_the_mesh_says_of_it(desk: Desk) -> None:
    desk.said["/runs/r1/chain"] = told = chain(row("d1", "plan", reason=EVIL))
    answer = await desk.http.get("http://127.0.0.1/runs/r1.json")
    assert answer.json() == told
    assert answer.headers["content-type"] == "application/json"


async def test_an_action_leads_to_the_run_that_it_belongs_to(desk: Desk) -> None:
    desk.said["/actions/a/1"] = {"action": "a/1", "run": "r 1"}
    answer = await desk.http.get("http://127.0.0.1/actions/a%2F1")
    assert answer.status_code == 303, answer.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/r%201/why/a%2F1")


def everywhere(evil: str) -> dict[str, Any]:
    """A decision that says it in every field where a text may stand."""
    texts = {
        name: evil for name, info in Decision.model_fields.items() if "str" in str(info.annotation) and name not in
        ("id", "kind", "source", "parent", "options", "passed", "omitted", "sides", "evidence", "call", "below", "more", "action")
    }  # fmt: skip
    return {
        **row("d1", "gate"),
        **texts,
        "action": evil,
        "options": [{"name": evil, "why_not": evil}],
        "passed": [{"key": evil, "source": evil}],
        "omitted": [{"key": evil, "why": "budget"}],
        "sides": [{"agent": evil, "says": evil, "arguments": {evil: evil}, "evidence": [evil]}],
        "evidence": [evil],
        "call": {"tool": evil, "server": evil, "arguments": {evil: evil}, "result": [evil], "error": evil},
        "more": {evil: evil},
    }


Say = Callable[[Desk, str], None]


def of_a_row(desk: Desk, evil: str) -> None:
    desk.said["/runs/r1/chain"] = chain(
        everywhere(evil), row("d2", evil, agent=evil, outcome=evil, strange=evil)
    )


def of_a_run(desk: Desk, evil: str) -> None:
    run = dict.fromkeys(("id", "caller", "request", "correlation", "trace", "task_id"), evil)
    gaps = [{"what": evil, "why": evil}]
    report = {"outcome": evil, "reply": evil, "gaps": gaps, "unread": [evil], "degraded": [evil]}
    missing = [{"agent": evil, "ids": [evil], "why": evil}]
    desk.said["/runs/r1/chain"] = {
        **chain(**run, report=report, state=evil),
        "missing": missing,
        "links": {"trace": f"javascript:{evil}"},
    }
    desk.said["/runs/r1"] = {"outcome": evil}
    desk.said["/runs"] = {"runs": [listed("r1", **run, state=evil, outcome=evil)], "next": evil}


@pytest.mark.parametrize("say", [of_a_row, of_a_run])
@pytest.mark.parametrize(
    "path",
    ["/runs", "/runs/r1", "/runs/r1?open=all&kind=gate", "/runs/r1/why", "/runs/r1/news", "/runs/list"],
)
async def test_what_anybody_wrote_is_text_on_the_page_and_nothing_in_it_is_hidden(
    desk: Desk, say: Say, path: str
) -> None:
    desk.said |= {"/runs": {"runs": [], "next": ""}, "/runs/r1": {"outcome": "working"}}
    say(desk, EVIL)
    text = await desk.see(path)
    page = Page(text)
    assert "img" not in page.tags
    assert page.tags.count("script") == (0 if "list" in path or "news" in path else 2)
    assert page.handlers == []
    assert not [link for link in page.links if link.startswith(("javascript:", "data:"))]
    assert "\u202e" not in text


@pytest.mark.parametrize(
    "huge", [pytest.param(10**400, id="10^400"), pytest.param(-(10**400), id="-10^400"), 10**300]
)
@pytest.mark.parametrize("path", ["/runs", "/runs/r1?open=all", "/runs/r1/why"])
async def test_numbers_that_nothing_can_hold_break_no_page(desk: Desk, path: str, huge: int) -> None:
    names = (
        "at",
        "ms",
        "turn",
        "deadline_ms",
        "tokens_given",
        "tokens_in",
        "tokens_out",
        "micros",
        "confidence",
    )
    call = {"tool": "look_at", "bytes": huge}
    pieces = {
        "passed": [{"key": "a", "bytes": huge}],
        "omitted": [{"key": "b", "why": "stale", "bytes": huge}],
    }
    decision = {**row("d1", "tool_call"), **dict.fromkeys(names, huge), "call": call, **pieces}
    model = {**row("d2", "model_call"), "tokens_in": huge, "micros": huge}
    times = {"started": huge, "ended": huge}
    desk.said["/runs/r1/chain"] = chain(decision, model, **times)
    desk.said["/runs"] = {"runs": [listed("r1", **times)], "next": ""}
    assert "paint t1 red" in await desk.see(path)


async def test_why_an_action_with_a_hostile_key_happened_is_one_click_away(desk: Desk) -> None:
    of_a_row(desk, EVIL.replace("\ud800", ""))
    page = Page(await desk.see("/runs/r1"))
    why = next(link for link in page.links if "/why/" in link)
    assert "<h2" in await desk.see(why)


async def test_a_run_of_two_thousand_decisions_is_shown_in_pages(desk: Desk) -> None:
    desk.said["/runs/r1/chain"] = chain(*(row(f"d{n:04}", "tool_call", n / 10) for n in range(2_000)))
    first, last = await desk.see("/runs/r1"), await desk.see("/runs/r1?start=1920")
    assert 'id="d0000"' in first
    assert 'id="d1999"' not in first
    assert 'id="d1999"' in last
