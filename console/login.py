"""Coming in and going out. A wrong password costs time, per name and address; a right one gets a visit of its own."""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.page import Page, inside
from console.people import People, Slowness
from console.session import Sessions, Visit
from console.visits import VISIT

_WRONG = "That name and password do not belong together."


class Login:
    """The pages. `may_speak` says whether the mesh lets this console come as a person."""

    def __init__(
        self, page: Page, people: People, sessions: Sessions, slowness: Slowness | None = None
    ) -> None:
        self._page = page
        self._people = people
        self._sessions = sessions
        self._slowness = slowness or Slowness()

    def routes(self) -> list[Route]:
        return [
            Route("/login", self.form),
            Route("/login", self.enter, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        to = inside(request.query_params.get("to", ""))
        if self._page.person(request):
            return RedirectResponse(to, 303)
        return self._page.show(request, "login.html", to=to)

    async def enter(self, request: Request) -> Response:
        form = self._page.form(request)
        name, to = form.get("name", "").strip(), inside(form.get("to", ""))
        address = request.client.host if request.client else ""
        wait = self._slowness.wait(name, address)
        if wait:
            why = f"Too many wrong passwords: try again in {math.ceil(wait)} s."
            headers = {"retry-after": str(math.ceil(wait))}
            return self._page.show(
                request, "login.html", status=429, headers=headers, to=to, name=name, why=why
            )
        # Counted before it is checked, so that many at once do not all get the first try.
        self._slowness.wrong(name, address)
        if not await self._people.check(name, form.get("password", "")):
            return self._page.show(request, "login.html", status=401, to=to, name=name, why=_WRONG)
        self._slowness.right(name, address)
        if not self._page.may_speak(name):
            return self._page.show(request, "login.html", status=403, to=to, name=name, unknown=True)
        request.scope[VISIT] = self._sessions.begin(name)
        return RedirectResponse(to, 303)

    async def leave(self, request: Request) -> Response:
        visit: Visit = request.scope[VISIT]
        self._sessions.end(visit)
        request.scope[VISIT] = self._sessions.begin("")
        return RedirectResponse("/login", 303)
