"""What a caller says to a peer, and what comes back, by the SDK's client: in other bindings, and in A2A 0.3.

Its client reads whatever comes, of any size, and tells of what it cannot read in Python's terms.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx

from meshwright.errors import PeerAnsweredBadly, PeerRefused, PeerUnreachable
from meshwright.outbound.lost import broken, refused, translated
from meshwright.outbound.wire import AT_ONCE, QUIET, Json

if TYPE_CHECKING:
    from a2a.client import Client
    from a2a.types import AgentCard

#: What it raises over an answer that it cannot read.
_CONFUSED = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


class Sdk:
    """A2A by the SDK's client: other bindings, and peers that do not stream."""

    def __init__(self, peer: str, card: AgentCard, http: httpx.AsyncClient) -> None:
        self.streams = card.capabilities.streaming
        self._peer, self._card = peer, card
        self._http = http
        self._connected: Client | None = None

    async def send(self, message: Json, headers: Mapping[str, str]) -> AsyncIterator[Json]:
        from a2a.types import SendMessageRequest
        from google.protobuf.json_format import ParseDict

        how = QUIET if self.streams else AT_ONCE
        request = ParseDict({"message": message, "configuration": how}, SendMessageRequest())
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
        from a2a.client.errors import A2AClientError
        from a2a.utils.errors import (
            A2AError,
            InternalError,
            TaskNotCancelableError,
            TaskNotFoundError,
            UnsupportedOperationError,
        )
        from google.protobuf.json_format import Error as NotJson

        if isinstance(error, A2AClientError):
            raise translated(self._peer, error) from None
        if isinstance(error, (NotJson, *_CONFUSED)):
            raise PeerAnsweredBadly(self._peer, "not an A2A answer") from None
        if isinstance(error, httpx.RequestError):
            raise broken(self._peer, error) from None
        if isinstance(error, InternalError):
            raise PeerUnreachable(self._peer, "reported an internal error") from None
        if isinstance(error, A2AError):
            refusal = refused(self._peer, str(error), (error.data or {}).get("code"))
            if isinstance(refusal, PeerRefused):
                refusal.unknown_task = isinstance(error, TaskNotFoundError)
                refusal.over = isinstance(error, UnsupportedOperationError | TaskNotCancelableError)
            raise refusal from None


def _context(headers: Mapping[str, str]) -> Any:
    from a2a.client import ClientCallContext

    return ClientCallContext(service_parameters=dict(headers))
