"""An ASGI app as a real server, on a free loopback port, that stops by itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp


@asynccontextmanager
async def serving(app: ASGIApp, *, lifespan: bool = True) -> AsyncIterator[str]:
    """Serve `app` in this process around the body, which gets its address. Open connections are cut at the end."""
    import uvicorn

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        config = uvicorn.Config(
            app,
            log_level="critical",  # that it cuts open connections is what it is told to do
            lifespan="on" if lifespan else "off",
            timeout_graceful_shutdown=0,
        )
        server = uvicorn.Server(config)
        work = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not (server.started or work.done()):
                await asyncio.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await work
