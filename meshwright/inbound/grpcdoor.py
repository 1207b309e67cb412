"""The gRPC binding's port. grpc is an extra of its own, and asked for only when there is a port."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from meshwright.settings import Settings, SettingsError

if TYPE_CHECKING:
    import grpc.aio
    from a2a.server.request_handlers import RequestHandler
    from a2a.types import AgentCard

    from meshwright.inbound.identity import Trust

#: Seconds that calls have to come to their end when the server stops; their work has had its own grace by then.
FAREWELL = 2.0


class GrpcDoor:
    """Serves `handler` over gRPC while `open()` lasts; does nothing when settings name no port for it.

    Raises SettingsError when grpc is not installed or the port is taken: before the process has begun to start.
    """

    def __init__(self, handler: RequestHandler, card: AgentCard, settings: Settings, trust: Trust) -> None:
        self._handler = handler
        self._card = card
        self._settings = settings
        self._trust = trust
        self._server: grpc.aio.Server | None = None
        if settings.grpc_port:
            try:
                import grpc.aio  # noqa: F401
            except ImportError:
                raise SettingsError(
                    "MESHWRIGHT_GRPC_PORT is set, but gRPC is not installed: pip install 'meshwright[grpc]'"
                ) from None
            _require_free(settings.host, settings.grpc_port)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen around the body; then take no more calls, and let those that are open finish."""
        if not self._settings.grpc_port:
            yield
            return
        import grpc.aio
        from a2a.types.a2a_pb2_grpc import add_A2AServiceServicer_to_server

        from meshwright.inbound.grpcservice import GrpcContexts, GrpcService, Reading

        options = (
            ("grpc.max_receive_message_length", self._settings.max_body),
            ("grpc.so_reuseport", 0),  # or a second process would get half of our calls, and nobody an error
        )
        server = grpc.aio.server(interceptors=[Reading()], options=options)
        service = GrpcService(self._handler, GrpcContexts(self._card, self._trust), self._card)
        add_A2AServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        server.add_insecure_port(f"{host}:{self._settings.grpc_port}")
        await server.start()
        self._server = server
        try:
            yield
        finally:
            await self.close(FAREWELL)

    async def close(self, grace: float) -> None:
        """Refuse calls from now on (UNAVAILABLE: the client goes to another replica), and cut open ones after `grace` seconds."""
        if self._server is not None:
            await self._server.stop(grace)


def _require_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        raise SettingsError(
            f"cannot listen on {host}:{port}: set MESHWRIGHT_GRPC_PORT to a free port"
        ) from None
