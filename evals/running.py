"""The mesh on a shop from files, as evaluations use it: started once, the shop put back before each ticket."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from evals.tickets import TicketCase
from meshwright.deadline import Deadline
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.outbound.peer import Answer, Peer
from meshwright.testing import RunningMesh, running_mesh
from shop.importer import HANDBOOK_FILE, SHOP_FILE, import_shop

#: The skill at the mesh's entry, and seconds one ticket may take.
ENTRY, SECONDS = "handle-ticket", 30.0


class CannotRun(Exception):
    """The evaluation cannot start; the text says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """The mesh, the way in, and the shop that it works on."""

    mesh: RunningMesh
    peer: Peer
    shop: Path
    pristine: Path

    async def ask(self, case: TicketCase) -> Answer:
        """The answer to one ticket, on the shop as it was at first. Raises MeshError."""
        self.restore()
        return await self.peer.ask({}, text=case.message, by=Deadline.after(SECONDS))

    def restore(self) -> None:
        """Make the shop what it was, under the servers that have it open."""
        with (
            contextlib.closing(sqlite3.connect(self.pristine)) as source,
            contextlib.closing(sqlite3.connect(self.shop)) as target,
        ):
            source.backup(target)


@asynccontextmanager
async def running(
    shop: Path, handbook: Path, folder: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """The running mesh, in an empty `folder`. Raises CannotRun, MeshDidNotStart, ShopError."""
    pristine, source, home = folder / "pristine.db", folder / "source", folder / "home"
    source.mkdir()
    for name, given in ((SHOP_FILE, shop), (HANDBOOK_FILE, handbook)):
        if not given.is_file():
            raise CannotRun(f"there is no file {given}")
        shutil.copy(given, source / name)
    import_shop(source, pristine)
    home.mkdir()
    shutil.copy(pristine, home / "shop.db")
    with running_mesh(home, env=env) as mesh:
        print(f"mesh healthy in {mesh.healthy_s} s", file=sys.stderr)
        async with http_client() as http:
            yield Running(mesh, await _entry(mesh, http), home / "shop.db", pristine)


async def _entry(mesh: RunningMesh, http: httpx.AsyncClient) -> Peer:
    directory = Directory([mesh.urls["orchestrator"]], http, mesh.customer())
    if await directory.wait_for([ENTRY], Deadline.after(20)):
        raise CannotRun(f"the mesh offers no skill {ENTRY}")
    return directory.candidates(ENTRY)[0]
