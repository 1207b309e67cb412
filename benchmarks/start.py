"""What a start costs: from exec until the card is served and until the process is ready, for each kind; and a whole mesh.

    make bench

Each process runs alone, on the last core where the kernel lets us choose one, in a home of its own; the figures are medians of
`RUNS` starts, after one that is not counted (it compiles). A tool server has no card: its first answer at `/livez` counts. Ends
with one JSON line. Compare figures of one run only.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from meshwright.testing import running_mesh
from shop.demo import make

RUNS = 7
CARD = "/.well-known/agent-card.json"
#: A process of each kind, and what its first answer is.
KINDS = {
    "agent": ("advisor", CARD),
    "tool server": ("orderbook", "/livez"),
    "orchestrator": ("orchestrator", CARD),
}
#: Seconds a start may take before it is an error, and between two tries to see something.
PATIENCE, PAUSE = 30.0, 0.002


class DidNotStart(Exception):
    """The text is what the process said."""


class Start(NamedTuple):
    """Seconds from exec until the first answer and until ready, and CPU seconds used by then."""

    first: float
    ready: float
    cpu: float


def main() -> None:
    figures: dict[str, dict[str, float]] = {}
    print(f"{'':<14}  card s  ready s  CPU s")
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        make(Path(folder) / "shop.db")
        for kind, (module, path) in KINDS.items():
            starts = [start(module, path, Path(folder)) for _ in range(RUNS + 1)][1:]
            middle = [round(statistics.median(each), 3) for each in zip(*starts, strict=True)]
            figures[kind] = {"card_s": middle[0], "ready_s": middle[1], "cpu_s": middle[2]}
            print(f"{kind:<14}  {middle[0]:>6.3f}  {middle[1]:>7.3f}  {middle[2]:>5.2f}")
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        healthy = []
        for _ in range(3):
            with running_mesh(Path(folder)) as mesh:
                healthy.append(mesh.healthy_s)
                number = len(mesh.urls)
    print(f"{number} processes healthy after {min(healthy)} to {max(healthy)} s")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"start": figures, "healthy_s": sorted(healthy), "machine": machine}))


def start(module: str, path: str, home: Path) -> Start:
    """One start of `python -m module`, which is stopped again. Raises DidNotStart."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")}
    environment |= {
        "MESHWRIGHT_PORT": str(port),
        "MESHWRIGHT_HOME": str(home),
        "MESHWRIGHT_SHOP": str(home / "shop.db"),
        "MESHWRIGHT_LOG_LEVEL": "ERROR",
    }
    if module != "orderbook":
        environment["MESHWRIGHT_DATABASE"] = "memory:"
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", module], env=environment, stderr=subprocess.PIPE) as process:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        try:
            _until_ok(process, port, path)
            first = time.monotonic() - began
            _until_ok(process, port, "/readyz")
            ready = time.monotonic() - began
            cpu = _cpu_of(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
    return Start(first, ready, cpu)


def _until_ok(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    """Return when `path` answers 200."""
    late = time.monotonic() + PATIENCE
    while time.monotonic() < late and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            pass  # the port is not open yet
        finally:
            connection.close()
        time.sleep(PAUSE)
    said = process.communicate(timeout=1)[1] if process.poll() is not None else b"nothing"
    raise DidNotStart(f"{path} did not answer: {said.decode(errors='replace')[-500:]}")


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process so far; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
