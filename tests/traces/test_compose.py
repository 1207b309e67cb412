"""compose.trace.yaml makes every process of the mesh export, and gives only the collector a key and a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from meshwright.cli import topology

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.trace.yaml").read_text())["services"]
VIEWERS = {"traces", "phoenix"}


def test_every_process_exports_to_the_collector() -> None:
    assert set(SERVICES) == {process.name for process in topology.load().processes} | VIEWERS
    for name in SERVICES.keys() - VIEWERS:
        assert SERVICES[name] == {
            "build": {"args": {"EXTRAS": "otlp"}},
            "environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces:4318"},
        }


def test_what_views_them_is_locked_down_and_only_there_when_it_is_asked_for() -> None:
    for name in VIEWERS:
        service = SERVICES[name]
        assert service["profiles"]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
