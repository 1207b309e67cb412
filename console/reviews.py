"""The queue of what waits for a person, the page of one review, and the decision.

A decision carries what was seen: the hash of the arguments on the page, and its version. What was shown is what is decided, or
nothing is.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.client import segment
from console.sheet import (
    arguments_of,
    changed,
    draft_of,
    has_words,
    is_holder,
    known,
    may_not,
    sides_of,
)
from meshwright.errors import CallerError, Forbidden, InvalidRequest, NotFound, wire_of
from meshwright.inbound.admission import strict_json
from meshwright.reviews.visible import skeleton
from meshwright.reviews.word import MAX_REASON, Word, effect

if TYPE_CHECKING:
    from console.page import Page

TABS = (("Open", "open"), ("Decided", "decided"))
RISKS = ("high", "medium", "low")
#: Rows of the list, at most.
MOST = 200
_DONE = {
    "approve": "Approved",
    "edit": "Proposed instead",
    "reject": "Rejected",
    "claim": "Claimed",
    "release": "Released",
}


def routes(page: Page) -> list[Route]:
    rooms = Reviews(page)
    return [
        Route("/reviews", rooms.queue),
        Route("/parts/reviews", rooms.queue_part),
        Route("/reviews/{id}", rooms.one),
        Route("/reviews/{id}", rooms.decide, methods=["POST"]),
        Route("/reviews/{id}/{what:str}", rooms.hold, methods=["POST"]),
        Route("/parts/reviews/{id}", rooms.one_part),
    ]


class Reviews:
    """The pages."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def queue(self, request: Request) -> Response:
        """The list, the most pressing first."""
        found = await self._rows(request)
        text, seen = self._page.part(request, "_reviews_list.html", **found)
        return self._page.show(request, "reviews.html", list=text, seen=seen, **found)

    async def queue_part(self, request: Request) -> Response:
        return self._page.live(request, "_reviews_list.html", **await self._rows(request))

    async def _rows(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        state = "decided" if query.get("state") == "decided" else "open"
        risk = query.get("risk", "") if query.get("risk", "") in RISKS else ""
        words, mine = query.get("q", "").strip()[:200], query.get("mine", "") == "1"
        me = self._page.person(request)
        found = await self._page.mesh.get("/reviews", me, state=state, risk=risk, limit=MOST)
        every = [known(row) for row in found.get("reviews", []) if isinstance(row, dict)]
        rows = [row for row in every if has_words(row, words) and (not mine or is_holder(row, me))]
        asked = {
            "state": state if state != "open" else "",
            "risk": risk,
            "q": words,
            "mine": "1" if mine else "",
        }
        return {
            "rows": rows,
            "state": state,
            "risk": risk,
            "q": words,
            "mine": mine,
            "filtered": bool(risk or words or mine),
            "full": len(every) >= MOST,
            "query": urlencode({name: value for name, value in asked.items() if value}),
            "tabs": TABS,
            "me": me,
            "now": time.time(),
        }

    async def one(self, request: Request) -> Response:
        done = request.query_params.get("done", "")
        return await self._show(request, done=done if done in _DONE else "")

    async def one_part(self, request: Request) -> Response:
        """How it stands now, for a page that was opened a while ago."""
        review = await self._review(request)
        shown = request.query_params.get("version", "")
        return self._page.live(request, "_reviews_standing.html", **self._standing(request, review, shown))

    async def decide(self, request: Request) -> Response:
        """Say what the person said, about exactly what they saw. What is wrong with it stands on the page that comes back."""
        form = self._page.form(request)
        decision = form.get("decision", "")
        try:
            word = _word(form)
            tag = {"if-match": f'"{form["version"]}"'} if form.get("version") else {}
            await self._page.mesh.post(_path(request), self._page.person(request), word, tag)
        except NotFound:
            raise
        except CallerError as error:
            return await self._show(request, problem=error, form=form)
        return await self._done(request, decision)

    async def hold(self, request: Request) -> Response:
        """Claim it, or let go of it."""
        what = request.path_params["what"]
        if what not in ("claim", "release"):
            raise NotFound("a review can be claimed and released, and decided")
        try:
            await self._page.mesh.post(f"{_path(request)}/{what}", self._page.person(request), {})
        except NotFound:
            raise
        except CallerError as error:
            return await self._show(request, problem=error)
        return await self._done(request, what)

    async def _done(self, request: Request, what: str) -> Response:
        if self._page.is_part(request):
            return await self._show(request, done=what)
        return RedirectResponse(f"/reviews/{segment(request.path_params['id'])}?done={what}", 303)

    async def _show(
        self,
        request: Request,
        *,
        done: str = "",
        problem: CallerError | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        review, following = await asyncio.gather(self._review(request), self._next(request))
        given = form or {}
        standing = self._standing(request, review, str(review.get("version", "")))
        text, seen = self._page.part(request, "_reviews_standing.html", **standing)
        status = wire_of(problem).status if problem else 200
        return self._page.show(
            request,
            "reviews_one.html",
            status=422 if status == 400 else status,
            **standing,
            standing=text,
            seen=seen,
            arguments=arguments_of(review),
            changed=changed(review),
            sides=sides_of(review),
            following=following,
            done=_DONE.get(done, ""),
            problem=problem,
            refused=isinstance(problem, Forbidden | InvalidRequest),
            tried=given.get("decision", ""),
            given=given,
            draft=given.get("arguments") or draft_of(review),
            max_reason=MAX_REASON,
            # Of its own for each page: htmx puts the new one in before it takes the old one out, and one way is open at a time.
            ways=f"way-{secrets.token_hex(4)}",
        )

    async def _review(self, request: Request) -> dict[str, Any]:
        return await self._page.mesh.get(_path(request), self._page.person(request))

    async def _next(self, request: Request) -> str:
        """The id of the open review that presses most besides this one; empty for none."""
        found = await self._page.mesh.get("/reviews", self._page.person(request), state="open", limit=2)
        ids = [str(row.get("id", "")) for row in found.get("reviews", []) if isinstance(row, dict)]
        return next((each for each in ids if each != request.path_params["id"]), "")

    def _standing(self, request: Request, review: Mapping[str, Any], shown: str) -> dict[str, Any]:
        me, now = self._page.person(request), time.time()
        approvals = [vote for vote in review.get("approvals") or [] if isinstance(vote, dict)]
        claimed = review.get("claimed_by") if (review.get("claimed_until") or 0) > now else ""
        return {
            "review": {**known(review), "id": request.path_params["id"]},
            "me": me,
            "now": now,
            "shown_version": shown,
            "approvals": approvals,
            "claimed_by": claimed,
            "is_mine": bool(claimed) and skeleton(str(claimed)) == skeleton(me),
            "may_not": may_not(review, me, approvals),
            "seen_hash": effect(str(review.get("action", "")), review.get("arguments") or {}),
        }


def _word(form: Mapping[str, str]) -> dict[str, Any]:
    """The decision as the mesh takes it. Raises InvalidRequest for arguments that are no JSON, saying where."""
    word: dict[str, Any] = {name: form.get(name, "") for name in ("decision", "reason", "hash")}
    if word["decision"] == "edit":
        text = form.get("arguments", "")
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidRequest(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
        except RecursionError:
            raise InvalidRequest("the arguments are nested too deep") from None
        word["arguments"] = strict_json(text.encode(errors="replace"))
    Word.read(word)  # what the mesh would refuse is refused here, before it is sent
    return word


def _path(request: Request) -> str:
    return f"/reviews/{segment(request.path_params['id'])}"
