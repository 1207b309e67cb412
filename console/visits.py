"""Before any page: who it is, a form that is small and was made by us, and the way to the login for whoever is nobody yet."""

from __future__ import annotations

import asyncio
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from console.session import COOKIE, Sessions, Visit
from meshwright.inbound.headers import headers_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Where the scope of a request has its visit, and the fields of its form.
VISIT, FORM = "console.visit", "console.form"
#: Bytes and fields of a form, and seconds for it to come in.
MAX_FORM, MAX_FIELDS, FORM_SECONDS = 128 * 1024, 50, 10.0
FIELD, HEADER = "csrf", "x-csrf"
#: Found without logging in.
OPEN = ("/livez", "/readyz", "/login", "/static/", "/theme")
_SAFE = ("GET", "HEAD", "OPTIONS")


class Visits:
    """ASGI middleware: puts the visit and the form into the scope. `open_house` is for loopback without users: nobody logs in."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions, open_house: bool) -> None:
        self._app = app
        self._sessions = sessions
        self._open_house = open_house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        visit = scope[VISIT] = self._sessions.read(_cookie(scope))

        async def answered(message: Message) -> None:
            # The visit may have changed meanwhile: by a login, or a logout.
            now: Visit = scope[VISIT]
            if (
                message["type"] == "http.response.start"
                and now.fresh
                and not scope["path"].startswith("/static/")
            ):
                MutableHeaders(scope=message).append("set-cookie", self._sessions.header(now))
            await send(message)

        refusal = await self._refused(scope, receive, visit)
        return await (refusal or self._app)(scope, receive, answered)

    async def _refused(self, scope: Scope, receive: Receive, visit: Visit) -> Response | None:
        headers = headers_of(scope)
        if scope["method"] not in _SAFE:
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return PlainTextResponse("another site sent this form: nothing was done", 403)
            body = await _body(receive, headers)
            if isinstance(body, Response):
                return body
            scope[FORM] = _fields(body)
            if not self._sessions.is_token(visit, headers.get(HEADER) or scope[FORM].get(FIELD, "")):
                return _again(scope, headers)
        known = self._open_house or visit.person or scope["path"].startswith(OPEN)
        return None if known else _to_login(scope, headers)


def _to_login(scope: Scope, headers: dict[str, str]) -> Response:
    """To the login, and from there back to where they wanted to go, if that was a page."""
    came = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    if "hx-request" in headers:  # a part of a page: the page itself comes back
        current = "/" + headers.get("hx-current-url", "").partition("://")[2].partition("/")[2]
        return Response(status_code=401, headers={"hx-redirect": f"/login?to={quote(current, safe='')}"})
    to = came if scope["method"] in _SAFE else "/"
    return RedirectResponse(f"/login?to={quote(to, safe='')}", 303)


def _again(scope: Scope, headers: dict[str, str]) -> Response:
    """A form without its token: mostly one that was open while the login ran out."""
    if "hx-request" in headers:
        return Response(status_code=403, headers={"hx-refresh": "true"})
    why = "This form was made before you logged in, or by somebody else. Nothing was done: go back, load the page again, and repeat it."
    return PlainTextResponse(why, 403)


async def _body(receive: Receive, headers: dict[str, str]) -> bytes | Response:
    if headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return PlainTextResponse("a form is sent as application/x-www-form-urlencoded", 415)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(FORM_SECONDS):
            while True:
                message = await receive()
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > MAX_FORM:
                    return PlainTextResponse(
                        f"a form has at most {MAX_FORM} bytes", 413, {"connection": "close"}
                    )
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        return PlainTextResponse("the form did not arrive in time", 408, {"connection": "close"})


def _fields(body: bytes) -> dict[str, str]:
    """The fields of a form, the first of each name; none of a form that cannot be read."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _cookie(scope: Scope) -> str | None:
    try:
        found = SimpleCookie(headers_of(scope).get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None
