"""The one HTTP client of a process. aiohttp carries it: httpx's own pool was the first bottleneck of the mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

#: Seconds to get a connection. Every other wait is the deadline's business, enforced by `asyncio.timeout`.
CONNECT = 2.0
KEEPALIVE = 30.0
#: Bytes of an answer, all events of a stream together, beyond which nobody reads.
MAX_ANSWER = 16_777_216


def http_client(most: int = MAX_ANSWER) -> httpx.AsyncClient:
    """A client without timeouts of its own but for connecting. Does not follow redirects: a peer is where we said.

    Its answers are fenced at `most` bytes.
    """
    from httpx_aiohttp import HttpxAiohttpClient

    return HttpxAiohttpClient(
        timeout=httpx.Timeout(None, connect=CONNECT),
        limits=httpx.Limits(max_connections=200, keepalive_expiry=KEEPALIVE),
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [fence(most)]},
        follow_redirects=False,
        trust_env=False,
    )


def fence(most: int = MAX_ANSWER) -> Callable[[httpx.Response], Awaitable[None]]:
    """A hook for a client: a compressed answer, and one that goes on after `most` bytes, is an httpx.DecodingError.

    Three kilobytes, compressed twice, can be more than a machine has memory: what nobody asked for is not unpacked.
    """

    async def fenced(response: httpx.Response) -> None:
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity"):
            raise httpx.DecodingError("the answer is compressed", request=response.request)
        response.stream = _Fenced(response, most)

    return fenced


class _Fenced(httpx.AsyncByteStream):
    """The body of a response, up to `most` bytes."""

    def __init__(self, response: httpx.Response, most: int) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._body, self._request, self._most = response.stream, response.request, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._body:
            size += len(chunk)
            if size > self._most:
                why = f"the answer is larger than {self._most} bytes"
                raise httpx.DecodingError(why, request=self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()
