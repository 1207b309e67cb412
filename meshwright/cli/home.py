"""The folder a mesh lives in: keys, logs, databases, and `mesh.json`, by which other commands find it.

Whether a mesh runs is not read from the file (a killed `up` leaves it behind) but from a lock that the system
lets go of when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from meshwright.cli.console import Trouble

HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="MESHWRIGHT_HOME", help="The folder the mesh lives in.", show_default=True),
]
DEFAULT = Path(".meshwright")


@dataclass(frozen=True, slots=True)
class Running:
    """What `up` wrote down: its process id, where each process listens, and seconds to healthy once it is."""

    pid: int
    entry: str
    urls: dict[str, str]
    healthy_s: float | None = None

    @property
    def url(self) -> str:
        return self.urls.get(self.entry, "")


@dataclass(frozen=True, slots=True)
class Home:
    """One folder, absolute."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> Home:
        return cls(path.expanduser().absolute())

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def trust(self) -> Path:
        return self.path / "trust.json"

    @property
    def state(self) -> Path:
        return self.path / "mesh.json"

    @property
    def people(self) -> Path:
        """Who may log in to the console, by name and hash of their password; where it is missing nobody has to."""
        return self.path / "people.json"

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.json"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def make(self) -> None:
        """Make the folders. Raises Trouble where that is not allowed."""
        try:
            self.log("").parent.mkdir(parents=True, exist_ok=True)
            self.keys.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Trouble(
                f"cannot make {error.filename}: {error.strerror}; choose another folder with --home"
            ) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one `up` of this home. Raises Trouble if there is one already."""
        with open(self.path / "up.lock", "ab") as lock:
            if not _taken(lock, seconds=0.5):
                other = self._read()
                where = f" (process {other.pid}, {other.url})" if other else ""
                raise Trouble(
                    f"a mesh is already running from {self.path}{where}: "
                    "stop it with `meshwright down`, or choose another folder with --home"
                )
            try:
                yield
            finally:
                self.state.unlink(missing_ok=True)

    def announce(self, running: Running) -> None:
        """Write `mesh.json` whole or not at all."""
        text = {
            "pid": running.pid,
            "entry": running.entry,
            "urls": running.urls,
            "healthy_s": running.healthy_s,
        }
        draft = self.state.with_suffix(".draft")
        draft.write_text(json.dumps(text, indent=2) + "\n")
        draft.replace(self.state)

    def running(self) -> Running | None:
        """The mesh that runs from this home, if one does."""
        return self._read() if self._is_held() else None

    def wait_until_free(self, seconds: float) -> bool:
        """Whether the `up` of this home has gone within `seconds`."""
        until = time.monotonic() + seconds
        while self._is_held():
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def _is_held(self) -> bool:
        try:
            with open(self.path / "up.lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _read(self) -> Running | None:
        try:
            document = json.loads(self.state.read_text())
            return Running(document["pid"], document["entry"], document["urls"], document.get("healthy_s"))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _taken(lock: IO[bytes], seconds: float) -> bool:
    """Whether we have the lock now.

    It waits a moment, because someone who only looks holds it for an instant.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)


def write_private(path: Path, document: dict[str, Any]) -> None:
    """Write JSON that only this user may read.

    It is never on the disk with other rights, and never half written.
    """
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    draft.replace(path)
