"""A mesh without a socket: an httpx transport that hands requests to ASGI apps by origin, and streams their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from meshwright.outbound.http import MAX_ANSWER, fence


class InProcess(httpx.AsyncBaseTransport):
    """An httpx transport that hands requests to ASGI apps by origin, streaming their answers as they come.

    `down` holds origins that refuse connections; `hangs` holds origins that take a request and never answer.
    """

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self.apps = dict(apps)
        self.down: set[str] = set()
        self.hangs: set[str] = set()
        self.seen: list[httpx.Request] = []

    def client(self, most: int = MAX_ANSWER) -> httpx.AsyncClient:
        """A client whose every request stays in this process, and whose answers have the limits of any: `most` bytes."""
        return httpx.AsyncClient(
            transport=_Shared(self), timeout=None, event_hooks={"response": [fence(most)]}
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[InProcess]:
        """Run the lifespans of all apps around the body."""
        async with AsyncExitStack() as stack:
            for app in self.apps.values():
                await stack.enter_async_context(lifespan_of(app))
            yield self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        self.seen.append(request)
        if origin in self.down or origin not in self.apps:
            raise httpx.ConnectError(f"nobody listens at {origin}", request=request)
        if origin in self.hangs:
            await asyncio.Event().wait()
        body = await request.aread()
        return await _exchange(self.apps[origin], request, body)


class _Shared(httpx.AsyncBaseTransport):
    """Closing one client must not close the others' transport."""

    def __init__(self, mesh: InProcess) -> None:
        self._mesh = mesh

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._mesh.handle_async_request(request)


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks: asyncio.Queue[bytes | None], work: asyncio.Task[None]) -> None:
        self._chunks = chunks
        self._work = work

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk

    async def aclose(self) -> None:
        if not self._work.done():
            self._work.cancel()
        await asyncio.wait({self._work})


async def _exchange(app: ASGIApp, request: httpx.Request, body: bytes) -> httpx.Response:
    started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
    sent = False
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await gone.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.set_result(message)
        elif message["type"] == "http.response.body":
            if message.get("body"):
                chunks.put_nowait(message["body"])
            if not message.get("more_body", False):
                chunks.put_nowait(None)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(k.lower(), v) for k, v in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }

    async def run() -> None:
        try:
            await app(scope, receive, send)
        finally:
            gone.set()
            chunks.put_nowait(None)
            if not started.done():
                started.set_exception(httpx.RemoteProtocolError("the server closed without an answer"))

    work = asyncio.ensure_future(run())
    try:
        head = await started
    except asyncio.CancelledError:
        work.cancel()
        raise
    return httpx.Response(
        head["status"], headers=head["headers"], stream=_Body(chunks, work), request=request
    )


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[None]:
    """Run an ASGI app's lifespan around the body, in one task, as its protocol wants."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(message: Any) -> None:
        answers.put_nowait(message)

    work = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, send)
    )
    await _phase("startup", inbox, answers)
    try:
        yield
    finally:
        await _phase("shutdown", inbox, answers)
        await work


async def _phase(
    name: str, inbox: asyncio.Queue[dict[str, Any]], answers: asyncio.Queue[dict[str, Any]]
) -> None:
    inbox.put_nowait({"type": f"lifespan.{name}"})
    answer = await answers.get()
    if answer["type"] != f"lifespan.{name}.complete":
        raise RuntimeError(str(answer.get("message", answer)))
