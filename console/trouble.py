"""What a page shows when it cannot show what was asked for: what is wrong, and the way out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from console.guard import seal
from console.page import Page
from meshwright.errors import (
    CallerError,
    Forbidden,
    MeshError,
    NotFound,
    Overloaded,
    PeerOverloaded,
    Unauthenticated,
    wire_of,
)

Handler = Callable[[Request, Any], Any]


def handlers(page: Page) -> Mapping[Any, Handler]:
    """One answer for each kind of failure, with the navigation still around it."""

    async def failed(request: Request, error: MeshError) -> Response:
        headline, way_out = _in_words(error)
        return page.show(
            request,
            "error.html",
            status=wire_of(error).status,
            headline=headline,
            why=str(error),
            way_out=way_out,
            again=not isinstance(error, CallerError),
            same=_same(request),
        )

    async def refused(request: Request, error: HTTPException) -> Response:
        missing = error.status_code == 404
        return page.show(
            request,
            "error.html",
            status=error.status_code,
            headers=error.headers,
            headline="There is no such page" if missing else "That cannot be done here",
            why="The address may be mistyped, or what it led to is gone." if missing else error.detail,
            way_out="",
            again=False,
            same="/",
        )

    async def broke(request: Request, error: Exception) -> Response:
        answer = page.show(
            request,
            "error.html",
            status=500,
            headline="The console failed at this page",
            why="That is a mistake in the console, not in the mesh. What happened stands in its log.",
            way_out="The command line shows the same: meshwright runs · reviews · agents",
            again=True,
            same=_same(request),
        )
        seal(answer.headers)  # it is made outside the walls that do this for all others
        return answer

    return {MeshError: failed, HTTPException: refused, 500: broke}


def _same(request: Request) -> str:
    """The page that was asked for, as a link; for a form that was sent, the page it is about."""
    query = request.url.query if request.method == "GET" else ""
    return f"{request.url.path}?{query}" if query else request.url.path


def _in_words(error: MeshError) -> tuple[str, str]:
    """A headline, and what to do."""
    if isinstance(error, NotFound):
        return "There is no such thing", "It may have been cleared away, or the address is mistyped."
    if isinstance(error, Forbidden):
        return "You may not do that", ""
    if isinstance(error, Unauthenticated):
        return (
            "The mesh does not know you",
            "Its trust file must name this console as a speaker for you, and you as an operator: meshwright keys, then start it again.",
        )
    if isinstance(error, Overloaded):
        return "Too many at once", ""
    if isinstance(error, PeerOverloaded):
        return "The mesh is busy or still starting", "It will be there in a moment."
    if isinstance(error, CallerError):
        return "That did not work", ""
    return (
        "The mesh does not answer",
        "Is it running? meshwright up starts it, and its log says why it does not.",
    )
