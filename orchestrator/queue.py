"""The review queue over HTTP, for operators: what waits, all of one review, and the decision.

A page carries the review's version as its ETag. A decision that brings it back (`If-Match`), or the hash of what was seen, counts
only if that still stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse

from meshwright.errors import InvalidRequest, Outdated
from meshwright.findings import Risk
from meshwright.inbound.admission import strict_json
from meshwright.inbound.doorman import caller_of
from meshwright.reviews.visible import remarks, visible
from meshwright.reviews.word import STATES, Word

if TYPE_CHECKING:
    from orchestrator.driver import Driver

#: What only the page of one review shows.
_AT_LENGTH = ("evidence", "provenance", "conflict", "edited")


class ReviewQueue:
    """The pages. `live` gives the driver, or says that the process still starts."""

    def __init__(self, live: Callable[[], Driver]) -> None:
        self._live = live

    async def waiting(self, request: Request) -> JSONResponse:
        """What is in the queue, the most pressing first; `?state=` `risk=` `run=` `limit=`."""
        query = request.query_params
        state, risk, run, limit = (
            query.get("state", "open"),
            query.get("risk", ""),
            query.get("run", ""),
            query.get("limit", "500"),
        )
        if state not in (*STATES, "all", "decided"):
            raise InvalidRequest(f"state must be one of {', '.join(STATES)}, decided, or all")
        if risk and risk not in get_args(Risk):
            raise InvalidRequest(f"risk must be one of {', '.join(get_args(Risk))}")
        if (
            not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= 1000)
            or not run.isprintable()
        ):
            raise InvalidRequest("limit must be a number from 1 to 1000, and run the id of one")
        rows = await self._live().reviews.queue(state=state, risk=risk, run=run, limit=int(limit))
        return JSONResponse({"reviews": [_brief(row) for row in rows]})

    async def one(self, request: Request) -> JSONResponse:
        """All that a person must see before they decide."""
        return _page(await self._live().reviews.one(_key(request)))

    async def decide(self, request: Request) -> JSONResponse:
        """Approve, reject or edit; the run goes on at once with what is decided."""
        document = strict_json(await request.body())
        word = Word.read(_matched(document, request.headers.get("if-match", "")))
        return _page(await self._live().decide(_key(request), word, _who(request)))

    async def claim(self, request: Request) -> JSONResponse:
        return _page(await self._live().reviews.claim(_key(request), by=_who(request)))

    async def release(self, request: Request) -> JSONResponse:
        return _page(await self._live().reviews.release(_key(request), by=_who(request)))


def _page(review: Mapping[str, Any]) -> JSONResponse:
    """One review, with its arguments as they will run, nothing in them hidden, and what is odd about them."""
    seen = {"shown": visible(review["arguments"]), "remarks": remarks(review["arguments"])}
    return JSONResponse({**review, **seen}, headers={"etag": f'"{review["version"]}"'})


def _brief(review: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in review.items() if name not in _AT_LENGTH}
    return {**kept, "shown": visible(review["arguments"]), "odd": bool(remarks(review["arguments"]))}


def _matched(document: Any, tag: str) -> Any:
    """The decision with the version that its `If-Match` names. Raises Outdated for a tag that was never ours."""
    if not tag or tag.strip() == "*" or not isinstance(document, dict):
        return document
    version = tag.strip().removeprefix("W/").strip('"')
    if not (version.isascii() and version.isdecimal() and len(version) < 16):
        raise Outdated("the If-Match is not the ETag of a review")
    return {**document, "version": int(version)}


def _key(request: Request) -> str:
    """The id in the path; what cannot be one is found as little as one that is not there."""
    key = str(request.path_params["id"])
    return key if key.isprintable() else ""


def _who(request: Request) -> str:
    return caller_of(request.scope).name
