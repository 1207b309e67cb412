"""The card at its well-known address, right behind any proxy, with an ETag."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshwright.card import etag, stamped, to_json
from meshwright.settings import http_address

if TYPE_CHECKING:
    from a2a.types import AgentCard

PATH = "/.well-known/agent-card.json"
MAX_AGE = 60


def card_routes(card: AgentCard, public_url: str | None) -> list[Route]:
    """The route that serves `card` under `public_url`, or under the address the caller used to get here."""
    # Only told, never compared: replicas start at different times, and the tag knows better.
    since = formatdate(usegmt=True)

    async def serve_card(request: Request) -> Response:
        document = to_json(stamped(card, public_url or base_address(request)))
        tag = etag(document)
        headers = {
            "etag": tag,
            "last-modified": since,
            "cache-control": f"max-age={MAX_AGE}",
            "vary": "host, x-forwarded-proto, x-forwarded-host, x-forwarded-prefix",
        }
        known = [part.strip() for part in request.headers.get("if-none-match", "").split(",")]
        if tag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return JSONResponse(document, headers=headers)

    return [Route(PATH, serve_card)]


def base_address(request: Request) -> str:
    """The address this request was sent to, as its sender wrote it: X-Forwarded-Proto, -Host and -Prefix, else its own.

    Raises HTTPException (400) where that makes no address.
    """
    headers = request.headers
    scheme = _first(headers.get("x-forwarded-proto")) or request.url.scheme
    host = _first(headers.get("x-forwarded-host")) or headers.get("host") or request.url.netloc
    prefix = _first(headers.get("x-forwarded-prefix")) or request.scope.get("root_path", "")
    try:
        return http_address(f"{scheme}://{host}/{prefix.strip('/')}")
    except ValueError:
        raise HTTPException(400, "Host and X-Forwarded-* of this request make no address") from None


def _first(value: str | None) -> str:
    return (value or "").split(",")[0].strip()
