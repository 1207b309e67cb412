"""All tests, in two pytest processes at once: those that start many processes themselves in one, everything else in the other.

    python tests/halves.py

What is given as arguments goes to a single pytest instead. The first half is told as it runs, the other whole when both are through;
neither waits for the other, and a failure in either is a failure of both.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile

#: Folders whose tests start meshes, kill processes, drive a browser or count CPU: one half, so that no two of them run at once.
CROWDED = (
    "tests/browser",
    "tests/budgets",
    "tests/chaos",
    "tests/extension",
    "tests/faults",
    "tests/grants",
    "tests/isolation",
    "tests/midwork",
    "tests/processes",
)
PYTEST = (sys.executable, "-m", "pytest")


def both() -> int:
    """Run the two halves; returns the exit code."""
    # Where a shell started us in the background, Ctrl-C is ignored by us and whom we start; tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryFile("w+") as told:
        # All that is not crowded, by what is left out: a new folder is tested without being named here.
        rest = [*PYTEST, *(f"--ignore={folder}" for folder in CROWDED)]
        halves = {
            "crowded": subprocess.Popen([*PYTEST, *CROWDED]),
            "the rest": subprocess.Popen(rest, stdout=told, stderr=subprocess.STDOUT),
        }
        # Ctrl-C reaches both without us, SIGTERM does not; either way they end by themselves and are told here.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(
            signal.SIGTERM, lambda *_: [half.send_signal(signal.SIGINT) for half in halves.values()]
        )
        codes = {name: half.wait() for name, half in halves.items()}
        told.seek(0)
        print("\nThe rest of the tests, which ran meanwhile:\n", told.read(), sep="\n")
    for name, code in codes.items():
        print(f"{name}: {'passed' if code == 0 else f'FAILED ({code})'}")
    return int(any(codes.values()))


if __name__ == "__main__":
    if sys.argv[1:]:
        os.execv(sys.executable, [*PYTEST, *sys.argv[1:]])
    sys.exit(both())
