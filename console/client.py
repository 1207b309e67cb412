"""What the console asks the mesh, always as the person who is logged in; failures are the mesh's own errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from meshwright.errors import (
    WIRE,
    CallerError,
    Forbidden,
    InvalidRequest,
    MeshError,
    NotFound,
    Outdated,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerTimedOut,
    PeerUnreachable,
    Unauthenticated,
)

if TYPE_CHECKING:
    import httpx

    from meshwright.inbound.identity import Identity

#: Seconds for one answer; bytes of one, at most.
PATIENCE, MAX_ANSWER = 10.0, 32 * 1024 * 1024
#: What a refusal's reason means, and its status where the document does not say.
_BY_REASON = {wire.code: kind for kind, wire in WIRE.items() if issubclass(kind, CallerError)}
_BY_STATUS: dict[int, type[MeshError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Outdated,
}


class Mesh:
    """The orchestrator at `url`, asked over `http`. What it is called is learnt from it, once."""

    def __init__(self, url: str, http: httpx.AsyncClient, identity: Identity) -> None:
        self.url = url
        self._http = http
        self._identity = identity
        self._name = ""

    @property
    def where(self) -> str:
        """Its address without user and password, for people."""
        address = urlsplit(self.url)
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"

    async def get(self, path: str, person: str, **query: Any) -> dict[str, Any]:
        """The JSON object at `path`, as `person` may see it; empty values of the query are left out. Raises MeshError."""
        asked = {name: value for name, value in query.items() if value not in ("", None)}
        return await self._ask("GET", path, person, params=asked)

    async def post(
        self,
        path: str,
        person: str,
        document: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a JSON object as `person`. Raises MeshError."""
        return await self._ask("POST", path, person, json=dict(document), headers=headers)

    async def _ask(
        self, method: str, path: str, person: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> dict[str, Any]:
        import httpx

        try:
            async with asyncio.timeout(PATIENCE):
                name = await self._audience()
                known = self._identity.authorization(name, person=person) if name else {}
                response = await self._http.request(
                    method, self.url + path, headers={**(headers or {}), **known}, **request
                )
                return _document(response.status_code, response.content, path)
        except TimeoutError:
            raise PeerTimedOut("the orchestrator", f"no answer within {PATIENCE:.0f} s") from None
        except httpx.TransportError as error:
            self._name = ""  # another one may be there when it comes back
            raise PeerUnreachable("the orchestrator", f"nobody answers ({type(error).__name__})") from None
        except httpx.DecodingError as error:
            raise PeerAnsweredBadly("the orchestrator", f"{error}, and cannot be shown") from None
        except httpx.InvalidURL:
            raise NotFound("there is no such thing") from None

    async def _audience(self) -> str:
        if not self._name:
            response = await self._http.get(self.url + "/livez")
            try:
                name = response.json()["name"]
            except (ValueError, KeyError, TypeError):
                raise PeerAnsweredBadly("the orchestrator", "what answers there is no mesh") from None
            self._name = name if isinstance(name, str) and len(name) < 100 else ""
        return self._name


def segment(text: str) -> str:
    """A name as one part of a path. Raises NotFound for nothing but dots: that is a way through the tree, however it is written."""
    if not text.strip("."):
        raise NotFound("nothing is called like that")
    return quote(text, safe="")


def _document(status: int, body: bytes, path: str) -> dict[str, Any]:
    """The answer's JSON object. Raises what it says went wrong."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if status >= 400:
        raise _error(status, found)
    if not isinstance(found, dict):
        raise PeerAnsweredBadly("the orchestrator", f"{path} is no JSON object")
    return found


def _error(status: int, document: Any) -> MeshError:
    error = document.get("error") if isinstance(document, dict) else None
    told = error if isinstance(error, dict) else {}
    why = str(told.get("message") or f"it answered {status}")[:2_000]
    if status in (429, 503):
        return PeerOverloaded("the orchestrator", why.removeprefix("orchestrator: "))
    kind = _BY_REASON.get(str(told.get("reason"))) or _BY_STATUS.get(status)
    return kind(why) if kind else PeerAnsweredBadly("the orchestrator", why)
