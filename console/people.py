"""Who may log in: a file of names and password hashes, and how wrong passwords are slowed down.

# console-users.toml; `meshwright keys person ann` writes the line
ann = "scrypt$16384$8$1$…$…"
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from meshwright.errors import Overloaded
from meshwright.passwords import hashed, is_hash, matches
from meshwright.settings import SettingsError

VARIABLE = "MESHWRIGHT_CONSOLE_USERS"
#: Wrong passwords that cost nothing; then each doubles the wait, up to the longest, in seconds.
FREE, FIRST, LONGEST = 3, 1.0, 300.0
#: Pairs of name and address that are remembered; an attacker pays a hash for each that pushes another one out.
REMEMBERED = 4096
#: Passwords that are checked at the same time (each takes 16 MiB and a core), and that may wait for it.
AT_ONCE, MOST_WAITING = 2, 20


class People:
    """Names and the hashes of their passwords."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = dict(hashes)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        # Whoever guesses at names must not hear from the clock which of them exist.
        self._nobody = hashed("a password that nobody has")

    @property
    def names(self) -> list[str]:
        return sorted(self._hashes)

    async def check(self, name: str, password: str) -> bool:
        """Whether this is the person's password. Raises Overloaded when too many ask at once."""
        if self._waiting >= MOST_WAITING:
            raise Overloaded("too many people log in at this moment: try again in a few seconds", 2.0)
        line = self._hashes.get(name)
        self._waiting += 1
        try:
            async with self._gate:
                right = await asyncio.to_thread(matches, password, line or self._nobody)
        finally:
            self._waiting -= 1
        return right and line is not None

    def proof(self, name: str) -> str | None:
        """What changes with the password, and says nothing about it; None for a name that is not here."""
        line = self._hashes.get(name)
        return None if line is None else hashlib.sha256(line.encode()).hexdigest()[:16]


def load_people(path: Path) -> People:
    """From a TOML file, or JSON if it is called so. Raises SettingsError, which says what is wrong with it."""
    try:
        text = path.read_text("utf-8")
        document: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{VARIABLE}: cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{VARIABLE}: {path} is neither TOML nor JSON of names and hashes") from None
    if not isinstance(document, dict) or not document:
        raise SettingsError(f"{VARIABLE}: {path} names nobody; `meshwright keys person NAME` makes a line")
    for name, line in document.items():
        if not name.isprintable() or not isinstance(line, str) or not is_hash(line):
            raise SettingsError(
                f"{VARIABLE}: in {path}, what stands behind {name[:40]!r} is no hash; `meshwright keys person NAME` makes one"
            )
    return People(document)


class Slowness:
    """How long somebody waits who was wrong: by name and address, so that nobody locks anybody else out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def wait(self, name: str, address: str) -> float:
        """Seconds until this name may be tried again from there; 0 for now."""
        _, until = self._wrong.get(self._key(name, address), (0, 0.0))
        return max(until - self._clock(), 0.0)

    def wrong(self, name: str, address: str) -> None:
        key, now = self._key(name, address), self._clock()
        count, until = self._wrong.pop(key, (0, 0.0))
        count = 1 if until and now - until > LONGEST else count + 1
        pause = min(FIRST * 2 ** min(count - FREE - 1, 16), LONGEST) if count > FREE else 0.0
        self._wrong[key] = count, now + pause
        while len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)

    def right(self, name: str, address: str) -> None:
        self._wrong.pop(self._key(name, address), None)

    @staticmethod
    def _key(name: str, address: str) -> tuple[str, str]:
        return name[:100], address[:100]
