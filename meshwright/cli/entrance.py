"""The mesh as the command line sees it: A2A to ask, plain HTTP to look.

Raw JSON-RPC over httpx, because importing the A2A client costs a second; the protocol is public, and this is
all of it that a client needs. Every failure is a Trouble with a way out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import quote, urlsplit

import typer

from meshwright.cli import keys, topology
from meshwright.cli.answer import Answer, take_event, take_task
from meshwright.cli.console import Missing, NoSuchPage, NotNow, Trouble
from meshwright.cli.home import Home

if TYPE_CHECKING:
    import httpx

UrlOption = Annotated[
    str, typer.Option("--url", help="Where the mesh is; by default the one that runs from --home.")
]

#: Seconds between two looks at a task whose stream was lost.
PAUSE = 0.5
#: Seconds a client waits beyond the deadline it sent: the mesh answers by then, the way home takes a moment.
WAY_HOME = 2.0


class Entrance:
    """One mesh's front door: `async with Entrance(...)`.

    `token` makes a bearer for a name, or is None for a stranger. `audience` is the name of who answers at
    `url`; left out, it is asked for.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[str], str] | None,
        audience: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        pause: float = PAUSE,
    ) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._token = token
        self._audience = audience
        self._pause = pause
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(10, connect=3), transport=transport, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def look(self, path: str, **query: Any) -> dict[str, Any]:
        """GET a page of the mesh as JSON."""
        return await self._page("GET", path, params=query)

    async def tell(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """POST a decision."""
        return await self._page("POST", path, json=document)

    async def ask(
        self, text: str, seconds: float, progress: Callable[[str], None] = lambda line: None
    ) -> Answer:
        """Send a request and follow it until it rests; `progress` gets what the mesh says meanwhile.

        A stream that breaks off loses nothing: the task is looked up until it rests. Before the mesh
        acknowledged the request nothing is sent again, because it may have been heard.
        """
        import httpx

        message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": text}]}
        answer = Answer()
        try:
            async with asyncio.timeout(seconds + WAY_HOME):
                try:
                    await self._stream(message, seconds, answer, progress)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    raise self._absent() from None
                except httpx.TransportError as error:
                    if not answer.task:
                        raise self._unheard(type(error).__name__) from None
                if not (answer.task or answer.rests):
                    raise self._unheard("the stream ended")
                while not answer.rests:
                    with contextlib.suppress(httpx.TransportError, NotNow):  # it may be starting again
                        take_task(answer, await self._call("GetTask", {"id": answer.task}))
                    if not answer.rests:
                        await asyncio.sleep(self._pause)
        except TimeoutError:
            raise Trouble(
                f"no answer within {seconds:g} s: the mesh may go on with it, look at `meshwright runs`, "
                "or give it longer with --deadline"
            ) from None
        return answer

    async def _stream(
        self, message: dict[str, Any], seconds: float, answer: Answer, progress: Callable[[str], None]
    ) -> None:
        params = {
            "message": message,
            "configuration": {"acceptedOutputModes": ["text/plain", "application/json"]},
        }
        body = _rpc("SendStreamingMessage", params)
        headers = {
            **await self._headers(),
            "accept": "text/event-stream",
            "x-mesh-deadline-ms": str(int(seconds * 1000)),
        }
        patience = seconds + WAY_HOME
        async with self._http.stream(
            "POST", self.url + "/", json=body, headers=headers, timeout=patience
        ) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                await response.aread()
                self._result(response)  # an error of the request, as one document
                return
            async for event in _events(response):
                for line in take_event(answer, _unwrapped(self.url, event)):
                    progress(line)

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        response = await self._http.post(
            self.url + "/", json=_rpc(method, params), headers=await self._headers()
        )
        return self._result(response)

    def _result(self, response: httpx.Response) -> dict[str, Any]:
        self._require_welcome(response)
        if response.status_code in (429, 503):
            said = ""
            with contextlib.suppress(Trouble):  # a proxy before it may say so without a document
                said = _reason(_document(self.url, response))
            raise NotNow(f"the mesh refused: {said or f'it answered {response.status_code}'}")
        return _unwrapped(self.url, _document(self.url, response))

    async def _page(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        import httpx

        try:
            response = await self._http.request(
                method, self.url + path, headers=await self._headers(), **request
            )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise self._absent() from None
        except httpx.TransportError as error:
            raise Trouble(
                f"{self.url} does not answer ({type(error).__name__}): see its log, or try again"
            ) from None
        if response.status_code != 403 or self._token is None:  # whom it knows it tells why
            self._require_welcome(response)
        document = _document(self.url, response)
        if response.status_code == 403 and not _reason(document):
            self._require_welcome(response)
        if response.status_code >= 400:
            kind = Missing if response.status_code == 404 else Trouble
            raise kind(f"{_reason(document) or f'{path} answered {response.status_code}'}")
        return document

    async def _headers(self) -> dict[str, str]:
        """The version, and a token made for who answers here; a server that is not one of ours gets none."""
        if self._token and not self._audience:
            response = await self._http.get(self.url + "/livez")
            with contextlib.suppress(ValueError, AttributeError):
                self._audience = str(response.json().get("name", ""))
        token = self._token(self._audience) if self._token and self._audience else ""
        return {"a2a-version": "1.0", **({"authorization": f"Bearer {token}"} if token else {})}

    def _require_welcome(self, response: httpx.Response) -> None:
        if response.status_code in (401, 403):
            raise Trouble(
                f"{self.url} does not let us in ({response.status_code}): "
                "use the --home whose keys it trusts, or have your operator key added to its trust.json"
            )

    def _unheard(self, why: str) -> Trouble:
        return Trouble(
            f"{self.url} broke off before it acknowledged the request ({why}): "
            "look at `meshwright runs` before you ask again"
        )

    def _absent(self) -> Trouble:
        return Trouble(f"no mesh at {self.url}: start one with `meshwright up`")


def entrance(
    home: Path, url: str = "", who: str = keys.OPERATOR, *, transport: httpx.AsyncBaseTransport | None = None
) -> Entrance:
    """The entrance of the mesh at `url`, or of the one that runs from `home`, or at the port it would have.

    We come as `who`; without a key for the customer as the operator, and without one for the operator as a stranger, who
    may still ask where the mesh is open to strangers. The audience is who answers there: the entry's name.
    """
    place = Home.at(home)
    running = None if url else place.running()
    if running and not running.url:
        raise Trouble(
            f"the mesh that runs from {place.path} is without {running.entry}, its entry: start that too, or name another with --url"
        )
    address = running.url if running else url or f"http://{topology.HOST}:{topology.BASE_PORT}"
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise Trouble(f"{address!r} is no address of a mesh: it looks like http://127.0.0.1:8400")
    name = keys.OPERATOR if who == keys.CUSTOMER and not place.key(who).exists() else who
    known = place.key(name).exists() or name != keys.OPERATOR
    token = (lambda audience: keys.bearer(place, name, audience)) if known else None
    return Entrance(address, token, running.entry if running else "", transport)


def segment(name: str) -> str:
    """A name that somebody gave as one part of a path. Raises Missing for what can be none: nothing is called like that."""
    if "/" in name or not name.strip("."):
        raise Missing(
            f"nothing is called {name!r}: `meshwright runs` and `meshwright reviews` list what there is"
        )
    return quote(name, safe="")


def _rpc(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The JSON documents of a server-sent event stream."""
    data: list[str] = []
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            try:
                event = json.loads("\n".join(data))
            except ValueError:
                raise Trouble(
                    f"{response.url} does not speak A2A: it sent an event that is not JSON"
                ) from None
            data = []
            if isinstance(event, dict):
                yield event


def _unwrapped(url: str, envelope: dict[str, Any]) -> dict[str, Any]:
    """The result of a JSON-RPC answer. Raises Trouble with the mesh's own words if it is an error."""
    if "error" in envelope:
        raise Trouble(f"the mesh refused: {_reason(envelope) or 'without a reason'}")
    result = envelope.get("result")
    if not isinstance(result, dict):
        raise Trouble(f"{url} does not speak A2A: an answer without a result")
    return result


def _document(url: str, response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        kind = NoSuchPage if response.status_code == 404 else Trouble
        raise kind(f"{url} is not a mesh: it answered {response.status_code} without a JSON object")
    return document


def _reason(document: dict[str, Any]) -> str:
    """What an error document says, in any of the three shapes that are about."""
    error = document.get("error") or document.get("detail") or document.get("why") or ""
    return str(error.get("message", "")) if isinstance(error, dict) else str(error)
