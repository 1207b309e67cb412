"""The Runs pages: the list, one run as a picture of its reasoning, and why something happened in it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.client import segment
from console.picture import Asked, picture
from console.words import SIGNS
from meshwright.errors import NotFound
from meshwright.explaining import plain, sentences, tones
from meshwright.explaining.particulars import besides, is_short, particulars, subject
from meshwright.explaining.points import facts
from meshwright.explaining.steps import address
from meshwright.explaining.story import story

if TYPE_CHECKING:
    from console.page import Page

#: Runs on one page; seconds between two looks at what is going on.
PAGE = 50
#: States that the list can be narrowed to, and their names.
STATES = {
    "": "All",
    "working": "Working",
    "waiting": "Waiting",
    "done": "Done",
    "degraded": "Degraded",
    "escalated": "Escalated",
    "failed": "Failed",
    "canceled": "Cancelled",
}


def routes(page: Page) -> list[Route]:
    runs = Runs(page)
    return [
        Route("/runs", runs.all),
        Route("/runs/list", runs.list),
        Route("/runs/{id}.json", runs.document),
        Route("/runs/{id}/news", runs.news),
        Route("/runs/{id}/why", runs.why),
        Route("/runs/{id}/why/{action:path}", runs.why),
        Route("/runs/{id}", runs.one),
        Route("/actions/{action:path}", runs.action),
    ]


class Runs:
    """The handlers. What they show is asked for anew each time, as the person who looks."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def all(self, request: Request) -> Response:
        """The newest runs, or those before a cursor; by state and by words."""
        found = await self._found(request)
        part, seen = self._page.part(request, "runs_list.html", **found)
        return self._page.show(request, "runs.html", part=part, seen=seen, **found)

    async def list(self, request: Request) -> Response:
        """The same without what is around it, for the browser that asks again and again."""
        return self._page.live(request, "runs_list.html", **await self._found(request))

    async def _found(self, request: Request) -> dict[str, Any]:
        asked = {name: request.query_params.get(name, "").strip()[:200] for name in ("state", "q", "before")}
        if asked["state"] not in STATES:
            asked["state"] = ""
        told = await self._page.mesh.get("/runs", self._page.person(request), limit=PAGE, **asked)
        runs = [_line(run, time.time()) for run in plain.rows(told, "runs")]
        after = told.get("next")
        next_page = after if isinstance(after, str) else ""
        return {"runs": runs, "asked": asked, "states": STATES, "next": next_page, **WORDS}

    async def one(self, request: Request) -> Response:
        """One run: what it came to, its timeline, its decisions."""
        query = request.query_params
        start = query.get("start", "0")
        asked = Asked(
            query.get("kind", "")[:60],
            query.get("agent", "")[:200],
            int(start) if start.isascii() and start.isdigit() and len(start) < 6 else 0,
            query.get("open", "")[:60],
        )
        shown = picture(await self._chain(request), asked, time.time())
        return self._page.show(
            request, "run.html", run=shown, address=_address(request), words=WORDS, **WORDS
        )

    async def why(self, request: Request) -> Response:
        """Why an action, or the answer, came to be."""
        action = request.path_params.get("action", "")
        told = story(await self._chain(request), action, time.time())
        if told is None:
            raise NotFound("this run has no such action")
        return self._page.show(request, "run_why.html", story=told, address=_address(request), **WORDS)

    async def news(self, request: Request) -> Response:
        """How a run that goes on stands by now. Its decisions are not asked for: that would ask all its agents, every time."""
        path = f"/runs/{segment(request.path_params['id'])}"
        told = await self._page.mesh.get(path, self._page.person(request))
        outcome = plain.one_line(told.get("outcome"), 40)
        seen = request.query_params.get("seen", "")
        return self._page.live(
            *(request, "run_news.html"), outcome=outcome, seen=seen, address=_address(request), **WORDS
        )

    async def document(self, request: Request) -> Response:
        """All that is known of a run, as the mesh says it."""
        text = json.dumps(await self._chain(request), indent=2, ensure_ascii=True)
        return Response(text, media_type="application/json")

    async def action(self, request: Request) -> Response:
        """From an action to the run that it belongs to, and why it happened there."""
        action = segment(request.path_params["action"])
        told = await self._page.mesh.get(f"/actions/{action}", self._page.person(request))
        return RedirectResponse(f"/runs/{segment(str(told.get('run', '')))}/why/{action}", 303)

    async def _chain(self, request: Request) -> dict[str, Any]:
        path = f"/runs/{segment(request.path_params['id'])}/chain"
        return await self._page.mesh.get(path, self._page.person(request))


def query(**asked: Any) -> str:
    """Values as the query of an address, without those that are empty; with none there is no query."""
    kept = {name: value for name, value in asked.items() if value not in ("", None, 0)}
    return f"?{urlencode(kept, errors='replace')}" if kept else ""


#: What the templates put things into words with.
WORDS: dict[str, Any] = {
    "is_short": is_short,
    "besides": besides,
    "facts": facts,
    "plain": plain,
    "sentences": sentences,
    "tones": tones,
    "signs": SIGNS,
    "subject": subject,
    "particulars": particulars,
    "query": query,
}


def _address(request: Request) -> str:
    """Where the run is, for links from its pages."""
    return f"/runs/{segment(request.path_params['id'])}"


def _line(run: plain.Document, now: float) -> dict[str, Any]:
    """One run in the list."""
    state, began = str(run.get("state") or "unknown"), plain.moment(run.get("started"))
    outcome = plain.one_line(run.get("outcome") or state, 40)
    ended = plain.moment(run.get("ended"))
    return {
        "id": plain.one_line(run.get("id") or "", 80),
        "address": f"/runs/{address(str(run.get('id') or ''))}",
        "title": plain.one_line(run.get("request") or "", 180) or "A request without words",
        "outcome": outcome,
        "tone": tones.tone(outcome),
        "caller": plain.one_line(run.get("caller") or "", 80),
        "started": began,
        "is_open": not ended,
        "seconds": max((ended or now) - began, 0.0) if began else 0.0,
    }
