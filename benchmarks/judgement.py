"""What a judgement costs: CPU of reading the rules and of asking them, by what came of it.

    python -m benchmarks.judgement

The facts are those of the shipped policy's own cases, so looking them up is not in it. Ends with one JSON line.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable

from meshwright.policy import Policy, cases
from meshwright.policy.rules import shipped_policy

ROUNDS = 20


def main() -> None:
    folder = shipped_policy()
    first = "import time; t = time.process_time(); import cedarpy; print(time.process_time() - t)"
    loading = subprocess.run([sys.executable, "-c", first], capture_output=True, text=True, check=True)
    policy = Policy.load(folder)
    line: dict[str, object] = {
        "import_ms": round(float(loading.stdout) * 1e3),
        "load_ms": round(_seconds(lambda: Policy.load(folder)) * 1e3, 1),
        "rules": len(policy.rulebook.rules),
    }
    spent: dict[str, list[float]] = defaultdict(list)
    for _, told, approvals in cases.told(folder / "tests"):
        decision = cases.decide(policy, told, approvals).verdict.decision
        spent[decision].append(_seconds(lambda: cases.decide(policy, told, approvals)))  # noqa: B023
    for outcome, seconds in sorted(spent.items()):
        line[f"{outcome}_us"] = round(sum(seconds) / len(seconds) * 1e6)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({**line, "machine": machine}))


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one round."""
    began = time.process_time()
    for _ in range(ROUNDS):
        work()
    return (time.process_time() - began) / ROUNDS


if __name__ == "__main__":
    main()
