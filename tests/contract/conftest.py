"""What the tests of the charts share: charts with their dependencies in place, and what they render to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshwright.cli import topology

CHARTS = Path(__file__).parents[2] / "charts"
Render = Callable[[str, dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of charts/, so that the tree stays clean. The umbrella comes last: it packs the others."""
    helm = pytest.importorskip("helm_python")
    copied = tmp_path_factory.mktemp("shelf") / "charts"
    shutil.copytree(CHARTS, copied, symlinks=True, ignore=shutil.ignore_patterns("*.tgz", "Chart.lock"))
    for name in (*topology.load().names, "mesh"):
        helm.dependency_update(str(copied / name))
    return copied


@pytest.fixture(scope="session")
def render(shelf: Path) -> Render:
    """Render a chart with values to the documents that Kubernetes would get. Raises helm_python.HelmError."""
    helm = pytest.importorskip("helm_python")

    def rendered(name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        with helm.Chart.load(str(shelf / name)) as chart:
            files = chart.render(values, name=name, namespace="desk")
        manifests = [text for path, text in files.items() if path.endswith(".yaml")]
        return [document for text in manifests for document in yaml.safe_load_all(text) if document]

    return rendered
