"""A client whose answers have an end, for a library that reads whatever comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx

#: What is packed may be of any size once it is unpacked.
_PLAIN = {"accept-encoding": "identity"}


def capped(http: httpx.AsyncClient, most: int, refusal: Callable[[str], Exception]) -> httpx.AsyncClient:
    """A client over `http` that raises `refusal` of the reason where an answer has more than `most` bytes, or is packed."""
    return httpx.AsyncClient(
        transport=_Capped(http, most, refusal), timeout=http.timeout, headers=_PLAIN, trust_env=False
    )


class _Capped(httpx.AsyncBaseTransport):
    def __init__(self, http: httpx.AsyncClient, most: int, refusal: Callable[[str], Exception]) -> None:
        self._http, self._most, self._refusal = http, most, refusal

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._http.send(request, stream=True)
        if answer.headers.get("content-encoding", "identity") != "identity":
            await answer.aclose()
            raise self._refusal("its answer is packed, which it was not asked for")
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        stream = _Stream(answer.stream, self._most, self._refusal)
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=stream, extensions=answer.extensions
        )


class _Stream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, most: int, refusal: Callable[[str], Exception]) -> None:
        self._stream, self._most, self._refusal = stream, most, refusal

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > self._most:
                raise self._refusal(f"its answer is larger than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
