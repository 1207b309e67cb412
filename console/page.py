"""What every page has in common: who looks at it, how it is rendered, and the parts of it that live on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import words
from console.assets import Assets
from console.client import Mesh
from console.session import Sessions
from console.visits import FORM, VISIT

#: Who everybody is where nobody logs in.
OPERATOR = "operator"
#: The pages, as they stand in the navigation. One that is not there yet is left out.
NAVIGATION = (("Runs", "/runs"), ("Reviews", "/reviews"), ("Mesh", "/mesh"), ("Audit", "/audit"))
THEME = "meshwright_theme"
THEMES = ("light", "dark")
#: A part of a page that a browser has already: it says so with the fingerprint of what it shows.
SEEN = "x-seen"


class Page:
    """Renders pages for the person who asks.

    `mesh` is whom the pages ask. Templates extend `base`, which is the whole page, or for htmx only what is inside it.
    """

    def __init__(
        self,
        mesh: Mesh,
        sessions: Sessions,
        assets: Assets,
        *,
        open_house: bool,
        may_speak: Callable[[str], bool],
    ) -> None:
        self.mesh = mesh
        self.open_house = open_house
        self.may_speak = may_speak
        #: Which pages there are: set once their routes are known.
        self.navigation: list[tuple[str, str]] = []
        self._sessions = sessions
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(words.FILTERS)
        self._templates.globals.update(static=assets.url, place=mesh.where)

    def person(self, request: Request) -> str:
        """Who is logged in; empty for nobody."""
        return OPERATOR if self.open_house else str(request.scope[VISIT].person)

    def form(self, request: Request) -> Mapping[str, str]:
        """The fields of the form that was sent. It is known to be one of ours."""
        return request.scope.get(FORM, {})  # type: ignore[no-any-return]

    def is_part(self, request: Request) -> bool:
        """Whether htmx asks, for what goes inside a page."""
        return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers

    def show(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """A page. Values that a template asks for and does not get are an error, so that none is silently empty."""
        base = "_inside.html" if self.is_part(request) else "base.html"
        more = {"vary": "hx-request, cookie", **(headers or {})}
        return HTMLResponse(self._rendered(request, template, base=base, **context), status, more)

    def live(self, request: Request, template: str, **context: Any) -> Response:
        """A part of a page that is asked for again and again: 204 where the browser shows exactly this already."""
        text = self._rendered(request, template, base="_inside.html", **context)
        mark = fingerprint(text)
        if request.headers.get(SEEN) == mark:
            return Response(status_code=204)
        return HTMLResponse(text, headers={SEEN: mark})

    def part(self, request: Request, template: str, **context: Any) -> tuple[Markup, str]:
        """The same part for the page it first stands in: its markup, and the fingerprint for `data-seen`."""
        text = self._rendered(request, template, base="_inside.html", **context)
        return Markup(text), fingerprint(text)

    def _rendered(self, request: Request, template: str, **context: Any) -> str:
        theme = request.cookies.get(THEME, "")
        about = {
            "person": self.person(request),
            "open_house": self.open_house,
            "csrf": self._sessions.token(request.scope[VISIT]),
            "navigation": self.navigation,
            "here": request.url.path,
            "theme": theme if theme in THEMES else "",
        }
        return self._templates.get_template(template).render({**about, **context})

    async def theme(self, request: Request) -> Response:
        """Light, dark, or as the system has it; a browser with JavaScript does not need to ask."""
        chosen = self.form(request).get("theme", "")
        answer = RedirectResponse(inside(self.form(request).get("to", "/")), 303)
        answer.set_cookie(THEME, chosen if chosen in THEMES else "", max_age=31_536_000, samesite="lax")
        return answer


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def inside(to: str) -> str:
    """A place in this console, whatever a link said: never another site."""
    plain = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and "\\" not in to
    return to if plain and len(to) < 2_000 and not to.startswith(("/login", "/logout")) else "/"
