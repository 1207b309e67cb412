"""From settings to a listening process: what every `__main__` calls.

from meshwright import serve

if __name__ == "__main__":
    serve("billing", "billing.agent:AGENT")

The agent is named, not imported: the port is open, and the card served, before its code and the A2A server are read.
"""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from meshwright.records.logs import log_to_stderr
from meshwright.settings import Settings, SettingsError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from meshwright.isolation.cradle import Cradle
    from meshwright.records.telemetry import Telemetry

#: Seconds that connections have after the grace of their work, before they are cut.
FAREWELL = 2
#: What a process stands on, and the extra that brings it.
EXTRAS = {
    "a2a": "agent",
    "mcp": "tool",
    "langgraph": "orchestrator",
    "cedarpy": "orchestrator",
    "jinja2": "console",
}
#: Connections that may wait for the loop to take them; they come while it is not there yet, too.
BACKLOG = 2048


def serve(name: str, agent: str) -> None:
    """Serve the Agent at `agent` (as `module:NAME`) until SIGTERM. Exits with one line on a wrong setting."""

    cradle: Cradle | None = None

    def fork(settings: Settings) -> None:
        nonlocal cradle
        if settings.isolation != "task":
            from meshwright.isolation.cradle import Cradle

            cradle = Cradle(name, lambda: _named(agent), settings)

    def build(settings: Settings) -> Starlette:
        from meshwright.agent import Agent
        from meshwright.inbound.identity import load_identity
        from meshwright.inbound.server import agent_app

        found = _named(agent)
        if not isinstance(found, Agent):
            raise SettingsError(f"{agent} must be an Agent; it is: {type(found).__name__}")
        _require_name(found.name, name, agent)
        kept = found if cradle is None else cradle.isolated(found)
        return agent_app(kept, settings, load_identity(name, settings))

    run(name, build, fork=fork)


def serve_tools(name: str, build: str) -> None:
    """Serve the ToolServer that `build` (as `module:function`, given the settings) makes, until SIGTERM.

    Exits with one line on a wrong setting.
    """

    def app(settings: Settings) -> Starlette:
        from meshwright.inbound.identity import load_identity
        from meshwright.inbound.toolapp import tool_app

        server = _named(build)(settings)
        _require_name(server.name, name, build)
        return tool_app(server, settings, load_identity(name, settings, open_to_strangers=False))

    run(name, app, card=False)


def run(
    name: str,
    build: Callable[[Settings], Starlette],
    *,
    card: bool = True,
    fork: Callable[[Settings], None] | None = None,
) -> None:
    """Read the environment, open the port, build the app, serve it. The only place that touches `os.environ`.

    `card` says whether there is one by this name; `fork` may fork.
    """
    # Read by a2a-sdk at import: its 55 spans a call cost a third of the CPU and say nothing that ours do not.
    os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
    # httpx imports rich and pygments for its command line, wherever they are installed: a tenth of a second.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    gc.disable()  # nothing that imports make is garbage; it is turned on again when they are done
    try:
        settings = Settings.from_env(os.environ)
        log_to_stderr(name, settings.log_level, settings.log_format)
        # What is to be forked is forked here: from the next line on there are a socket, a loop and threads.
        if fork is not None:
            fork(settings)
        listener = _listener(settings)
        _serve(name, build, settings, listener, card=card)
    except SettingsError as error:
        _stop(name, str(error))
    except FileNotFoundError as error:
        _stop(name, f"{error.filename or error}: no such file")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise  # the agent's own affair: it wants to see where
        _stop(name, f"{error.name} is not installed: pip install 'meshwright[{extra}]'")


def _serve(
    name: str,
    build: Callable[[Settings], Starlette],
    settings: Settings,
    listener: socket.socket,
    *,
    card: bool,
) -> None:
    """Serve until SIGTERM. Raises what kept the app from starting."""
    import uvicorn

    from meshwright.card import card_of, offered
    from meshwright.inbound.connection import Connection
    from meshwright.inbound.front import Front
    from meshwright.inbound.listener import Listener
    from meshwright.isolation.watchdog import watched

    telemetry: Telemetry | None = None

    def made() -> Starlette:
        nonlocal telemetry
        if exports(os.environ):
            from meshwright.records.telemetry import Telemetry

            telemetry = Telemetry.from_env(name, os.environ)
            telemetry.start()
        return build(settings)

    def told() -> None:
        if front.app is None:
            server.leave()
        elif telemetry is not None:
            readiness = front.app.state.readiness
            readiness.metrics.append(telemetry.samples)
            telemetry.measure(readiness.sources)
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        gc.enable()

    def left() -> None:
        if telemetry is not None:
            telemetry.stop()

    described = offered(card_of(name), settings.grpc_port) if card else None
    front = Front(name, described, settings.public_url, made, told, left)
    config = uvicorn.Config(
        watched(front, settings.watchdog),
        http=Connection,
        ws="none",
        access_log=False,
        log_config=None,
        log_level=settings.log_level.lower(),
        backlog=BACKLOG,
        timeout_keep_alive=75,  # longer than any client of ours keeps a connection, so that it is the client who closes
        timeout_graceful_shutdown=int(settings.grace) + FAREWELL,
        proxy_headers=False,  # X-Forwarded-* is read where the card is made, nowhere else
        server_header=False,
    )
    server = Listener(config)
    leaving = server.handle_exit

    def handle_exit(sig: int, frame: FrameType | None) -> None:
        # uvicorn waits for open requests first, and they for their work: whoever works has to hear it before that.
        if not server.should_exit:
            front.drain()
        # One that still starts has nothing to hand over, and may wait for another's upgrade of the schema.
        server.force_exit = server.force_exit or front.app is None
        leaving(sig, frame)

    server.handle_exit = handle_exit  # type: ignore[method-assign]
    with suppress(KeyboardInterrupt):  # it has stopped, and only tells of the signal once more
        server.run(sockets=[listener])
    if front.failure is not None:
        raise front.failure


def exports(environ: Mapping[str, str]) -> bool:
    """Whether this process exports traces: OTEL_* are the one way to say so, and mean what they mean everywhere."""
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return environ.get("OTEL_SDK_DISABLED", "").lower() != "true" and any(map(environ.get, endpoints))


def _listener(settings: Settings) -> socket.socket:
    """The open port. Raises SettingsError if it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
        way_out = (
            "MESHWRIGHT_PORT to a free port" if taken else "MESHWRIGHT_HOST to an address of this machine"
        )
        raise SettingsError(f"cannot listen on {settings.host}:{settings.port}: set {way_out}") from None


def _named(where: str) -> Any:
    module, _, attribute = where.partition(":")
    found = import_module(module)
    if not hasattr(found, attribute):
        raise SettingsError(f"{module} has no {attribute or 'name'!r}: serve what is there, as module:NAME")
    return getattr(found, attribute)


def _require_name(found: str, name: str, where: str) -> None:
    if found != name:
        raise SettingsError(f"{where} is called {found!r}, and served as {name!r}: one of the two is wrong")


def _stop(name: str, why: str) -> NoReturn:
    print(f"{name}: {why}", file=sys.stderr)
    raise SystemExit(2)
