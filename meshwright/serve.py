"""From settings to a listening process: what every `__main__` calls.

from meshwright.serve import serve
from billing.agent import AGENT

if __name__ == "__main__":
    serve(AGENT)
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from meshwright.settings import Settings, SettingsError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from meshwright.agent import Agent
    from meshwright.toolserver import ToolServer

#: Seconds that connections have after the grace of their work, before they are cut.
FAREWELL = 2


def serve(agent: Agent) -> None:
    """Serve an agent until SIGTERM. Exits with one line on a wrong setting."""

    def build(settings: Settings) -> ASGIApp:
        from meshwright.isolation.isolated import isolated

        kept = isolated(agent, settings)  # it may fork, so nothing is open yet

        from meshwright.inbound.identity import load_identity
        from meshwright.inbound.server import agent_app

        return agent_app(kept, settings, load_identity(agent.name, settings))

    run(agent.name, build)


def serve_tools(build: Callable[[Settings], ToolServer]) -> None:
    """Serve a tool server until SIGTERM. Exits with one line on a wrong setting."""

    def app(settings: Settings) -> ASGIApp:
        from meshwright.inbound.identity import load_identity
        from meshwright.inbound.toolapp import tool_app

        server = build(settings)
        return tool_app(server, settings, load_identity(server.name, settings, open_to_strangers=False))

    run("tools", app)


def run(name: str, build: Callable[[Settings], ASGIApp]) -> None:
    """Read the environment, build the app, serve it. The only place that touches `os.environ`."""
    # Read by a2a-sdk at import: its 55 spans a call cost a third of the CPU and say nothing that ours do not.
    os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
    gc.disable()  # nothing that imports make is garbage; `_listen` turns it on again
    try:
        settings = Settings.from_env(os.environ)
        logging.basicConfig(level=settings.log_level, format=f"%(asctime)s {name} %(levelname)s %(message)s")
        for chatty in ("httpx", "mcp", "a2a"):
            logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
        app = build(settings)
    except SettingsError as error:
        _stop(name, str(error))
    except FileNotFoundError as error:
        _stop(name, f"{error.filename or error}: no such file")
    _listen(name, app, settings)


def _listen(name: str, app: ASGIApp, settings: Settings) -> None:
    import uvicorn

    from meshwright.isolation.watchdog import watched

    config = uvicorn.Config(
        watched(app, settings.watchdog),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        log_level=settings.log_level.lower(),
        timeout_keep_alive=75,  # longer than any client of ours keeps a connection, so that it is the client who closes
        timeout_graceful_shutdown=int(settings.grace) + FAREWELL,
        proxy_headers=False,  # X-Forwarded-* is read where the card is made, nowhere else
        server_header=False,
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    gc.enable()
    server = uvicorn.Server(config)
    leaving = server.handle_exit

    def handle_exit(sig: int, frame: FrameType | None) -> None:
        # uvicorn waits for open requests first, and they for their work: whoever works has to hear it before that.
        drain = getattr(getattr(app, "state", None), "drain", None)
        if drain is not None and not server.should_exit:
            drain()
        leaving(sig, frame)

    server.handle_exit = handle_exit  # type: ignore[method-assign]
    try:
        server.run()
    except SystemExit:
        if server.lifespan.should_exit:  # the app itself could not start
            refused = getattr(getattr(app, "state", None), "refused", "")
            _stop(name, refused or "it could not start; the log above says why")
        _stop(name, f"cannot listen on {settings.host}:{settings.port}: set MESHWRIGHT_PORT to a free port")


def _stop(name: str, why: str) -> NoReturn:
    print(f"{name}: {why}", file=sys.stderr)
    raise SystemExit(2)
