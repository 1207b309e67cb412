"""What each process of a mesh finds around it: its port, and an environment with what it needs and no more.

A tool server has no use for the key of a model, and an agent none for the shop's file; what is not there
cannot leak.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from meshwright.cli.console import Trouble
from meshwright.cli.home import Home
from meshwright.cli.topology import HOST, Mesh, Process

PREFIX = "MESHWRIGHT_"

#: What a Python process needs of its surroundings, whatever it is for.
_PLAIN = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONPYCACHEPREFIX",
)
#: What a call to a model outside may need besides; only processes that are given MODEL get these.
_OUTWARD = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_EVERYONE = ("LOG_LEVEL", "LOG_FORMAT", "MAX_BODY", "AT_ONCE", "QUEUE", "WATCHDOG")
#: What every A2A server knows of: where its tasks are kept, for how long a replica, a try or a task is waited for, whom it may ask how, and
#: where its playbook runs.
_AGENTS = (
    *("DATABASE", "LEASE", "CLAIMS", "GRACE", "RETENTION", "WARM", "WEBHOOKS", "HEDGE", "DEPTH"),
    *("ISOLATION", "WORKER_MEMORY", "WORKER_CPU", "KILL_GRACE"),
)


def environment(
    process: Process, mesh: Mesh, home: Home, base: int, outer: Mapping[str, str]
) -> dict[str, str]:
    """The environment of one process.

    `outer` is that of `up`: only what the process names in `settings` passes.
    """
    urls = mesh.urls(base)
    outward = _OUTWARD if "MODEL" in process.settings else ()
    inner = {name: outer[name] for name in (*_PLAIN, *outward) if name in outer}
    inner |= {name: value for name, value in outer.items() if name.startswith("OTEL_")}
    if mesh.world and mesh.world.setting in process.settings:
        inner[PREFIX + mesh.world.setting] = str(world_file(mesh, home, outer))
    for setting in (*_EVERYONE, *(_AGENTS if process.kind == "a2a" else ()), *process.settings):
        if outer.get(PREFIX + setting):
            inner[PREFIX + setting] = outer[PREFIX + setting]
    if process.kind == "web" and home.people.exists():
        inner.setdefault(PREFIX + "CONSOLE_USERS", str(home.people))
    paths = [str(path) for path in mesh.paths] + [path for path in [inner.get("PYTHONPATH")] if path]
    return {
        **inner,
        **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}),
        "PYTHONUNBUFFERED": "1",
        PREFIX + "HOST": HOST,
        PREFIX + "PORT": str(base + process.port),
        PREFIX + "PUBLIC_URL": urls[process.name],
        PREFIX + "HOME": str(home.path),
        PREFIX + "KEY": str(home.key(process.name)),
        PREFIX + "TRUST": str(home.trust),
        PREFIX + "PEERS": ",".join(urls[name] for name in process.asks if name in urls),
        PREFIX + "TOOLS": ",".join(urls[name] for name in process.uses if name in urls),
    }


def world_file(mesh: Mesh, home: Home, outer: Mapping[str, str]) -> Path:
    """Where the mesh's world lies: where the environment says, else in the home."""
    assert mesh.world is not None
    chosen = outer.get(PREFIX + mesh.world.setting)
    return Path(chosen).expanduser().absolute() if chosen else home.path / mesh.world.file


def taken(mesh: Mesh, base: int) -> list[Process]:
    """The processes whose port is in use by another program."""
    return [process for process in mesh.processes if not _is_free(base + process.port)]


def require_ports(mesh: Mesh, base: int) -> None:
    """Raise Trouble, naming the first port that cannot be had."""
    busy = taken(mesh, base)
    if busy:
        more = f" (and {len(busy) - 1} more)" if len(busy) > 1 else ""
        raise Trouble(
            f"port {base + busy[0].port} ({busy[0].name}) is taken by another program{more}: "
            "stop it or choose others with --ports"
        )


def free_base(mesh: Mesh, first: int) -> int:
    """The first base from `first` on, in hundreds, at which all ports are free.

    Raises Trouble if there is none.
    """
    top = max(process.port for process in mesh.processes)
    for base in range(first, 65535 - top, 100):
        if not taken(mesh, base):
            return base
    raise Trouble(f"no free ports from {first} on: stop something, or choose others with --ports")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OverflowError:
            raise Trouble(f"there is no port {port}: choose others with --ports") from None
        except OSError as error:
            if error.errno == errno.EACCES:
                raise Trouble(f"port {port} is not open to this user: choose others with --ports") from None
            return False
    return True
