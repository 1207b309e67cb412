"""What a caller says to a peer, and what comes back, as A2A's JSON: over JSON-RPC by our own hand, over HTTP+JSON by the SDK's client.

Nearly all peers speak JSON-RPC 1.0, and there the SDK's client costs more than the call: it makes messages of the JSON, an
envelope of the messages, and JSON of both again. What this file yields is the JSON of A2A's StreamResponse, unread: `Seen` reads it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from meshwright.card import serves
from meshwright.errors import MeshError, PeerAnsweredBadly, PeerRefused, PeerTimedOut, PeerUnreachable
from meshwright.outbound.lost import by_status, translated

if TYPE_CHECKING:
    from a2a.client import Client
    from a2a.types import AgentCard

Json = dict[str, Any]

#: Bytes that one answer may have, all its events together.
MAX_ANSWER = 16_777_216
VERSION = {"a2a-version": "1.0"}
#: We know what we said: it need not come back.
QUIET: Json = {"configuration": {"historyLength": 0}}
#: Codes of A2A 1.0, section 9.5, that mean more than "the request is off".
_UNKNOWN_TASK, _NOT_CANCELABLE, _UNSUPPORTED, _INTERNAL = -32001, -32002, -32004, -32603
_LINE = re.compile(rb"\r\n|\n|\r(?!$)")


class Wire(Protocol):
    """The operations. All raise PeerRefused, PeerUnreachable, PeerOverloaded, PeerAnsweredBadly or PeerTimedOut."""

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
    if serves(card, "JSONRPC", "1.0") and card.capabilities.streaming:
        return JsonRpc(peer, next(i.url for i in card.supported_interfaces if _plain(i)), http)
    return Sdk(peer, card, http)


def _plain(interface: Any) -> bool:
    return bool(interface.protocol_binding == "JSONRPC" and interface.protocol_version == "1.0")


class JsonRpc:
    """A2A 1.0 over JSON-RPC, to a peer that streams."""

    def __init__(self, peer: str, url: str, http: httpx.AsyncClient) -> None:
        self._peer, self._url, self._http = peer, url, http
        self._ids = itertools.count(1)

    def send(self, message: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        return self._stream("SendStreamingMessage", {"message": message, **QUIET}, headers)

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
            body = b"".join([chunk async for chunk in self._bytes(response)])
        return self._result(body)

    async def _stream(self, method: str, params: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        async with self._asked(method, params, headers) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                body = b"".join([chunk async for chunk in self._bytes(response)])
                yield self._result(body)
                return
            async for data in events(self._bytes(response)):
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
        except httpx.TimeoutException:
            raise PeerTimedOut(self._peer, "no connection in time") from None
        except httpx.RequestError as error:
            raise PeerUnreachable(self._peer, f"cannot be reached ({type(error).__name__})") from None

    async def _bytes(self, response: httpx.Response) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > MAX_ANSWER:
                raise PeerAnsweredBadly(self._peer, f"its answer is larger than {MAX_ANSWER} bytes")
            yield chunk

    def _result(self, body: bytes) -> Json:
        """What one JSON-RPC response holds. Raises what its error means."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise PeerAnsweredBadly(self._peer, "its answer is not JSON") from None
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            raise self._refused(error.get("code"), str(error.get("message", ""))[:300])
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise PeerAnsweredBadly(self._peer, "its answer is no JSON-RPC response with an object in it")
        return result

    def _refused(self, code: Any, message: str) -> MeshError:
        if code == _INTERNAL:
            return PeerUnreachable(self._peer, "reported an internal error")
        refusal = PeerRefused(self._peer, message or f"answered with error {code}")
        refusal.unknown_task = code == _UNKNOWN_TASK
        refusal.over = code in (_UNSUPPORTED, _NOT_CANCELABLE)
        return refusal


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each event in a stream of server-sent events (WHATWG HTML, 9.2). Names, ids and comments say nothing here."""
    rest, data = b"", list[bytes]()
    async for chunk in chunks:
        *lines, rest = _LINE.split(rest + chunk)
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []


class Sdk:
    """A2A by the SDK's client: other bindings, and peers that do not stream."""

    def __init__(self, peer: str, card: AgentCard, http: httpx.AsyncClient) -> None:
        self._peer, self._card, self._http = peer, card, http
        self._connected: Client | None = None

    async def send(self, message: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        from a2a.types import SendMessageRequest
        from google.protobuf.json_format import ParseDict

        request = ParseDict({"message": message, **QUIET}, SendMessageRequest())
        async for event in self._stream(self._client().send_message, request, headers):
            yield event

    async def subscribe(self, task_id: str, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        from a2a.types import SubscribeToTaskRequest

        request = SubscribeToTaskRequest(id=task_id)
        async for event in self._stream(self._client().subscribe, request, headers):
            yield event

    async def get(self, task_id: str, headers: Mapping[str, str]) -> Json:
        from a2a.types import GetTaskRequest
        from google.protobuf.json_format import MessageToDict

        with self._in_our_words():
            task = await self._client().get_task(GetTaskRequest(id=task_id), context=_context(headers))
        return dict(MessageToDict(task))

    async def cancel(self, task_id: str, headers: Mapping[str, str]) -> None:
        from a2a.types import CancelTaskRequest

        try:
            with self._in_our_words():
                await self._client().cancel_task(CancelTaskRequest(id=task_id), context=_context(headers))
        except PeerRefused as refusal:
            if not (refusal.unknown_task or refusal.over):
                raise

    async def _stream(self, call: Any, request: Any, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        from google.protobuf.json_format import MessageToDict

        with self._in_our_words():
            async for event in call(request, context=_context(headers)):
                yield MessageToDict(event)

    def _client(self) -> Client:
        if self._connected is None:
            from a2a.client import ClientConfig, ClientFactory

            config = ClientConfig(
                streaming=True, httpx_client=self._http, supported_protocol_bindings=["JSONRPC", "HTTP+JSON"]
            )
            self._connected = ClientFactory(config).create(self._card)
        return self._connected

    def _in_our_words(self) -> SdkErrors:
        return SdkErrors(self._peer)


class SdkErrors:
    """Context manager: what the SDK's client raises, as errors of the mesh."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        from a2a.client.errors import A2AClientError, A2AClientTimeoutError
        from a2a.utils.errors import (
            A2AError,
            InternalError,
            TaskNotCancelableError,
            TaskNotFoundError,
            UnsupportedOperationError,
        )

        if isinstance(error, A2AClientTimeoutError):
            raise PeerTimedOut(self._peer, "no connection in time") from None
        if isinstance(error, A2AClientError):
            raise translated(self._peer, error) from None
        if isinstance(error, httpx.RequestError):
            raise PeerUnreachable(self._peer, f"cannot be reached ({type(error).__name__})") from None
        if isinstance(error, InternalError):
            raise PeerUnreachable(self._peer, "reported an internal error") from None
        if isinstance(error, A2AError):
            refusal = PeerRefused(self._peer, str(error)[:300])
            refusal.unknown_task = isinstance(error, TaskNotFoundError)
            refusal.over = isinstance(error, UnsupportedOperationError | TaskNotCancelableError)
            raise refusal from None


def _context(headers: Mapping[str, str]) -> Any:
    from a2a.client import ClientCallContext

    return ClientCallContext(service_parameters=dict(headers))
