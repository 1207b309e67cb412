"""What a caller says to a peer, and what comes back, as A2A's JSON: over JSON-RPC by our own hand, else by the SDK's client (`sdkwire`).

Nearly all peers speak JSON-RPC 1.0, and there the SDK's client costs more than the call: it makes messages of the JSON, an
envelope of the messages, and JSON of both again. What this file yields is the JSON of A2A's StreamResponse, unread: `Seen` reads it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from meshwright.card import serves
from meshwright.doubles import finite, whole
from meshwright.errors import MeshError, PeerAnsweredBadly, PeerRefused, PeerUnreachable
from meshwright.outbound.lost import broken, by_status, refused

if TYPE_CHECKING:
    from a2a.types import AgentCard

Json = dict[str, Any]

#: Levels of JSON in one answer. What is nested deeper could not be told on: protobuf reads back 100, and has up to three for each.
DEEPEST = 32
VERSION = {"a2a-version": "1.0"}
#: We know what we said: it need not come back.
QUIET: Json = {"historyLength": 0}
#: Of a peer that does not stream, so that its task is known, and can be cancelled, before it ends.
AT_ONCE: Json = {**QUIET, "returnImmediately": True}
#: Codes of A2A 1.0, section 9.5, that mean more than "the request is off".
_UNKNOWN_TASK, _NOT_CANCELABLE, _UNSUPPORTED, _INTERNAL = -32001, -32002, -32004, -32603
_LINE = re.compile(rb"\r\n|\n|\r(?!$)")


class Wire(Protocol):
    """The operations. A peer that does not stream shows a task as soon as it has one, and its caller looks again.

    All raise PeerRefused, PeerUnreachable, PeerOverloaded, PeerAnsweredBadly or Unauthenticated."""

    #: Whether the peer streams.
    streams: bool

    def send(self, message: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        """The events of the task that `message` begins or goes on with."""
        ...

    def subscribe(self, task_id: str, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        """The events of a task from now on, the task itself first."""
        ...

    async def get(self, task_id: str, headers: Mapping[str, str]) -> Json:
        """The task."""
        ...

    async def cancel(self, task_id: str, headers: Mapping[str, str]) -> None:
        """A task that has ended, or that the peer does not know, is as good as cancelled."""
        ...


def wire_to(peer: str, card: AgentCard, http: httpx.AsyncClient) -> Wire:
    """The cheapest way that `card` offers."""
    if serves(card, "JSONRPC", "1.0"):
        url = next(interface.url for interface in card.supported_interfaces if _plain(interface))
        return JsonRpc(peer, url, http, streams=card.capabilities.streaming)
    from meshwright.outbound.sdkwire import Sdk

    return Sdk(peer, card, http)


def _plain(interface: Any) -> bool:
    return bool(interface.protocol_binding == "JSONRPC" and interface.protocol_version == "1.0")


class JsonRpc:
    """A2A 1.0 over JSON-RPC."""

    def __init__(self, peer: str, url: str, http: httpx.AsyncClient, *, streams: bool) -> None:
        self.streams = streams
        self._peer, self._url, self._http = peer, url, http
        self._ids = itertools.count(1)

    def send(self, message: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        if not self.streams:
            return self._first("SendMessage", {"message": message, "configuration": AT_ONCE}, headers)
        return self._stream("SendStreamingMessage", {"message": message, "configuration": QUIET}, headers)

    def subscribe(self, task_id: str, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        return self._stream("SubscribeToTask", {"id": task_id}, headers)

    async def get(self, task_id: str, headers: Mapping[str, str]) -> Json:
        return await self._call("GetTask", {"id": task_id}, headers)

    async def cancel(self, task_id: str, headers: Mapping[str, str]) -> None:
        try:
            await self._call("CancelTask", {"id": task_id}, headers)
        except PeerRefused as refusal:
            if not (refusal.unknown_task or refusal.over):
                raise

    async def _call(self, method: str, params: Json, headers: Mapping[str, str]) -> Json:
        async with self._asked(method, params, headers) as response:
            body = await response.aread()
        return self._result(body)

    async def _first(self, method: str, params: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        yield await self._call(method, params, headers)

    async def _stream(self, method: str, params: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        async with self._asked(method, params, headers) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                body = await response.aread()
                yield self._result(body)
                return
            async for data in events(response.aiter_bytes()):
                yield self._result(data)

    @asynccontextmanager
    async def _asked(
        self, method: str, params: Json, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        call = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            async with self._http.stream(
                "POST", self._url, json=call, headers={**VERSION, **headers}
            ) as response:
                if response.status_code != 200:
                    raise by_status(self._peer, response.status_code, response.headers)
                yield response
        except httpx.RequestError as error:
            raise broken(self._peer, error) from None

    def _result(self, body: bytes) -> Json:
        """What one JSON-RPC response holds. Raises what its error means."""
        try:
            answer = told(body)
        except (ValueError, RecursionError):
            raise PeerAnsweredBadly(self._peer, "its answer is not JSON that could be told on") from None
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            raise self._refused(error)
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise PeerAnsweredBadly(self._peer, "its answer is no JSON-RPC response with an object in it")
        return result

    def _refused(self, error: Json) -> MeshError:
        code = error.get("code")
        if code == _INTERNAL:
            return PeerUnreachable(self._peer, "reported an internal error")
        why = str(error.get("message", "")) or f"answered with error {code}"
        refusal = refused(self._peer, why, _reason_in(error.get("data")))
        if isinstance(refusal, PeerRefused):
            refusal.unknown_task = code == _UNKNOWN_TASK
            refusal.over = code in (_UNSUPPORTED, _NOT_CANCELABLE)
        return refusal


def told(body: bytes) -> Any:
    """JSON that can be told on. Raises ValueError, or RecursionError: also for what is no UTF-8, half a surrogate pair, a number that
    JSON does not know, and what is nested too deep."""
    answer = _TOLD.decode(body.decode("utf-8-sig"))
    if b"\\ud" in body or b"\\uD" in body:
        json.dumps(answer, ensure_ascii=False).encode()
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        level = [answer]
        for _ in range(DEEPEST):
            level = [inner for each in level for inner in _inside(each)]
        if level:
            raise ValueError("nested too deep")
    return answer


_TOLD = json.JSONDecoder(parse_constant=finite, parse_float=finite, parse_int=whole)


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _reason_in(details: Any) -> Any:
    """The extension's code among the details of an error (google.rpc.ErrorInfo, A2A 1.0, 9.5); None where there is none."""
    for detail in details if isinstance(details, list) else ():
        metadata = detail.get("metadata") if isinstance(detail, dict) else None
        if isinstance(metadata, dict) and "code" in metadata:
            return metadata["code"]
    return None


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each event in a stream of server-sent events (WHATWG HTML, 9.2). Names, ids and comments say nothing here."""
    # the pieces of a line: to look through it again with each of them costs their number, squared
    begun, data, cut = list[bytes](), list[bytes](), b""
    async for chunk in chunks:
        *lines, rest = _LINE.split(cut + chunk)
        cut = rest[-1:] if rest.endswith(b"\r") else b""  # a newline may follow
        if lines:
            lines[0], begun = b"".join([*begun, lines[0]]), []
        begun.append(rest.removesuffix(b"\r"))
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []
