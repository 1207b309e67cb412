"""One real mesh of thirteen processes for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshwright.testing import RunningMesh, running_mesh


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    home: Path = tmp_path_factory.mktemp("mesh")
    with running_mesh(home) as running:
        yield running
