"""What a start costs: CPU seconds of each kind of process's imports, and seconds until a warm mesh is healthy.

    make bench

Each figure is the median of `RUNS` fresh interpreters. Ends with one JSON line. Compare figures of one run only.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from meshwright.testing import running_mesh

RUNS = 5
#: What a process of each kind imports before it can answer. The orchestrator opens its port before the last of it.
KINDS = {
    "agent": "triage.agent, meshwright.inbound.server",
    "tool server": "orderbook.server, meshwright.inbound.toolapp, mcp.server",
    "orchestrator": "orchestrator.server, orchestrator.driver",
    "orchestrator until its port is open": "orchestrator.server",
}
CODE = "import gc, time; gc.disable(); began = time.process_time(); import {}; print(time.process_time() - began)"


def main() -> None:
    figures: dict[str, float] = {}
    for kind, modules in KINDS.items():
        figures[kind] = round(statistics.median(_cpu(modules) for _ in range(RUNS)), 2)
        print(f"{kind:<38} {figures[kind]:.2f} s CPU")
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        healthy = []
        for _ in range(3):
            with running_mesh(Path(folder)) as mesh:
                healthy.append(mesh.healthy_s)
    print(f"twelve processes healthy after           {min(healthy)} to {max(healthy)} s")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"import_cpu_s": figures, "healthy_s": sorted(healthy), "machine": machine}))


def _cpu(modules: str) -> float:
    environment = {**os.environ, "OTEL_INSTRUMENTATION_A2A_SDK_ENABLED": "false"}
    run = subprocess.run(
        [sys.executable, "-c", CODE.format(modules)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout)


if __name__ == "__main__":
    main()
