"""What a look at one part of a mesh came to, and looking at many of them at once, each for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from meshwright.cli.home import Home
    from meshwright.cli.topology import Mesh
    from meshwright.settings import Settings

#: It is as it should be; it works and somebody should know; it does not work.
State = Literal["well", "watch", "ill"]
#: Seconds that one look may take.
PATIENCE = 6.0
#: Seconds that one answer of a process is waited for: less, so that the others of the same look are still told.
ANSWER = 3.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line: what was looked at, how it is, in words, and what to do about it."""

    name: str
    state: State
    says: str
    way_out: str = ""

    @property
    def row(self) -> dict[str, str]:
        return asdict(self)


def well(name: str, says: str) -> Diagnosis:
    return Diagnosis(name, "well", says)


def watch(name: str, says: str, way_out: str = "") -> Diagnosis:
    return Diagnosis(name, "watch", says, way_out)


def ill(name: str, says: str, way_out: str = "") -> Diagnosis:
    return Diagnosis(name, "ill", says, way_out)


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `urls` are the processes that should be running, by name: empty where no mesh runs.

    `settings` is None where the environment holds none that can be used.
    """

    home: Home
    mesh: Mesh
    base: int
    environ: Mapping[str, str]
    settings: Settings | None
    entry: str
    urls: Mapping[str, str]
    http: httpx.AsyncClient
    #: For what is not of the mesh: through the proxy, if one is set.
    outward: httpx.AsyncClient
    #: GET a page of the mesh's entry as its operator. Raises Trouble.
    look: Callable[[str], Awaitable[dict[str, Any]]]

    @property
    def runs(self) -> bool:
        return bool(self.urls)

    @property
    def kinds(self) -> dict[str, str]:
        return {process.name: process.kind for process in self.mesh.processes}


Look = Callable[[Patient], Awaitable[list[Diagnosis]]]


async def examine(
    patient: Patient, looks: Sequence[tuple[str, Look]], patience: float = PATIENCE
) -> list[Diagnosis]:
    """All looks at once, in their order; one that takes too long is ill, and keeps nobody waiting."""

    async def one(name: str, look: Look) -> list[Diagnosis]:
        try:
            async with asyncio.timeout(patience):
                return await look(patient)
        except TimeoutError:
            return [
                ill(
                    name,
                    f"no answer within {patience:g} s",
                    "see whether the machine or the network is stuck",
                )
            ]

    found = await asyncio.gather(*(one(name, look) for name, look in looks))
    return [diagnosis for each in found for diagnosis in each]


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
