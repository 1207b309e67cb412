"""A mesh as real processes on loopback, on free ports, that stops by itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from meshwright.inbound.identity import Identity, Signer, Trust

#: Seconds a mesh may take to stop before it is an error.
STOP = 30
#: Where ports are looked for, in blocks: below those that the kernel gives to connections that leave (from 32768 on, ip(7)).
HOST, FIRST, LAST, BLOCK = "127.0.0.1", 12_000, 32_704, 64


class MeshDidNotStart(Exception):
    """The text is what `meshwright up` said."""


@dataclass(frozen=True, slots=True)
class RunningMesh:
    """Where a running mesh is. `urls` are by process name."""

    home: Path
    urls: Mapping[str, str]
    healthy_s: float

    def operator(self) -> Identity:
        """The identity of this machine's operator, as the CLI decides reviews."""
        return self._person("operator")

    def customer(self) -> Identity:
        """The identity of who asks, as `meshwright ask` comes: nobody approves what they asked for."""
        return self._person("customer")

    def _person(self, name: str) -> Identity:
        jwk = json.loads((self.home / "keys" / f"{name}.json").read_text())
        return Identity(name, Signer.from_jwk(name, jwk), Trust(name, {}))

    def pids(self) -> dict[str, int]:
        """The process ids by name, read from the process table by the module each runs."""
        found: dict[str, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_text().split("\0")
                environ = (folder / "environ").read_text()
                if "-m" in words and f"MESHWRIGHT_HOME={self.home}" in environ.split("\0"):
                    found[words[words.index("-m") + 1]] = int(folder.name)
        return {name: pid for name, pid in found.items() if name in self.urls}


@contextlib.contextmanager
def running_mesh(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[RunningMesh]:
    """Run `meshwright up` in `home` around the body. Raises MeshDidNotStart with its own words."""
    command = [sys.executable, "-m", "meshwright.cli", "up", "--json", "--home", str(home)]
    command += ["--ports", str(free_base()), *arguments]
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("MESHWRIGHT_")} | dict(env or {})
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings, text=True
    ) as up:
        try:
            assert up.stdout is not None
            line = up.stdout.readline()
            if not line:
                _, said = up.communicate(timeout=STOP)
                raise MeshDidNotStart(said.strip() or "meshwright up said nothing")
            started = json.loads(line)
            yield RunningMesh(home.resolve(), started["urls"], started["healthy_s"])
        finally:
            if up.poll() is None:
                up.send_signal(signal.SIGTERM)
            up.communicate(timeout=STOP)


def free_base(ports: int = 24) -> int:
    """A base port with `ports` free ones from it on, which nobody else is given while this process lives.

    The port before them is the claim on them: this process keeps it, and the kernel frees it with the process. Two that look at the
    same time cannot both have it, however long their servers take to start. Raises ValueError for more than a block has.
    """
    if ports >= BLOCK:
        raise ValueError(f"{ports} ports in a row; there are at most {BLOCK - 1}")
    for claim in range(FIRST, LAST, BLOCK):
        with contextlib.ExitStack() as stack:
            try:
                claimed = stack.enter_context(socket.socket())
                claimed.bind((HOST, claim))
                for port in range(claim + 1, claim + 1 + ports):
                    stack.enter_context(socket.socket()).bind((HOST, port))
            except OSError:
                continue
            claimed.detach()  # kept open
            return claim + 1
    raise MeshDidNotStart(f"there are no {ports} free ports in a row")
